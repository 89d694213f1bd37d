"""The in-memory API server's own side: its Python interface, failures on demand, sockets and speed.

What it has in common with a real server is tested in `test_kube_objects.py` and `test_kube_reads.py`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.kube import ApiError, Kind, KubeServer
from tests.kube.cluster import MERGE, MemoryServer, with_query

ROUTES = "/apis/traefik.io/v1alpha1/ingressroutes"
SERVICES = "/api/v1/services"
DEADLINE = 10.0

MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: whoami, namespace: web}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: whoami, namespace: web, annotations: {since: 2024-01-02T03:04:05Z}}
spec: {entryPoints: [web], routes: [{kind: Rule, match: Host(`a.test`), services: [{name: whoami, port: 80}]}]}
"""


@pytest.fixture
def server() -> Iterator[KubeServer]:
    with KubeServer() as started:
        yield started


@pytest.fixture
def client(server: KubeServer) -> MemoryServer:
    return MemoryServer(server)


class Follower:
    """Reads a watch in a thread, so that a test can act while it is open."""

    def __init__(self, server: KubeServer, path: str, **query: object) -> None:
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
        self._connection.request("GET", with_query(path, watch="true", **query))
        self._response = self._connection.getresponse()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        unread = b""
        try:
            while piece := self._response.read1():  # readline would hide that the last chunk is missing
                *lines, unread = (unread + piece).split(b"\n")
                for line in lines:
                    self._events.put(json.loads(line))
            self._events.put("end")
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._events.put(error)

    def next(self) -> Any:
        """The next event, `end` after a clean end, or the error that broke the stream."""
        return self._events.get(timeout=DEADLINE)

    def next_name(self) -> tuple[str, str]:
        event = self.next()
        return event["type"], event["object"]["metadata"].get("name", "")

    @property
    def silent(self) -> bool:
        return self._events.empty()

    def close(self) -> None:
        if self._connection.sock is not None:
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(DEADLINE)
        self._response.close()
        self._connection.close()


@pytest.fixture
def follow(server: KubeServer) -> Generator[Any]:
    followers: list[Follower] = []

    def start(path: str, **query: object) -> Follower:
        followers.append(Follower(server, path, **query))
        return followers[-1]

    yield start
    for follower in followers:
        follower.close()


def route(number: int, host: str = "a") -> dict[str, Any]:
    services = [{"name": "whoami", "port": 80}]
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": f"r{number}", "namespace": f"ns{number % 50}", "labels": {"half": str(number % 2)}},
        "spec": {"routes": [{"kind": "Rule", "match": f"Host(`{host}{number}.test`)", "services": services}]},
    }


# --- objects ----------------------------------------------------------------------------------------------


def test_apply_creates_then_replaces(server: KubeServer) -> None:
    service, created = server.apply(MANIFESTS)
    assert service["spec"]["clusterIP"]
    assert created["metadata"]["annotations"] == {"since": "2024-01-02T03:04:05Z"}
    _, replaced = server.apply(MANIFESTS.replace("a.test", "b.test").replace("since", "until"))
    assert server.get("IngressRoute", "web", "whoami") == replaced
    assert replaced["metadata"]["annotations"] == {"until": "2024-01-02T03:04:05Z"}
    for field in ("uid", "creationTimestamp"):
        assert replaced["metadata"][field] == created["metadata"][field]
    assert replaced["metadata"]["generation"] == 2
    assert int(replaced["metadata"]["resourceVersion"]) > int(created["metadata"]["resourceVersion"])


def test_apply_of_the_same_is_no_write(server: KubeServer) -> None:
    first = server.apply(MANIFESTS)
    version = server.version
    assert server.apply(MANIFESTS) == first
    assert server.version == version


def test_apply_takes_dicts_and_lists_and_sets_status(server: KubeServer) -> None:
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n"},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]},
    }
    (stored,) = server.apply(node)
    assert "namespace" not in stored["metadata"]
    del node["status"]
    server.apply({"apiVersion": "v1", "kind": "List", "items": [node, route(1)]})
    assert server.get("Node", "", "n")["status"]["addresses"][0]["address"] == "192.0.2.1"
    assert len(server.objects("ingressroutes")) == 1
    server.apply([route(2), route(3)])
    assert [one["metadata"]["name"] for one in server.objects("IngressRoute", "ns2")] == ["r2"]
    with pytest.raises(KeyError, match=r"apiVersion 'v9'"):
        server.apply({"apiVersion": "v9", "kind": "Service", "metadata": {"name": "x"}})


def test_delete_and_get(server: KubeServer) -> None:
    server.apply(MANIFESTS)
    server.delete("services", "web", "whoami")
    with pytest.raises(ApiError, match=r'services "whoami" not found'):
        server.get("Service", "web", "whoami")
    with pytest.raises(ApiError, match="404"):
        server.delete("Service", "web", "whoami")
    with pytest.raises(KeyError, match="Nothing"):
        server.objects("Nothing")


def test_namespaces_come_with_their_objects_and_take_them_along(server: KubeServer) -> None:
    server.apply(MANIFESTS)
    assert server.get("Namespace", "", "web")["metadata"]["labels"] == {"kubernetes.io/metadata.name": "web"}
    server.delete("Namespace", "", "web")
    assert server.objects("Service") == server.objects("IngressRoute") == []


def test_set_endpoints(server: KubeServer) -> None:
    server.set_endpoints("web", "whoami", ["10.0.0.1", "10.0.0.2"], port=8080, port_name="http")
    (only,) = server.objects("EndpointSlice")
    assert only["metadata"]["labels"]["kubernetes.io/service-name"] == "whoami"
    assert only["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert only["endpoints"][1] == {"addresses": ["10.0.0.2"], "conditions": {"ready": True}}
    own: dict[str, Any] = {"addresses": ["10.0.0.3"], "conditions": {"ready": False, "serving": True}}
    server.set_endpoints("web", "whoami", ["10.0.0.1", own], ready=None, terminating=True)
    (only,) = server.objects("EndpointSlice")
    assert [one["conditions"] for one in only["endpoints"]] == [{"terminating": True}, own["conditions"]]
    server.set_endpoints("web", "whoami", ["2001:db8::1"], slice_name="whoami-v6")
    assert [one["addressType"] for one in server.objects("endpointslices")] == ["IPv4", "IPv6"]


def test_validators_refuse_objects(server: KubeServer, client: MemoryServer) -> None:
    def check(document: dict[str, Any]) -> list[str]:
        return [] if document["spec"].get("routes") else ["spec.routes: Required value", "no routes"]

    server.validators["IngressRoute"] = check
    body = {**route(1), "metadata": {"name": "r"}, "spec": {}}
    code, status = client.request("POST", ROUTES.replace("ingress", "namespaces/web/ingress"), body)
    assert (code, status["reason"]) == (422, "Invalid")
    assert status["message"] == (
        'IngressRoute.traefik.io "r" is invalid: [spec.routes: Required value, no routes]'
    )
    assert status["details"]["causes"] == [
        {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.routes"},
        {"reason": "FieldValueInvalid", "message": "no routes"},
    ]
    with pytest.raises(ApiError, match=r"spec\.routes"):
        server.apply(body)
    server.apply(route(1))


def test_without_a_status_subresource(client: MemoryServer) -> None:
    path = "/apis/traefik.io/v1alpha1/namespaces/ns1/ingressroutes/r1"
    with KubeServer(crd_status=False) as server:
        server.apply({**route(1), "status": {"conditions": []}})
        plain = MemoryServer(server)
        assert plain.request("GET", f"{path}/status")[0] == 404
        patched = plain.request("PATCH", path, {"status": {"conditions": [1]}}, None, MERGE)[1]
        assert patched["status"] == {"conditions": [1]}
        assert patched["metadata"]["generation"] == 2


# --- kinds and rules --------------------------------------------------------------------------------------


def test_a_kind_can_go_and_come_back(server: KubeServer, client: MemoryServer, follow: Any) -> None:
    server.apply(MANIFESTS)
    watch = follow(ROUTES)
    assert watch.next_name() == ("ADDED", "whoami")
    server.remove_kind("ingressroutes")
    assert watch.next() == "end"
    assert client.request("GET", ROUTES) == (404, "404 page not found\n")
    listed = client.request("GET", "/apis/traefik.io/v1alpha1")[1]["resources"]
    assert "ingressroutes" not in {one["name"] for one in listed}
    with pytest.raises(KeyError):
        server.apply(MANIFESTS)
    server.add_kind("ingressroutes")
    assert len(client.request("GET", ROUTES)[1]["items"]) == 1


def test_removing_a_kind_with_its_objects(server: KubeServer, follow: Any) -> None:
    server.apply(MANIFESTS)
    watch = follow(ROUTES)
    watch.next()
    server.remove_kind("IngressRoute", delete_objects=True)
    assert watch.next_name() == ("DELETED", "whoami")
    assert watch.next() == "end"
    server.add_kind("IngressRoute")
    assert server.objects("IngressRoute") == []


def test_kinds_that_are_off_by_default_and_new_ones(server: KubeServer, client: MemoryServer) -> None:
    grants = "/apis/gateway.networking.k8s.io/v1beta1/referencegrants"
    assert client.request("GET", grants)[0] == 404
    server.add_kind("referencegrants")
    assert client.request("GET", grants)[1]["kind"] == "ReferenceGrantList"
    server.add_kind(Kind("my.example", "v1", "things", "Thing", custom=True))
    server.apply({"apiVersion": "my.example/v1", "kind": "Thing", "metadata": {"name": "one"}})
    assert client.request("GET", "/apis/my.example/v1/things")[1]["items"]


def test_deleting_a_definition_removes_its_kind(server: KubeServer, client: MemoryServer) -> None:
    names = {"plural": "things", "kind": "Thing", "shortNames": ["th"]}
    versions = [{"name": "v1", "served": True, "storage": True}]
    server.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.my.example"},
            "spec": {"group": "my.example", "scope": "Cluster", "names": names, "versions": versions},
        }
    )
    server.apply({"apiVersion": "my.example/v1", "kind": "Thing", "metadata": {"name": "one"}})
    assert client.request("GET", "/apis/my.example/v1/things/one")[0] == 200
    server.delete("CustomResourceDefinition", "", "things.my.example")
    assert client.request("GET", "/apis/my.example/v1/things/one")[0] == 404


def test_forbid_and_allow(server: KubeServer, client: MemoryServer) -> None:
    server.forbid("Service", "list")
    code, status = client.request("GET", "/api/v1/namespaces/web/services")
    assert (code, status["reason"], status["details"]) == (403, "Forbidden", {"kind": "services"})
    assert status["message"].startswith("services is forbidden: User ")
    assert status["message"].endswith('cannot list resource "services" in API group "" in the namespace "web"')
    assert client.request("GET", with_query(SERVICES, watch="true", timeoutSeconds=1))[0] == 200
    server.forbid("ingressroutes/status", "patch")
    server.apply(MANIFESTS)
    path = "/apis/traefik.io/v1alpha1/namespaces/web/ingressroutes/whoami"
    assert client.request("PATCH", f"{path}/status", {"status": {}}, None, MERGE)[0] == 403
    assert client.request("PATCH", path, {"spec": {"a": 1}}, None, MERGE)[0] == 200
    server.forbid("services")
    assert client.request("DELETE", "/api/v1/namespaces/web/services/whoami")[0] == 403
    server.allow("services")
    assert client.request("GET", SERVICES)[0] == 200


def test_token(client: MemoryServer) -> None:
    with KubeServer(token="first") as server:
        guarded = MemoryServer(server)
        for token in (None, "other"):
            code, status = guarded.request("GET", SERVICES, None, token)
            assert (code, status["reason"]) == (401, "Unauthorized")
        assert guarded.request("GET", SERVICES, None, "first")[0] == 200
        server.token = "second"
        assert guarded.request("GET", SERVICES, None, "first")[0] == 401
        assert guarded.request("GET", SERVICES, None, "second")[0] == 200


# --- watches on demand ------------------------------------------------------------------------------------


def test_watchers_are_counted(server: KubeServer, follow: Any) -> None:
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


def test_dropped_watches(server: KubeServer, follow: Any) -> None:
    broken, other = follow(ROUTES), follow(SERVICES)
    server.wait_for_watchers(["IngressRoute", "Service"], DEADLINE)
    assert server.drop_watches("IngressRoute") == 1
    assert isinstance(broken.next(), http.client.IncompleteRead)
    assert server.drop_watches(clean=True) >= 1
    assert other.next() == "end"


def test_bookmarks_on_demand(server: KubeServer, follow: Any) -> None:
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


def test_bookmarks_at_intervals(server: KubeServer, follow: Any) -> None:
    server.settings.bookmark_interval_seconds = 0.02
    watch = follow(ROUTES, allowWatchBookmarks="true")
    assert [watch.next_name()[0] for _ in range(3)] == ["BOOKMARK"] * 3


def test_errors_and_nonsense_in_a_stream(server: KubeServer, follow: Any) -> None:
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


def test_a_watch_that_is_left_behind_by_compaction_gets_410(server: KubeServer, follow: Any) -> None:
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
def test_outage_with_a_status(server: KubeServer, follow: Any, code: Any, reason: str) -> None:
    watch = follow(ROUTES)
    server.wait_for_watchers(["IngressRoute"], DEADLINE)
    with (
        server.outage(code, retry_after_seconds=7),
        pytest.raises(urllib.error.HTTPError) as caught,
        caught_response(server.url + SERVICES),
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
    with caught_response(server.url + SERVICES) as response:
        assert response.status == 200


def caught_response(url: str) -> http.client.HTTPResponse:
    response: http.client.HTTPResponse = urllib.request.urlopen(url, timeout=DEADLINE)
    return response


def test_outage_of_some_kinds(server: KubeServer, client: MemoryServer, follow: Any) -> None:
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


def test_outage_that_keeps_watches(server: KubeServer, follow: Any) -> None:
    watch = follow(ROUTES)
    server.wait_for_watchers(["IngressRoute"], DEADLINE)
    with server.outage(500, keep_watches=True):
        server.apply(MANIFESTS)
        assert watch.next_name() == ("ADDED", "whoami")


def test_hanging(server: KubeServer, follow: Any) -> None:
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


def test_refusing_keeps_the_port(server: KubeServer, client: MemoryServer, follow: Any) -> None:
    watch = follow(ROUTES)
    port = server.port
    with server.outage("refuse"):
        assert isinstance(watch.next(), http.client.IncompleteRead)
        with pytest.raises(ConnectionRefusedError):
            client.request("GET", SERVICES)
    assert server.port == port
    assert client.request("GET", SERVICES)[0] == 200


# --- process hygiene --------------------------------------------------------------------------------------


def test_stop_and_start_again(client: MemoryServer, server: KubeServer) -> None:
    server.apply(MANIFESTS)
    port, version = server.port, server.version
    for hold_port in (True, False):
        server.stop(hold_port=hold_port)
        server.stop(hold_port=hold_port)
        with pytest.raises(ConnectionRefusedError):
            client.request("GET", SERVICES)
        server.start()
        server.start()
        assert (server.port, server.version) == (port, version)
        assert len(client.request("GET", SERVICES)[1]["items"]) == 1


def test_nothing_is_left_after_stop() -> None:
    before = resources()
    server = KubeServer()
    with server:
        followers = [Follower(server, ROUTES) for _ in range(3)]
        idle = socket.create_connection(("127.0.0.1", server.port))
        server.wait_until(lambda: server.watchers("IngressRoute") == 3, DEADLINE)
        server.drop_watches()
        with server.outage("hang"):
            idle.sendall(b"GET /version HTTP/1.1\r\n\r\n")
            server.stop()
    for follower in followers:
        follower.close()
    idle.close()
    del follower, followers
    assert resources() == before
    assert server.watchers("IngressRoute") == 0


def resources() -> tuple[set[str], int]:
    names = {thread.name for thread in threading.enumerate() if thread.name.startswith("kube-")}
    return names, psutil.Process().num_fds()


def test_requests_are_logged(server: KubeServer, client: MemoryServer) -> None:
    client.request("GET", with_query(SERVICES, limit=5, labelSelector="a=b"))
    last = server.requests[-1]
    assert (last.method, last.path) == ("GET", SERVICES)
    assert last.query == {"limit": "5", "labelSelector": "a=b"}
    assert last.user_agent == ""
    with caught_response(server.url + "/version"):
        pass
    assert server.requests[-1].user_agent.startswith("Python-urllib")
    assert server.request_count == 2
    server.forget_requests()
    assert server.requests == []
    assert server.request_count == 2


def test_keep_alive_chunked_bodies_and_expectations(server: KubeServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
    body = json.dumps({"metadata": {"name": "one"}}).encode()
    connection.request(
        "POST", "/api/v1/namespaces/web/configmaps", iter([body[:9], body[9:]]), encode_chunked=True
    )
    with connection.getresponse() as response:
        assert response.status == 201
        response.read()
    connection.request("HEAD", "/version")
    with connection.getresponse() as response:
        assert (response.status, response.read()) == (200, b"")
    watched = with_query("/api/v1/configmaps", watch="true", timeoutSeconds=1)
    connection.request("GET", watched)
    with connection.getresponse() as response:
        assert json.loads(response.read())["object"]["metadata"]["name"] == "one"
    connection.request("GET", "/version", headers={"Expect": "100-continue", "Connection": "close"})
    with connection.getresponse() as response:
        assert response.status == 200
        response.read()
    connection.close()


@pytest.mark.parametrize("line", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"\xff\xfe\r\n\r\n"])
def test_nonsense_closes_the_connection(server: KubeServer, line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as asking:
        asking.sendall(line)
        assert asking.recv(1) == b""


# --- TLS --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key, good for servers and clients."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "tls.crt").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "tls.crt", folder / "tls.key"


def test_tls_with_token_or_client_certificate(certificate: tuple[Path, Path]) -> None:
    path, key = certificate
    with KubeServer(token="secret", tls_cert=path, tls_key=key, client_ca=path) as server:
        assert server.url == f"https://127.0.0.1:{server.port}"
        server.apply(MANIFESTS)
        anonymous = ssl.create_default_context(cafile=str(path))
        certified = ssl.create_default_context(cafile=str(path))
        certified.load_cert_chain(path, key)
        assert tls_get(server, anonymous, "/version") == 401
        assert tls_get(server, anonymous, "/version", {"Authorization": "Bearer secret"}) == 200
        assert tls_get(server, certified, with_query(ROUTES, watch="true", timeoutSeconds=1)) == 200
        with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                while plain.recv(100):
                    pass  # an alert, then the end


def test_a_watch_over_tls_notices_that_its_client_goes(certificate: tuple[Path, Path]) -> None:
    path, key = certificate
    context = ssl.create_default_context(cafile=str(path))
    with KubeServer(tls_cert=path, tls_key=key) as server:
        connection = http.client.HTTPSConnection("localhost", server.port, context=context, timeout=DEADLINE)
        connection.request("GET", with_query(ROUTES, watch="true"))
        with connection.getresponse() as response:
            server.wait_for_watchers(["IngressRoute"], DEADLINE)
            server.apply(MANIFESTS)
            assert json.loads(response.readline())["type"] == "ADDED"
        connection.close()
        server.wait_until(lambda: server.watchers("IngressRoute") == 0, DEADLINE)


def tls_get(server: KubeServer, context: ssl.SSLContext, path: str, headers: dict[str, str] | None = None) -> int:
    connection = http.client.HTTPSConnection("localhost", server.port, context=context, timeout=DEADLINE)
    try:
        connection.request("GET", path, headers=headers or {})
        with connection.getresponse() as response:
            response.read()
            return response.status
    finally:
        connection.close()


# --- size -------------------------------------------------------------------------------------------------


def test_ten_thousand_objects_and_many_changes(server: KubeServer, client: MemoryServer, follow: Any) -> None:
    """Bounds are several times what a slow machine needs; they catch quadratic work, not noise."""
    count, changes = 10_000, 2_000
    started = time.monotonic()
    server.apply([route(number) for number in range(count)])
    assert len(client.request("GET", ROUTES)[1]["items"]) == count
    assert len(client.request("GET", with_query(ROUTES, labelSelector="half=1"))[1]["items"]) == count // 2
    seen, token = 0, ""
    while True:
        query = {"limit": 500, **({"_continue": token} if token else {})}
        page = client.request("GET", with_query(ROUTES, **query))[1]
        seen += len(page["items"])
        token = page["metadata"]["continue"]
        if not token:
            break
    assert seen == count
    watches = [follow(ROUTES, resourceVersion=server.version) for _ in range(3)]
    watches.append(follow(ROUTES, resourceVersion=server.version, labelSelector="half=0"))
    server.wait_until(lambda: server.watchers("IngressRoute") == len(watches), DEADLINE)
    for number in range(changes):
        server.apply(route(number, "b"))
    for watch, expected in zip(watches, [changes] * 3 + [changes // 2], strict=True):
        versions = [int(watch.next()["object"]["metadata"]["resourceVersion"]) for _ in range(expected)]
        assert versions == sorted(versions)
        assert watch.silent
    assert time.monotonic() - started < 60
