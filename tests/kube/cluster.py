"""One way to talk to the in-memory server and to a real one, so that the same tests can run against both.

What holds for both is what clients may rely on; a test that only the in-memory server passes shows that it
is not faithful. The real one is used where KUBEBUILDER_ASSETS names its programs (`tests/envtest.py`).
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlencode

import pytest

from tests.envtest import ApiServer, assets

from .server import KubeServer

SERVERS = ["memory", pytest.param("real", marks=pytest.mark.envtest)]
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
WIDGETS = "/apis/test.example/v1/widgets"

_numbers = itertools.count()


class Server(Protocol):
    """What `tests.envtest.ApiServer` offers and `MemoryServer` imitates."""

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        token: str | None = None,
        content_type: str = "application/json",
    ) -> tuple[int, Any]: ...

    def watch(self, path: str) -> Generator[Any]: ...


class MemoryServer:
    """Requests to a `KubeServer` over HTTP, one connection each."""

    def __init__(self, server: KubeServer) -> None:
        self.server = server

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        token: str | None = None,
        content_type: str = "application/json",
    ) -> tuple[int, Any]:
        with self._exchange(method, path, body, token, content_type) as response:
            text = response.read().decode()
            is_json = "json" in response.headers.get_content_type()
            return response.status, json.loads(text) if is_json and text else text

    def watch(self, path: str) -> Generator[Any]:
        with self._exchange("GET", path, None, None, "") as response:
            if response.status != 200:
                yield {"type": "ERROR", "object": json.loads(response.read())}
                return
            while line := response.readline():
                yield json.loads(line)

    @contextmanager
    def _exchange(
        self, method: str, path: str, body: object, token: str | None, content_type: str
    ) -> Iterator[http.client.HTTPResponse]:
        headers = {"Content-Type": content_type} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        content = body if isinstance(body, str | bytes | None) else json.dumps(body)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            connection.request(method, path, content, headers)
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()


class Cluster:
    """A server with a kind of our own: namespaced Widgets with a status, and short ways to use them."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.request = server.request

    def namespace(self) -> str:
        """A new, empty namespace."""
        name = f"ns-{os.getpid()}-{next(_numbers):04}"
        self.expect(201, "POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def expect(
        self, code: int, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> Any:
        """A request that must get this status code; returns the decoded answer."""
        got, answer = self.request(method, path, body, None, content_type)
        assert got == code, (method, path, got, answer)
        return answer

    def create_map(self, namespace: str, name: str, **metadata: object) -> Any:
        body = {"metadata": {"name": name, **metadata}, "data": {"key": "value"}}
        return self.expect(201, "POST", maps(namespace), body)

    def create_widget(self, namespace: str, name: str, **spec: object) -> Any:
        body = {**widget(name), "spec": spec}
        return self.expect(201, "POST", widgets(namespace), body)

    @contextmanager
    def watch(self, path: str, **query: object) -> Iterator[Generator[Any]]:
        """Events of a watch, closed on exit."""
        events = self.server.watch(with_query(path, watch="true", **query))
        if "resourceVersion" not in query:
            events = self._newest(events, with_query(path, watch="true", **query))
        try:
            yield events
        finally:
            events.close()

    def _newest(self, events: Generator[Any], path: str) -> Generator[Any]:
        """The same; once more when another kind has been written since the last write of this one.

        Such a watch waits until the server's cache is as new as etcd, and an etcd before 3.4.31 does not tell how
        far a kind is: only the next write of that kind does.
        """
        for event in events:
            if "Too large resource version" not in event["object"].get("message", ""):
                yield event
                break
            (self.create_map if "/configmaps" in path else self.create_widget)(self.namespace(), "newest")
            yield from self.server.watch(path)
            return
        yield from events

    def compact(self) -> None:
        """Make all versions handed out so far too old."""
        if isinstance(self.server, MemoryServer):
            self.server.server.compact()
        elif isinstance(self.server, ApiServer):
            self.server.compact_etcd()
            deadline = time.monotonic() + 60
            while (event := self._first_event(WIDGETS))[
                "type"
            ] == "ERROR":  # 429: the server still fills its cache
                assert time.monotonic() < deadline, f"the kind never came back: {event}"
                time.sleep(0.1)

    def _first_event(self, path: str) -> Any:
        """Out of the cache as it is. To wait for one as new as etcd would be in vain with an etcd before 3.4.31
        once another kind has been written, as such an etcd does not tell how far a watch has come.
        """
        with self.watch(path, resourceVersion="0") as events:
            return next(events)


def maps(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")


def services(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/services" + (f"/{name}" if name else "")


def widgets(namespace: str, name: str = "", subresource: str = "") -> str:
    tail = "".join(f"/{part}" for part in (name, subresource) if part)
    return f"/apis/test.example/v1/namespaces/{namespace}/widgets{tail}"


def widget(name: str) -> dict[str, Any]:
    return {"apiVersion": "test.example/v1", "kind": "Widget", "metadata": {"name": name}}


def with_query(path: str, **query: object) -> str:
    """`_continue` stands for the parameter that is a Python keyword."""
    return f"{path}?{urlencode({name.lstrip('_'): value for name, value in query.items()})}"


@contextmanager
def open_cluster(which: str) -> Iterator[Cluster]:
    """A running server of the wanted sort with Widgets defined; skips where there is no real one."""
    if which == "memory":
        with KubeServer() as server:
            yield _with_widgets(Cluster(MemoryServer(server)))
    elif assets() is None:
        pytest.skip("KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd")
    else:
        with ApiServer() as real:
            yield _with_widgets(Cluster(real))


def _with_widgets(cluster: Cluster) -> Cluster:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.test.example"},
        "spec": {
            "group": "test.example",
            "names": {"plural": "widgets", "kind": "Widget"},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    created = cluster.expect(201, "POST", path, definition)
    query = {"resourceVersion": created["metadata"]["resourceVersion"], "timeoutSeconds": 30}
    with cluster.watch(path, fieldSelector="metadata.name=widgets.test.example", **query) as events:
        while not _established(created):
            created = next(events)["object"]
    deadline = time.monotonic() + 30
    while cluster.request("GET", WIDGETS)[0] != 200:  # the handler is installed a moment later
        assert time.monotonic() < deadline, "the kind never came up"
    return cluster


def _established(definition: Any) -> bool:
    conditions = definition.get("status", {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
