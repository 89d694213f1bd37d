"""The definitions of all kinds: what the original's users write is accepted, also by a real API server.

The objects are those of the comparison with the original, which set nearly every field of every kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from provider.resources import schema
from provider.resources.kinds import KINDS, TRAEFIK_GROUP, Kind
from tests.envtest import ApiServer, assets
from tests.provider.test_schema import errors, is_established, root_schema
from tests.waiting import wait_until

Json = dict[str, Any]

SHAPES: Final[dict[str, Json]] = yaml.safe_load(
    (Path(__file__).parents[1] / "differential" / "shapes.yaml").read_text()
)
UNKNOWN_TO_ALL: Final = {"pass-tls-client-cert"}
"""Objects with a field that Traefik's definition does not have either."""
ACCEPTED: Final = [
    (kind, name, spec)
    for kind, specs in SHAPES.items()
    for name, spec in specs.items()
    if name not in UNKNOWN_TO_ALL
]
REFUSED: Final[list[tuple[str, Json, str]]] = [
    ("IngressRouteTCP", {"routes": [{}]}, ".spec.routes[0].match: required"),
    (
        "IngressRouteTCP",
        {"routes": [{"match": "HostSNI(`*`)", "services": [{"name": "s"}]}]},
        ".services[0].port: required",
    ),
    ("IngressRouteTCP", {"routes": [{"match": "HostSNI(`*`)", "syntax": "v4"}]}, ".syntax: not one of"),
    ("IngressRouteUDP", {"routes": [{"services": [{"port": 53}]}]}, ".services[0].name: required"),
    ("Middleware", {"inFlightReq": {"amount": -1}}, ".amount: out of range"),
    ("Middleware", {"retry": {"attempts": 2, "initialInterval": "soon"}}, ".initialInterval: does not match"),
    ("Middleware", {"errors": {"status": ["5xx"]}}, ".status[0]: does not match"),
    ("Middleware", {"circuitBreaker": {"responseCode": 99}}, ".responseCode: out of range"),
    ("Middleware", {"chain": {"middlewares": [{}]}}, ".middlewares[0].name: required"),
    ("MiddlewareTCP", {"inFlightConn": {"amount": -1}}, ".amount: out of range"),
    ("TraefikService", {"failover": {"service": {"name": "s", "port": 80}}}, ".failover.fallback: required"),
    ("TraefikService", {"weighted": {"services": [{"name": "s", "weight": -1}]}}, ".weight: out of range"),
    ("TLSOption", {"clientAuth": {"clientAuthType": "Maybe"}}, ".clientAuthType: not one of"),
    ("ServersTransport", {"maxIdleConnsPerHost": -2}, ".maxIdleConnsPerHost: out of range"),
    ("ServersTransportTCP", {"proxyProtocol": {"version": 3}}, ".proxyProtocol.version: out of range"),
]


def an_object(kind: str, spec: Json) -> Json:
    metadata = {"name": "shop", "namespace": "default"}
    return {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": metadata, "spec": spec}


@pytest.mark.parametrize(("kind", "name", "spec"), ACCEPTED, ids=[f"{kind}-{name}" for kind, name, _ in ACCEPTED])
def test_what_the_original_accepts_is_accepted(kind: str, name: str, spec: Json) -> None:
    assert errors(an_object(kind, spec), root_schema(KINDS[kind])) == [], name


@pytest.mark.parametrize(("kind", "spec", "error"), REFUSED, ids=str)
def test_what_the_original_refuses_is_refused(kind: str, spec: Json, error: str) -> None:
    found = errors(an_object(kind, spec), root_schema(KINDS[kind]))
    assert any(error in each for each in found), found


@pytest.fixture(scope="module")
def cluster() -> Iterator[ApiServer]:
    """A real API server that has all our definitions."""
    if assets() is None:
        pytest.skip("KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd (make envtest builds one)")
    with ApiServer() as server:
        for kind in KINDS.values():
            if kind.group == TRAEFIK_GROUP:
                define(server, kind)
        yield server


def define(server: ApiServer, kind: Kind) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    definition = schema.definition(kind)
    status, made = server.request("POST", f"{path}?fieldValidation=Strict", definition)
    assert status == 201, str(made)
    place = f"{path}/{definition['metadata']['name']}"
    wait_until(lambda: is_established(server.request("GET", place)[1]), what="CRD established")


def create(server: ApiServer, kind: Kind, spec: Json) -> tuple[int, Any]:
    """Create and remove again; the answer to the creation."""
    path = kind.path("default")
    status, answer = server.request("POST", f"{path}?fieldValidation=Strict", an_object(kind.name, spec))
    if status == 201:
        server.request("DELETE", f"{path}/shop")
    return status, answer


@pytest.mark.envtest
def test_a_real_api_server_accepts_the_same(cluster: ApiServer) -> None:
    for kind, name, spec in ACCEPTED:
        status, answer = create(cluster, KINDS[kind], spec)
        assert status == 201, (name, str(answer))


@pytest.mark.envtest
def test_a_real_api_server_refuses_the_same(cluster: ApiServer) -> None:
    for kind, spec, _ in REFUSED:
        status, answer = create(cluster, KINDS[kind], spec)
        assert status in {400, 422}, (spec, answer)
