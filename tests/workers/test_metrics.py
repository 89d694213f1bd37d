"""Counting: which rows a request adds to, and what happens where there is no place left."""

from __future__ import annotations

import pytest

from config import counters
from config.counters import CounterPage
from config.static_observability import Prometheus
from tests.workers.observed import Observed, noted, route
from workers.metrics import Metrics, encode_key, grpc_status, is_live, method_label, protocol_label

ALL = Prometheus(add_routers_labels=True, buckets=[0.1, 1.0])


def rows(page: CounterPage, slot: int = 0) -> dict[str, tuple[float, ...]]:
    """By key with commas, without the row that says which buckets there are."""
    found = {key.replace(b"\0", b",").decode(): values for key, values in page.read([slot])}
    return {key: values for key, values in found.items() if not key.startswith("B,")}


def test_one_request_is_counted_at_every_level() -> None:
    page = CounterPage.create()
    metrics = Metrics(ALL, page.region(0))
    exchange = Observed()
    note = noted(exchange, sent_bytes=7, route=route(), service="s@p", origin_status=200, origin_bytes=9)
    note.received_bytes = 3
    metrics.attempt(exchange, note, 0.5)
    metrics.request("web", exchange, note, 0.75, 200)
    assert rows(page) == {
        "S,s@p,200,GET,http": (1.0, 0.5, 0.0, 1.0, 3.0, 9.0),
        "E,web,200,GET,http": (1.0, 0.75, 0.0, 1.0, 3.0, 7.0),
        "R,r@p,s@p,200,GET,http": (1.0, 0.75, 0.0, 1.0, 3.0, 7.0),
    }


def test_a_duration_is_in_the_first_bucket_that_holds_it() -> None:
    page = CounterPage.create()
    metrics = Metrics(ALL, page.region(0))
    for seconds in (0.1, 0.1000001, 1.0, 5.0):
        exchange = Observed()
        metrics.request("web", exchange, noted(exchange, sent_bytes=0), seconds, 200)
    assert rows(page)["E,web,200,GET,http"][2:4] == (1.0, 2.0)


@pytest.mark.behaviour("OP-39")
@pytest.mark.behaviour("OP-40")
def test_levels_can_be_switched_off() -> None:
    page = CounterPage.create()
    metrics = Metrics(Prometheus(), page.region(0))
    exchange = Observed()
    metrics.request("web", exchange, noted(exchange), 0.1, 404)
    assert list(rows(page)) == ["E,web,404,GET,http"]
    metrics = Metrics(Prometheus(add_entry_points_labels=False, add_services_labels=False), page.region(1))
    note = noted(exchange, route=route(), service="s@p")
    metrics.request("web", exchange, note, 0.1, 200)
    metrics.attempt(exchange, note, 0.1)
    metrics.retried(note)
    assert rows(page, 1) == {}


def test_every_router_of_a_tree_is_counted() -> None:
    page = CounterPage.create()
    metrics = Metrics(ALL, page.region(0))
    exchange = Observed()
    note = noted(exchange, route=route("up@p", "up@p-muxer"), below=(route("low@p"),))
    metrics.request("web", exchange, note, 0.1, 200)
    assert {key for key in rows(page) if key[0] == "R"} == {
        "R,up@p,up@p-muxer,200,GET,http",
        "R,low@p,s@p,200,GET,http",
    }


def test_a_router_that_is_not_counted_counts_no_attempts() -> None:
    page = CounterPage.create()
    metrics = Metrics(ALL, page.region(0))
    exchange = Observed()
    note = noted(exchange, route=route(visible=2), service="s@p")
    metrics.attempt(exchange, note, 0.1)
    metrics.retried(note)
    assert rows(page) == {}
    assert noted(exchange).retries == 0


def test_retries() -> None:
    page = CounterPage.create()
    exchange = Observed()
    note = noted(exchange, route=route(), service="s@p", metrics=Metrics(ALL, page.region(0)))
    note.retried()
    note.retried()
    assert (note.retries, rows(page)) == (2, {"T,s@p": (2.0,)})


@pytest.mark.parametrize(
    ("lines", "label"),
    [
        (b"", b"http"),
        (b"Accept: a, text/event-stream\r\n", b"sse"),
        (b"accept: text/event-stream\r\nContent-Type: application/grpc\r\n", b"sse"),
        (b"Content-Type: application/grpc+proto\r\n", b"grpc"),
        (b"content-type: application/grpc-web-text\r\n", b"grpc-web"),
        (b"X-Accepting: text/event-stream\r\n", b"http"),
        (b"Connection: Upgrade\r\nUpgrade: WebSocket\r\nAccept: text/event-stream\r\n", b"websocket"),
        (b"Connection: Upgrade\r\nUpgrade: other\r\n", b"http"),
    ],
)
def test_protocols(lines: bytes, label: bytes) -> None:
    assert protocol_label(Observed(b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n" % lines)) == label


@pytest.mark.behaviour("OP-42")
def test_methods_and_grpc_statuses() -> None:
    assert [method_label(method) for method in (b"PATCH", b"PRI", b"FOO", b"\xff")] == [
        b"PATCH",
        b"PRI",
        b"EXTENSION_METHOD",
        b"NON_UTF8_HTTP_METHOD",
    ]
    exchange, page = Observed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\n\r\n"), None
    note = noted(exchange, protocol=protocol_label(exchange), grpc_lines=[(b"GRPC-Status", b" 7 ")])
    note.method = b"FOO"
    page = CounterPage.create()
    Metrics(ALL, page.region(0)).request("web", exchange, note, 0.1, 200)
    assert list(rows(page)) == ["E,web,7,EXTENSION_METHOD,grpc"]
    assert grpc_status(noted(exchange, grpc_lines=[(b"grpc-status", b"x")])) == 2
    assert grpc_status(noted(exchange)) == 2


def test_labels_from_headers_are_bounded_and_cannot_break_keys() -> None:
    page = CounterPage.create()
    options = Prometheus(header_labels={"agent": "User-Agent", "zone": "X-Zone"})
    metrics = Metrics(options, page.region(0))
    head = b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: %b\r\nuser-agent: second\r\n\r\n" % (b"u" * 300)
    exchange = Observed(head)
    metrics.request("web", exchange, noted(exchange), 0.1, 200)
    assert f"EH,web,200,GET,http,{'u' * 256}," in rows(page)
    assert encode_key(("E", b"a\0b", 1)) == b"E\0ab\0001"


def test_other_buckets_begin_anew() -> None:
    page = CounterPage.create()
    exchange = Observed()
    first = page.region(0)
    Metrics(ALL, first).request("web", exchange, noted(exchange), 0.1, 200)
    first.close()
    again = page.region(0)
    Metrics(ALL, again).request("web", exchange, noted(exchange), 0.1, 200)
    assert rows(page)["E,web,200,GET,http"][0] == 2
    again.close()
    Metrics(Prometheus(buckets=[7.0]), page.region(0))
    assert rows(page) == {}


def test_a_full_region_forgets_what_is_gone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(counters, "REGION_BYTES", 1 << 10)
    page = CounterPage.create()
    live = {"s0@p"}
    metrics = Metrics(Prometheus(), page.region(0), lambda: live)
    exchange = Observed()
    for number in range(40):
        note = noted(exchange, route=route(), service=f"s{number}@p", origin_status=200)
        metrics.attempt(exchange, note, 0.1)
    assert not caplog.records
    assert rows(page)["S,s0@p,200,GET,http"][0] == 1
    assert "S,s39@p,200,GET,http" in rows(page)
    live.update(f"s{number}@p" for number in range(1000))
    for _ in range(2):
        for number in range(40):
            note = noted(exchange, route=route(), service=f"s{number}@p", origin_status=200)
            metrics.attempt(exchange, note, 0.1)
    assert [record.getMessage() for record in caplog.records] == [
        "metrics: there are too many series, new ones are not counted"
    ]
    assert rows(page)["S,s0@p,200,GET,http"][0] == 3
    live.clear()
    metrics.reconfigured()
    metrics.attempt(exchange, noted(exchange, route=route(), service="new@p", origin_status=200), 0.1)
    assert list(rows(page)) == ["S,new@p,200,GET,http"]


def test_what_is_live() -> None:
    live = {b"a", b"b"}
    keys = (b"S\0a\0x", b"s\0c\0x", b"RH\0b\0x", b"R\0c\0x", b"T\0c", b"E\0c\0x", b"O\0c", b"B\0x")
    assert [is_live(key, live) for key in keys] == [True, False, True, False, False, True, True, True]
