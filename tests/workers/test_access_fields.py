"""Lines of the format json."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from config.http import IngressSource, KubernetesSource
from config.static_observability import AccessLogFields, FieldHeaders, QueryParameters
from tests.workers.observed import Observed, noted, route
from workers.access_fields import canonical, json_formatter, rfc3339, wants_headers


def line(exchange: Observed, fields: AccessLogFields | None = None) -> dict[str, Any]:
    note = exchange.note or noted(exchange)
    text = json_formatter(fields or AccessLogFields())("web", exchange, note, 0.25, exchange.status, 4)
    assert text.endswith(b"}\n")
    found: dict[str, Any] = json.loads(text)
    assert list(found) == sorted(found)
    return found


@pytest.mark.behaviour("OP-50")
def test_by_default() -> None:
    exchange = Observed()
    noted(
        exchange,
        route=route(),
        service="s@p",
        server="http://10.0.0.7:80",
        origin_seconds=0.125,
        origin_status=200,
        origin_bytes=5,
        received_bytes=2,
        retries=1,
    )
    found = line(exchange)
    for name in ("StartUTC", "StartLocal", "time"):
        assert found.pop(name)
    assert found == {
        "ClientAddr": "10.0.0.1:999",
        "ClientHost": "10.0.0.1",
        "ClientPort": "999",
        "ClientUsername": "-",
        "DownstreamContentSize": 5,
        "DownstreamStatus": 200,
        "Duration": 250_000_000,
        "OriginContentSize": 5,
        "OriginDuration": 125_000_000,
        "OriginStatus": 200,
        "Overhead": 125_000_000,
        "RequestAddr": "a:81",
        "RequestContentSize": 2,
        "RequestCount": 4,
        "RequestHost": "a",
        "RequestMethod": "GET",
        "RequestPath": "/a?b=c",
        "RequestPort": "81",
        "RequestProtocol": "HTTP/1.1",
        "RequestScheme": "http",
        "RetryAttempts": 1,
        "RouterName": "r@p",
        "ServiceAddr": "10.0.0.7:80",
        "ServiceName": "s@p",
        "ServiceURL": "http://10.0.0.7:80",
        "entryPointName": "web",
        "level": "info",
        "msg": "",
    }


def test_what_was_not_reached_is_absent() -> None:
    exchange = Observed(b"GET /a HTTP/1.0\r\n\r\n", ip="::1")
    noted(exchange, 404, 19)
    found = line(exchange)
    assert found["ClientAddr"] == "[::1]:999"
    assert found["GzipRatio"] == 0
    absent = {
        "RequestAddr",
        "RequestHost",
        "RequestPort",
        "RouterName",
        "ServiceName",
        "ServiceURL",
        "ServiceAddr",
    }
    assert not absent & found.keys()
    assert found["RequestProtocol"] == "HTTP/1.0"


@pytest.mark.parametrize(
    ("host", "parts"),
    [(b"a", ("a", "-")), (b"a:1", ("a", "1")), (b"[::1]:80", ("::1", "80")), (b"[::1]", ("[::1]", "-"))],
)
def test_hosts_and_ports(host: bytes, parts: tuple[str, str]) -> None:
    found = line(Observed(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host))
    assert (found["RequestHost"], found["RequestPort"]) == parts


@pytest.mark.behaviour("OP-50")
def test_headers_by_mode() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nx-one: 1\r\nX-One: 2\r\nAuthorization: secret\r\nCookie: c\r\n\r\n"
    exchange = Observed(head)
    noted(exchange, origin_headers=[(b"Server", b"me")], sent_headers=[(b"x-b", b"\xff")])
    assert not any("_" in name for name in line(exchange))
    fields = AccessLogFields(
        headers=FieldHeaders(default_mode="redact", names={"x-one": "keep", "COOKIE": "drop", "X-B": "keep"})
    )
    found = {name: value for name, value in line(exchange, fields).items() if "_" in name}
    forwarded = [name for name in found if name.startswith("request_X-Forwarded") or name == "request_X-Real-Ip"]
    assert all(found.pop(name) == "REDACTED" for name in forwarded)
    assert found == {
        "downstream_X-B": "\ufffd",
        "origin_Server": "REDACTED",
        "request_Authorization": "REDACTED",
        "request_X-One": "1,2",
    }
    assert canonical(b"www-AUTHENTICATE") == "Www-Authenticate"
    assert not wants_headers(FieldHeaders(names={"a": "drop"}))


def test_fields_are_dropped_and_kept_by_name() -> None:
    kept = AccessLogFields(default_mode="drop", names={"requestpath": "keep"})
    assert line(Observed(), kept).keys() == {"RequestPath", "level", "msg", "time"}
    dropped = AccessLogFields(names={"RequestPath": "drop"})
    assert "RequestPath" not in line(Observed(), dropped)
    bare = AccessLogFields(query_parameters=QueryParameters(default_mode="drop"))
    assert line(Observed(), bare)["RequestPath"] == "/a"


def test_where_a_route_comes_from() -> None:
    exchange = Observed()
    parent, child = route("up@p"), route("low@p")
    parent.source = IngressSource(namespace="n", name="up", kind="IngressRoute")
    noted(exchange, route=parent, source=KubernetesSource(namespace="m", name="svc", port="80"))
    found = line(exchange)
    assert (found["KubernetesIngressRouteName"], found["KubernetesIngressRouteNamespace"]) == ("up", "n")
    assert (found["KubernetesServiceName"], found["KubernetesServicePort"]) == ("svc", "80")
    child.source = IngressSource(namespace="n", name="low")
    noted(exchange, route=parent, below=(child,))
    assert line(exchange)["KubernetesIngressName"] == "low"


@pytest.fixture
def tokyo() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def test_moments(tokyo: None) -> None:
    assert rfc3339(1_234_567_890_000_000_000, local=False) == "2009-02-13T23:31:30Z"
    assert rfc3339(1_234_567_891_120_000_000, local=False) == "2009-02-13T23:31:31.12Z"
    assert rfc3339(1_234_567_892_000_000_001, local=True) == "2009-02-14T08:31:32.000000001+09:00"
