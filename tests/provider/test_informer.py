"""Informers against the in-memory API server: listing, following, trouble and recovery."""

from __future__ import annotations

import contextlib
import queue
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from config.static_providers import KubernetesCRD
from provider.kube.api import Api
from provider.kube.connection import configure
from provider.kube.errors import Forbidden, KindMissing, ServerTrouble, TooManyRequests, Unauthorized, Unreachable
from provider.kube.informer import Changed, Feed, Informer, InOrder, InTrouble, Listed
from provider.kube.watch import Put, Removed
from provider.resources.kinds import ENDPOINT_SLICE, INGRESS_ROUTE, SERVICE, Kind
from tests.kube import KubeServer
from tests.provider.support import Json, route, rule, service

DEADLINE_SECONDS = 10.0
SERVICES = Feed(SERVICE)


@pytest.fixture
def server() -> Iterator[KubeServer]:
    with KubeServer() as running:
        yield running


class Following:
    """What one informer has delivered."""

    def __init__(self, api: Api, feed: Feed, selector: str = "") -> None:
        self.messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.informer = Informer(api, feed, self.messages.put, selector=selector, randomness=random.Random(1))
        self.names: set[str] = set()

    def next(self, kind: type, accept: Callable[[Any], bool] = lambda message: True) -> Any:
        """The next message of this type; others are taken note of on the way."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            message = self.messages.get(timeout=max(0.01, deadline - time.monotonic()))
            self._note(message)
            if isinstance(message, kind) and accept(message):
                return message

    def _note(self, message: Any) -> None:
        match message:
            case Listed():
                self.names = {one.metadata.name for one in message.objects}
            case Changed(change=Put(resource=resource)):
                self.names.add(resource.metadata.name)
            case Changed(change=Removed(key=key)):
                self.names.discard(key.name)


@contextlib.contextmanager
def following(
    server: KubeServer, feed: Feed = SERVICES, selector: str = "", token: str = ""
) -> Iterator[Following]:
    api = Api(configure(KubernetesCRD(endpoint=server.url, token=token), {}), "1.2.3")
    one = Following(api, feed, selector)
    one.informer.start()
    try:
        yield one
    finally:
        assert one.informer.stop(DEADLINE_SECONDS)
        api.close()


def put_names(change: Changed) -> str:
    assert isinstance(change.change, Put)
    return str(change.change.resource.metadata.name)


def test_lists_then_follows(server: KubeServer) -> None:
    server.apply(service("a"))
    with following(server) as one:
        assert [found.metadata.name for found in one.next(Listed).objects] == ["a"]
        server.apply(service("b"))
        assert put_names(one.next(Changed)) == "b"
        server.delete("Service", "default", "a")
        assert isinstance(one.next(Changed).change, Removed)
        assert one.names == {"b"}
    agents = {request.user_agent for request in server.requests}
    assert agents == {"pointsman/1.2.3 (linux/amd64) kubernetes/crd"}


def test_large_collections_come_in_pages(server: KubeServer) -> None:
    for number in range(1100):
        server.apply(service(f"s{number}"))
    with following(server) as one:
        assert len(one.next(Listed).objects) == 1100
    lists = [request for request in server.requests if "watch" not in request.query]
    assert len(lists) == 3


def test_namespaces_and_selectors_limit_what_is_seen(server: KubeServer) -> None:
    def labelled(name: str, namespace: str, **labels: str) -> Json:
        made = route(name, rule("Host(`a`)"), namespace=namespace)
        made["metadata"]["labels"] = labels
        return made

    server.apply(labelled("mine", "a", app="x"))
    server.apply(labelled("unlabelled", "a"))
    server.apply(labelled("elsewhere", "b", app="x"))
    with following(server, Feed(INGRESS_ROUTE, "a"), "app=x") as one:
        assert [found.metadata.name for found in one.next(Listed).objects] == ["mine"]
        server.apply(labelled("unlabelled", "a", app="x"))
        assert put_names(one.next(Changed)) == "unlabelled"


def test_a_dropped_watch_resumes_without_a_list(server: KubeServer) -> None:
    with following(server) as one:
        one.next(Listed)
        for name in ("a", "b", "c"):
            server.wait_for_watchers(["Service"], DEADLINE_SECONDS)
            server.drop_watches("Service", clean=name == "b")
            server.apply(service(name))
            assert put_names(one.next(Changed)) == name
    assert len([request for request in server.requests if "watch" not in request.query]) == 1


def test_bookmarks_spare_a_list_after_compaction(server: KubeServer) -> None:
    with following(server) as one:
        one.next(Listed)
        server.wait_for_watchers(["Service"], DEADLINE_SECONDS)
        server.apply(route("noise", rule("Host(`a`)")))
        server.compact()
        assert server.send_bookmarks("Service") == 1
        server.drop_watches("Service", clean=True)
        server.apply(service("after"))
        assert put_names(one.next(Changed)) == "after"
    assert len([request for request in server.requests if "watch" not in request.query]) == 1


def test_compaction_during_a_break_lists_again(server: KubeServer) -> None:
    server.apply(service("a"))
    with following(server) as one:
        one.next(Listed)
        server.wait_for_watchers(["Service"], DEADLINE_SECONDS)
        server.stop(hold_port=True)
        server.delete("Service", "default", "a")
        server.apply(service("b"))
        server.compact()
        server.start()
        one.next(Listed)
        assert one.names == {"b"}


def test_gone_as_an_event_lists_again(server: KubeServer) -> None:
    with following(server) as one:
        one.next(Listed)
        server.wait_for_watchers(["Service"], DEADLINE_SECONDS)
        server.send_watch_error("Service")
        one.next(Listed)


def test_what_is_no_event_does_not_lose_any(server: KubeServer) -> None:
    with following(server) as one:
        one.next(Listed)
        server.wait_for_watchers(["Service"], DEADLINE_SECONDS)
        server.send_raw("Service", b"<html>\n")
        server.apply(service("a"))
        assert put_names(one.next(Changed)) == "a"


def test_a_missing_kind_is_reported_and_picked_up_when_it_appears(server: KubeServer) -> None:
    server.remove_kind("IngressRoute")
    with following(server, Feed(INGRESS_ROUTE)) as one:
        error = one.next(InTrouble).error
        assert isinstance(error, KindMissing)
        assert "ingressroutes.traefik.io" in error.advice
        server.add_kind("IngressRoute")
        assert one.next(Listed).objects == []


def test_a_forbidden_kind_names_the_rule_that_is_missing(server: KubeServer) -> None:
    server.forbid("EndpointSlice")
    with following(server, Feed(ENDPOINT_SLICE, "a")) as one:
        error = one.next(InTrouble).error
        assert isinstance(error, Forbidden)
        assert error.advice == (
            'allow it in a Role in namespace a: apiGroups ["discovery.k8s.io"], '
            'resources ["endpointslices"], verbs ["list", "watch"]'
        )
        server.allow("EndpointSlice")
        one.next(Listed)


def test_a_refused_token_is_told(server: KubeServer) -> None:
    server.token = "right"
    with following(server, token="wrong") as one:
        assert isinstance(one.next(InTrouble).error, Unauthorized)
    with following(server, token="right") as one:
        one.next(Listed)


@pytest.mark.parametrize(
    ("mode", "error"), [(500, ServerTrouble), (503, ServerTrouble), ("drop", Unreachable), ("refuse", Unreachable)]
)
def test_an_outage_at_start_is_waited_out(server: KubeServer, mode: Any, error: type) -> None:
    server.apply(service("a"))
    with contextlib.ExitStack() as stack:
        outage = contextlib.ExitStack()
        outage.enter_context(server.outage(mode))
        stack.push(outage)
        one = stack.enter_context(following(server))
        assert isinstance(one.next(InTrouble).error, error)
        outage.close()
        one.next(Listed)
        assert one.names == {"a"}


def test_retry_after_is_passed_on(server: KubeServer) -> None:
    with server.outage(429, retry_after_seconds=1), following(server) as one:
        error = one.next(InTrouble).error
        assert isinstance(error, TooManyRequests)
        assert error.retry_after_seconds == 1


def test_an_outage_later_is_told_and_its_end_too(server: KubeServer) -> None:
    with following(server) as one:
        one.next(Listed)
        server.wait_for_watchers(["Service"], DEADLINE_SECONDS)
        with server.outage(503):
            assert isinstance(one.next(InTrouble).error, ServerTrouble)
            server.apply(service("a"))
        one.next(InOrder)
        assert one.names in (set(), {"a"})
        if not one.names:
            one.next(Changed)
    assert one.names == {"a"}


@pytest.mark.parametrize("kind", [SERVICE, ENDPOINT_SLICE, INGRESS_ROUTE])
def test_paths_of_collections(kind: Kind) -> None:
    assert kind.path("ns").endswith(f"/namespaces/ns/{kind.plural}")
    assert kind.path() == {
        "Service": "/api/v1/services",
        "EndpointSlice": "/apis/discovery.k8s.io/v1/endpointslices",
        "IngressRoute": "/apis/traefik.io/v1alpha1/ingressroutes",
    }.get(kind.name)
