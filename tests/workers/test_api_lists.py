"""Filters, order and pages of the API's lists."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.http import Router
from config.static_load import from_mapping
from tests.workers.fakes import FakeExchange, balancer, environment, router, servers, weighted
from workers.api import APIHandler
from workers.api_lists import ListError, ListQuery, page_of, select
from workers.runtime import Changes, Runtime

P = "@kubernetescrd"


def api(count: int = 3) -> APIHandler:
    routers: dict[str, Router | None] = {
        f"r{number:03}{P}": router(f"Host(`h{number}`)") for number in range(count)
    }
    changes = Changes(
        routers=routers | {"bad" + P: router(service="nope", middlewares=["m"])},
        services={"s" + P: balancer(), "w" + P: weighted("s")},
        endpoints={"s" + P: servers(1, 2)},
    )
    made = Runtime(environment()).updated(1, changes, lambda: None)
    static = from_mapping({"api": {}, "entryPoints": {"web": {"address": ":80"}}})
    return APIHandler(static, lambda: made, lambda: ["noop@internal"])


def get(path: str, count: int = 3) -> FakeExchange:
    exchange = FakeExchange(b"/")
    plain, _, query = path.partition("?")
    exchange.request.set_target(plain.encode(), query.encode())
    api(count)(exchange)
    return exchange


def names(path: str, count: int = 3) -> list[str]:
    return [item["name"].removesuffix(P) for item in json.loads(get(path, count).body)]


def header(exchange: FakeExchange, name: bytes) -> bytes:
    return dict(exchange.headers)[name]


@pytest.mark.behaviour("OP-25")
def test_a_hundred_to_the_page() -> None:
    first = get("/api/http/routers", 100)
    assert (len(json.loads(first.body)), header(first, b"X-Next-Page")) == (100, b"2")
    second = get("/api/http/routers?page=2", 100)
    assert (len(json.loads(second.body)), header(second, b"X-Next-Page")) == (1, b"1")


@pytest.mark.behaviour("OP-26")
@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/api/http/routers?page=99", 400, "invalid request: page: 99, per_page: 100"),
        ("/api/http/routers?per_page=0", 400, "invalid request: per_page: 0"),
        ("/api/http/routers?per_page=x", 400, "invalid request: per_page: 0"),
        ("/api/http/routers?page=-2", 400, "invalid request: page: -2"),
        ("/api/http/routers/x", 404, "router not found: x"),
        ("/api/http/services/x%2Fy", 404, "service not found: x/y"),
        ("/api/http/middlewares/x", 404, "middleware not found: x"),
        ("/api/entrypoints/x", 404, "entry point not found: x"),
    ],
)
def test_errors_are_json_in_plain_text(path: str, status: int, message: str) -> None:
    exchange = get(path)
    assert (exchange.status, json.loads(exchange.body)) == (status, {"message": message})
    assert header(exchange, b"Content-Type") == b"text/plain; charset=utf-8"


@pytest.mark.behaviour("OP-27")
def test_search_and_status_combine() -> None:
    assert names("/api/http/routers?search=R00") == ["r000", "r001", "r002"]
    assert names("/api/http/routers?search=`H1") == ["r001"]
    assert names("/api/http/routers?status=DISABLED") == ["bad"]
    assert names("/api/http/routers?status=disabled&search=r0") == []
    assert names("/api/http/routers?middlewareName=m@kubernetescrd") == ["bad"]
    assert names("/api/http/routers?serviceName=s@kubernetescrd") == ["r000", "r001", "r002"]


def test_order() -> None:
    assert names("/api/http/routers?direction=desc") == ["r002", "r001", "r000", "bad"]
    assert names("/api/http/services?sortBy=servers") == ["noop@internal", "w", "s"]
    assert names("/api/http/routers?sortBy=nonsense") == ["bad", "r000", "r001", "r002"]


@pytest.mark.behaviour("OP-31")
def test_one_router() -> None:
    item = json.loads(get(f"/api/http/routers/r000{P}").body)
    assert (item["name"], item["provider"]) == ("r000" + P, "kubernetescrd")
    assert (item["priority"], item["priorityStr"]) == (10, "10")


def test_one_service() -> None:
    item = json.loads(get(f"/api/http/services/w{P}").body)
    assert item["type"] == "weighted"


def test_entry_points_are_shown_with_their_defaults() -> None:
    assert json.loads(get("/api/entrypoints/web").body) == {
        "address": ":80",
        "transport": {
            "lifeCycle": {"graceTimeOut": "10s"},
            "respondingTimeouts": {"readTimeout": "1m0s", "idleTimeout": "3m0s"},
        },
        "forwardedHeaders": {},
        "http": {"sanitizePath": True, "maxHeaderBytes": 1048576},
        "http2": {
            "maxConcurrentStreams": 250,
            "maxDecoderHeaderTableSize": 4096,
            "maxEncoderHeaderTableSize": 4096,
        },
        "udp": {"timeout": "3s"},
        "name": "web",
    }


@pytest.mark.parametrize("path", ["tcp/routers", "tcp/services", "udp/routers", "http/middlewares"])
def test_lists_of_what_is_not_there_are_empty(path: str) -> None:
    exchange = get(f"/api/{path}")
    assert (exchange.body, header(exchange, b"X-Next-Page")) == (b"[]\n", b"1")


ITEMS: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.fixed_dictionaries({"name": st.text(max_size=3), "priority": st.integers(-3, 3)}), max_size=12
)


@given(ITEMS, st.integers(1, 5), st.sampled_from(["name", "priority"]), st.booleans())
def test_pages_together_are_the_whole_list(
    items: list[dict[str, Any]], per_page: int, sort_by: str, descending: bool
) -> None:
    seen, page = [], 1
    while True:
        query = ListQuery(page=page, per_page=per_page, sort_by=sort_by, descending=descending)
        part, following = page_of(select(items, query), query)
        seen += part
        if following == 1:
            break
        page = following
    assert seen == select(items, ListQuery(sort_by=sort_by, descending=descending))
    assert len(seen) == len(items)


@given(st.dictionaries(st.sampled_from([b"page", b"per_page", b"sortBy"]), st.lists(st.binary(), min_size=1)))
def test_any_query_is_read_or_refused(values: dict[bytes, list[bytes]]) -> None:
    try:
        query = ListQuery.of(values)
    except ListError:
        return
    assert query.page >= 1
    assert query.per_page >= 1
