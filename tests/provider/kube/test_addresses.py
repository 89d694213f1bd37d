"""The writer of addresses against an API server that refuses, changes and disappears."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from config.static_providers import KubernetesIngress
from provider.kube.addresses import AddressWriter
from provider.kube.api import Api
from provider.kube.connection import configure
from provider.resources.core import LoadBalancerAddress
from provider.resources.kinds import ObjectKey
from tests.kube import KubeServer
from tests.provider.support import DEADLINE_SECONDS
from tests.provider.translate.test_ingress_changes import ingress
from tests.waiting import wait_until

ONE = ObjectKey("Ingress", "default", "one")
WANTED = [LoadBalancerAddress(ip="192.0.2.1", hostname="edge.example")]


@pytest.fixture
def kube() -> Iterator[KubeServer]:
    with KubeServer() as server:
        server.apply(ingress("one"))
        yield server


@pytest.fixture
def writer(kube: KubeServer) -> Iterator[AddressWriter]:
    api = Api(configure(KubernetesIngress(endpoint=kube.url), {}), "test")
    made = AddressWriter(api, first_pause_seconds=0.05)
    made.start()
    yield made
    assert made.stop()
    api.close()


def shown(kube: KubeServer, name: str = "one") -> Any:
    return kube.get("Ingress", "default", name)["status"]["loadBalancer"].get("ingress", [])


def puts(kube: KubeServer) -> list[str]:
    return [request.path for request in kube.requests if request.method == "PUT"]


def test_the_status_alone_is_written(kube: KubeServer, writer: AddressWriter) -> None:
    spec = kube.get("Ingress", "default", "one")["spec"]
    writer.want({ONE: WANTED})
    kube.wait_until(lambda: bool(shown(kube)), DEADLINE_SECONDS)
    assert shown(kube) == [{"ip": "192.0.2.1", "hostname": "edge.example"}]
    assert kube.get("Ingress", "default", "one")["spec"] == spec
    assert puts(kube) == ["/apis/networking.k8s.io/v1/namespaces/default/ingresses/one/status"]


def test_what_is_there_already_is_not_written_again(kube: KubeServer, writer: AddressWriter) -> None:
    kube.apply(ingress("two"))
    kube.apply(
        {
            **ingress("one"),
            "status": {"loadBalancer": {"ingress": [{"hostname": "edge.example", "ip": "192.0.2.1"}]}},
        }
    )
    writer.want({ONE: WANTED, ONE._replace(name="two"): WANTED})
    kube.wait_until(lambda: bool(shown(kube, "two")), DEADLINE_SECONDS)
    assert len(puts(kube)) == 1


def test_an_ingress_that_is_gone_stops_nobody(kube: KubeServer, writer: AddressWriter) -> None:
    writer.want({ONE._replace(name="gone"): WANTED, ONE: WANTED})
    kube.wait_until(lambda: bool(shown(kube)), DEADLINE_SECONDS)


def test_what_fails_is_tried_again(
    kube: KubeServer, writer: AddressWriter, caplog: pytest.LogCaptureFixture
) -> None:
    kube.forbid("ingresses/status", "update")
    writer.want({ONE: WANTED})
    wait_until(lambda: len(puts(kube)) >= 3)
    kube.allow("ingresses/status", "update")
    kube.wait_until(lambda: bool(shown(kube)), DEADLINE_SECONDS)
    (record,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert "cannot write status of Ingress default/one (403" in record.getMessage()
    assert 'resources ["ingresses/status"], verbs ["update"]' in record.__dict__["advice"]


def test_a_newer_wish_replaces_one_that_could_not_be_written(kube: KubeServer, writer: AddressWriter) -> None:
    with kube.outage(503):
        writer.want({ONE: WANTED})
        wait_until(lambda: any(request.path.endswith("/ingresses/one") for request in kube.requests))
        writer.want({ONE: [LoadBalancerAddress(ip="192.0.2.2")]})
    kube.wait_until(lambda: bool(shown(kube)), DEADLINE_SECONDS)
    assert shown(kube) == [{"ip": "192.0.2.2"}]


def test_it_ends_while_the_server_is_away(kube: KubeServer, writer: AddressWriter) -> None:
    with kube.outage("refuse"):
        writer.want({ONE: WANTED})
        assert writer.stop()


def test_who_may_not_write_keeps_it_in_mind(kube: KubeServer) -> None:
    may: list[bool] = []
    api = Api(configure(KubernetesIngress(endpoint=kube.url), {}), "test")
    asked: list[bool] = []

    def may_write() -> bool:
        asked.append(bool(may))
        return bool(may)

    writer = AddressWriter(api, may_write)
    writer.start()
    try:
        writer.want({ONE: WANTED})
        wait_until(lambda: asked)
        assert kube.requests == []
        may.append(True)
        writer.wake()
        kube.wait_until(lambda: bool(shown(kube)), DEADLINE_SECONDS)
    finally:
        assert writer.stop()
        api.close()
