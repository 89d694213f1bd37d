"""The in-memory API server failing on demand: watches that end in every way, outages of every sort."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.kube import KubeServer
from tests.kube.cluster import MemoryServer, with_query
from tests.kube.follower import DEADLINE, Follower, followers

ROUTES = "/apis/traefik.io/v1alpha1/ingressroutes"
SERVICES = "/api/v1/services"
Follow = Callable[..., Follower]

MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: whoami, namespace: web}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: whoami, namespace: web}
spec: {entryPoints: [web], routes: [{kind: Rule, match: Host(`a.test`), services: [{name: whoami, port: 80}]}]}
"""


@pytest.fixture
def server() -> Iterator[KubeServer]:
    with KubeServer() as started:
        yield started


@pytest.fixture
def client(server: KubeServer) -> MemoryServer:
    return MemoryServer(server)


@pytest.fixture
def follow(server: KubeServer) -> Iterator[Follow]:
    with followers(server) as start:
        yield start


# --- watches on demand ------------------------------------------------------------------------------------


def test_watchers_are_counted(server: KubeServer, follow: Follow) -> None:
    assert server.watchers("IngressRoute") == 0
    with pytest.raises(TimeoutError, match="IngressRoute"):
        server.wait_for_watchers(["IngressRoute"], 0.01)
    watch = follow(ROUTES)
    follow(ROUTES)
    server.wait_for_watchers(["IngressRoute"], DEADLINE)
    server.wait_until(lambda: server.watchers("ingressroutes") == 2, DEADLINE)
    watch.close()
    server.wait_until(lambda: server.watchers("IngressRoute") == 1, DEADLINE)
    assert server.counters()["watchers"] == {"ingressroutes": 1}


def test_dropped_watches(server: KubeServer, follow: Follow) -> None:
    broken, other = follow(ROUTES), follow(SERVICES)
    server.wait_for_watchers(["IngressRoute", "Service"], DEADLINE)
    assert server.drop_watches("IngressRoute") == 1
    assert isinstance(broken.next(), http.client.IncompleteRead)
    assert server.drop_watches(clean=True) >= 1
    assert other.next() == "end"


def test_bookmarks_on_demand(server: KubeServer, follow: Follow) -> None:
    with_bookmarks, without = follow(ROUTES, allowWatchBookmarks="true"), follow(ROUTES)
    server.wait_until(lambda: server.watchers("IngressRoute") == 2, DEADLINE)
    server.apply(MANIFESTS)
    assert server.send_bookmarks() == 1
    assert with_bookmarks.next_name() == ("ADDED", "whoami")
    bookmark = with_bookmarks.next()
    metadata = {"resourceVersion": str(server.version), "creationTimestamp": None}
    assert bookmark == {
        "type": "BOOKMARK",
        "object": {"kind": "IngressRoute", "apiVersion": "traefik.io/v1alpha1", "metadata": metadata},
    }
    assert without.next_name() == ("ADDED", "whoami")
    assert without.silent


def test_bookmarks_at_intervals(server: KubeServer, follow: Follow) -> None:
    server.settings.bookmark_interval_seconds = 0.02
    watch = follow(ROUTES, allowWatchBookmarks="true")
    assert [watch.next_name()[0] for _ in range(3)] == ["BOOKMARK"] * 3


def test_errors_and_nonsense_in_a_stream(server: KubeServer, follow: Follow) -> None:
    watch = follow(ROUTES)
    server.wait_for_watchers(["IngressRoute"], DEADLINE)
    assert server.send_watch_error("IngressRoute") == 1
    event = watch.next()
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert watch.next() == "end"
    watch = follow(ROUTES)
    server.wait_for_watchers(["IngressRoute"], DEADLINE)
    server.send_watch_error("IngressRoute", 500)
    assert watch.next()["object"]["reason"] == "InternalError"
    watch = follow(ROUTES)
    server.wait_until(lambda: server.watchers("IngressRoute") == 1, DEADLINE)
    server.send_raw("IngressRoute", b'{"type":"ADDED"\n')
    assert isinstance(watch.next(), ValueError)


def test_a_too_old_watch_as_http_status(server: KubeServer, client: MemoryServer) -> None:
    old = server.version
    server.compact()
    server.settings.gone_as_status = True
    code, status = client.request("GET", with_query(ROUTES, watch="true", resourceVersion=old))
    assert (code, status["code"], status["reason"]) == (410, 410, "Expired")


def test_streaming_lists_can_be_refused(server: KubeServer, client: MemoryServer) -> None:
    server.settings.watch_list = False
    query = {"watch": "true", "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    code, status = client.request("GET", with_query(ROUTES, **query))
    assert (code, status["reason"]) == (422, "Invalid")
    assert "WatchList feature gate" in status["message"]


def test_a_watch_that_is_left_behind_by_compaction_gets_410(server: KubeServer, follow: Follow) -> None:
    """While the network hangs a watch stays where it is in the log, as a slow client would."""
    watch = follow(ROUTES)
    server.wait_for_watchers(["IngressRoute"], DEADLINE)
    with server.outage("hang"):
        server.apply(MANIFESTS)
        server.compact()
    event = watch.next()
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
    assert watch.next() == "end"


# --- outages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (401, "Unauthorized"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
        (504, "Timeout"),
    ],
)
def test_outage_with_a_status(server: KubeServer, follow: Follow, code: Any, reason: str) -> None:
    watch = follow(ROUTES)
    server.wait_for_watchers(["IngressRoute"], DEADLINE)
    with (
        server.outage(code, retry_after_seconds=7),
        pytest.raises(urllib.error.HTTPError) as caught,
        urllib.request.urlopen(server.url + SERVICES, timeout=DEADLINE),
    ):
        pass
    with caught.value as error:
        assert error.code == code
        status = json.load(error)
    assert status["reason"] == reason
    if code != 401:
        assert caught.value.headers["Retry-After"] == "7"
        assert status["details"] == {"retryAfterSeconds": 7}
    assert isinstance(watch.next(), http.client.IncompleteRead)
    with urllib.request.urlopen(server.url + SERVICES, timeout=DEADLINE) as response:
        assert response.status == 200


def test_outage_of_some_kinds(server: KubeServer, client: MemoryServer, follow: Follow) -> None:
    routes, services = follow(ROUTES), follow(SERVICES)
    server.wait_for_watchers(["IngressRoute", "Service"], DEADLINE)
    with server.outage(503, kinds=["Service"]):
        assert isinstance(services.next(), http.client.IncompleteRead)
        assert client.request("GET", SERVICES)[0] == 503
        assert client.request("GET", ROUTES)[0] == 200
        with pytest.raises(RuntimeError, match="one outage"), server.outage(500):
            pass
        assert client.request("GET", SERVICES)[0] == 503
    server.apply(MANIFESTS)
    assert routes.next_name() == ("ADDED", "whoami")


def test_outage_that_keeps_watches(server: KubeServer, follow: Follow) -> None:
    watch = follow(ROUTES)
    server.wait_for_watchers(["IngressRoute"], DEADLINE)
    with server.outage(500, keep_watches=True):
        server.apply(MANIFESTS)
        assert watch.next_name() == ("ADDED", "whoami")


def test_hanging(server: KubeServer, follow: Follow) -> None:
    watch = follow(ROUTES)
    server.wait_for_watchers(["IngressRoute"], DEADLINE)
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as asking:
        with server.outage("hang"):
            server.apply(MANIFESTS)
            asking.sendall(b"GET /version HTTP/1.1\r\n\r\n")
            asking.settimeout(0.05)
            with pytest.raises(TimeoutError):
                asking.recv(1)
            assert watch.silent
        asking.settimeout(DEADLINE)
        assert asking.recv(1) == b""
    assert watch.next_name() == ("ADDED", "whoami")


def test_dropping(server: KubeServer, client: MemoryServer) -> None:
    with server.outage("drop"), pytest.raises(http.client.RemoteDisconnected):
        client.request("GET", SERVICES)
    assert client.request("GET", SERVICES)[0] == 200


def test_refusing_keeps_the_port(server: KubeServer, client: MemoryServer, follow: Follow) -> None:
    watch = follow(ROUTES)
    port = server.port
    with server.outage("refuse"):
        assert isinstance(watch.next(), http.client.IncompleteRead)
        with pytest.raises(ConnectionRefusedError):
            client.request("GET", SERVICES)
    assert server.port == port
    assert client.request("GET", SERVICES)[0] == 200
