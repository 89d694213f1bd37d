"""ReferenceGrants of a cluster: asked for when needed, followed live, missed by nobody where there are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from config.control_page import Head
from tests.kube import KubeServer
from tests.kube.kinds import OPTIONAL_KINDS, Kind
from tests.provider.support import (
    DEADLINE_SECONDS,
    Received,
    endpoints,
    route,
    rule,
    running,
    service,
    static_for,
)
from tests.provider.translate.test_grants import HOST, grant, to
from tests.waiting import wait_until

GRANTS = next(kind for kind in OPTIONAL_KINDS if kind.kind == "ReferenceGrant")
FOREIGN = route("r", rule("Host(`a`)", {"name": "web", "namespace": HOST, "port": 80}), namespace="guest")
OWN = route("own", rule("Host(`b`)", {"name": "web", "port": 80}), namespace=HOST)
GRANT = grant("IngressRoute", to("Service", "web"))


def cluster(*objects: object) -> KubeServer:
    server = KubeServer()
    for plain in (service("web", namespace=HOST), endpoints("web", "10.1.0.1", namespace=HOST), OWN, *objects):
        server.apply(plain)  # type: ignore[arg-type]
    return server


def asked_for_grants(server: KubeServer) -> bool:
    return any("referencegrants" in request.path for request in server.requests)


def has(count: int) -> Callable[[Received], bool]:
    return lambda received: len(received.routers) == count


@pytest.mark.parametrize("version", ["v1beta1", "v1"])
def test_a_grant_opens_and_closes_live(version: str) -> None:
    kind: Kind = replace(GRANTS, version=version)
    with cluster(FOREIGN) as server:
        server.add_kind(kind)
        with running(static_for(server.url)) as provider:
            first = provider.receive()
            assert len(first.routers) == 1
            assert first.reasons() == {"CrossNamespaceNotAllowed"}
            server.apply({**GRANT, "apiVersion": f"{kind.group}/{version}"})
            assert provider.receive_until(has(2)).reasons() == set()
            server.delete("ReferenceGrant", HOST, "g")
            assert provider.receive_until(has(1)).reasons() == {"CrossNamespaceNotAllowed"}


def serves_as_if_there_were_none(server: KubeServer) -> tuple[Received, str]:
    """The first generation and the log, of a provider that is in order."""
    with running(static_for(server.url)) as provider:
        first = provider.receive()
        assert first.meta.complete
        assert len(first.routers) == 1
        assert asked_for_grants(server)
        wait_until(lambda: provider.page[Head.PROVIDER_SYNCED] == 1, DEADLINE_SECONDS)
        provider.channel.close()
        log = provider.ended()
    return first, log


def test_a_cluster_without_the_gateway_api_lacks_nothing() -> None:
    with cluster(FOREIGN) as server:
        first, log = serves_as_if_there_were_none(server)
        assert first.reasons() == {"CrossNamespaceNotAllowed"}
        loud = [line for line in log.splitlines() if "referencegrants" in line and "DBG" not in line]
        assert loud == []


def test_without_the_right_to_read_them_there_are_none_and_a_finding_says_so() -> None:
    with cluster(FOREIGN) as server:
        server.add_kind(GRANTS)
        server.apply(GRANT)
        server.forbid("referencegrants")
        first, _ = serves_as_if_there_were_none(server)
        assert first.reasons() == {"CrossNamespaceNotAllowed", "Forbidden"}


@pytest.mark.parametrize("allowed", [False, True])
def test_nobody_asks_for_them_without_need(allowed: bool) -> None:
    """Without a foreign reference; and with one where all are allowed."""
    with cluster(*([FOREIGN] if allowed else [])) as server:
        server.add_kind(GRANTS)
        with running(static_for(server.url, allowCrossNamespace=allowed)) as provider:
            assert len(provider.receive().routers) == 1 + allowed
        assert not asked_for_grants(server)
