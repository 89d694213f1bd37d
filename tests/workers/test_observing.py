"""Who sees which request, and what is noted before handlers change it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from config import static_observability as options
from config.http import Observability, Router
from config.static import EntryPoint, StaticConfiguration
from config.static_protocols import Observability as PointObservability
from tests.workers.observed import Observed, route
from tests.workers.test_metrics import rows
from workers.errors import CLIENT_GONE, MISSING_HOST, NOT_FOUND
from workers.exchange import ResponseHead
from workers.observing import CLIENT_LEFT, EntryPointObserver, Observers
from workers.routing.route import COUNTED, LOGGED
from workers.shared import SharedState
from workers.visibility import unmatched_visibility, visibility

LOG = logging.getLogger("workers.tests")


class Stage:
    """An entry point that is observed, and what became of it."""

    def __init__(self, folder: Path, point: EntryPoint | None = None, **access: Any) -> None:
        self.shared = SharedState.private()
        self.path = folder / "log"
        self.point = point or EntryPoint(address=":80")
        log = options.AccessLog(file_path=str(self.path), format="json", **access)
        static = StaticConfiguration(
            entry_points={"web": self.point},
            metrics=options.Metrics(prometheus=options.Prometheus()),
            access_log=log,
        )
        self.observers = Observers(static, self.shared, LOG, frozenset)
        observer = self.observers.for_entry_point("web", self.point)
        assert observer is not None
        self.observer: EntryPointObserver = observer

    def lines(self) -> list[dict[str, Any]]:
        self.observers.close()
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def counted(self) -> list[str]:
        return [key for key in rows(self.shared.counters) if key.startswith("E,")]


def test_without_log_and_metrics_there_is_no_observer() -> None:
    static = StaticConfiguration(entry_points={}, metrics=options.Metrics())
    observers = Observers(static, SharedState.private(), LOG, frozenset)
    assert observers.for_entry_point("web", EntryPoint(address=":80")) is None
    observers.reopen()
    observers.close()


def test_who_only_looks_writes_no_log(tmp_path: Path) -> None:
    static = StaticConfiguration(access_log=options.AccessLog(file_path=str(tmp_path / "folder" / "log")))
    observers = Observers(static, SharedState.private(), LOG, frozenset, serves=False)
    assert observers.for_entry_point("web", EntryPoint(address=":80")) is None
    assert not list(tmp_path.iterdir())


def test_what_handlers_change_was_noted_before(tmp_path: Path) -> None:
    stage, exchange = Stage(tmp_path), Observed()
    stage.observer.begin(exchange)
    assert exchange.note is not None
    exchange.note.route = route()
    exchange.request.set_target(b"/other", None)
    exchange.request.host_header = b"other"
    exchange.status = 200
    stage.observer.end(exchange)
    (line,) = stage.lines()
    assert (line["RequestPath"], line["RequestAddr"], line["entryPointName"]) == ("/a?b=c", "a:81", "web")
    assert stage.counted() == ["E,web,200,GET,http"]


@pytest.mark.parametrize("visible", range(4))
@pytest.mark.behaviour("OP-56")
def test_a_router_may_be_invisible(tmp_path: Path, visible: int) -> None:
    stage, exchange = Stage(tmp_path), Observed()
    stage.observer.begin(exchange)
    assert exchange.note is not None
    exchange.note.route = route(visible=visible)
    exchange.status = 200
    stage.observer.end(exchange)
    assert len(stage.counted()) == bool(visible & COUNTED)
    assert len(stage.lines()) == bool(visible & LOGGED)


@pytest.mark.parametrize("is_visible", [True, False])
def test_unmatched_requests_follow_the_entry_point(tmp_path: Path, is_visible: bool) -> None:
    seen = PointObservability(access_logs=is_visible, metrics=is_visible)
    stage = Stage(tmp_path, EntryPoint(address=":80", observability=seen))
    exchange = Observed()
    stage.observer.begin(exchange)
    exchange.respond_error(NOT_FOUND)
    stage.observer.end(exchange)
    assert (len(stage.counted()), len(stage.lines())) == (is_visible, is_visible)


def test_what_is_refused_before_any_router_is_not_seen(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    refused, star = Observed(), Observed(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    refused.request.refusal = MISSING_HOST
    fragments = [Observed(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target) for target in (b"/a#b", b"http://a/#b")]
    for exchange in (refused, star, *fragments):
        stage.observer.begin(exchange)
        exchange.status = 400
        stage.observer.end(exchange)
    assert (stage.counted(), stage.lines()) == ([], [])


def test_a_client_that_left(tmp_path: Path) -> None:
    stage, failed, silent = Stage(tmp_path), Observed(), Observed()
    failed.failure = CLIENT_GONE
    for exchange in (failed, silent):
        stage.observer.begin(exchange)
        stage.observer.end(exchange)
    assert [line["DownstreamStatus"] for line in stage.lines()] == [CLIENT_LEFT, CLIENT_LEFT]


@pytest.mark.behaviour("OP-54")
def test_forwarded_for_counts_only_from_a_trusted_peer(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9, 8.8.8.8\r\n\r\n"
    for exchange in (Observed(head), Observed(head, trusted=True)):
        stage.observer.begin(exchange)
        exchange.status = 404
        stage.observer.end(exchange)
    assert [line["ClientHost"] for line in stage.lines()] == ["10.0.0.1", "9.9.9.9, 8.8.8.8"]


def test_headers_are_kept_only_for_a_log_that_shows_them(tmp_path: Path) -> None:
    stage, exchange = Stage(tmp_path), Observed()
    stage.observer.begin(exchange)
    assert exchange.note is not None
    assert not exchange.note.keeps_headers
    assert exchange.hooks is None
    (tmp_path / "second").mkdir()
    keeping = options.AccessLogFields(headers=options.FieldHeaders(default_mode="keep"))
    stage, exchange = Stage(tmp_path / "second", fields=keeping), Observed()
    stage.observer.begin(exchange)
    assert exchange.note is not None
    assert exchange.note.keeps_headers
    exchange.add_hook(lambda _, head: head.headers.append((b"X-Late", b"1")))
    exchange.run_hooks(ResponseHead(200, [(b"X-A", b"b")]))
    exchange.status = 200
    stage.observer.end(exchange)
    (line,) = stage.lines()
    assert (line["downstream_X-A"], line["downstream_X-Late"]) == ("b", "1")


def test_a_grpc_status_of_the_head(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    exchange = Observed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\n\r\n")
    stage.observer.begin(exchange)
    exchange.run_hooks(ResponseHead(200, [(b"Grpc-Status", b"12")]))
    exchange.status = 200
    stage.observer.end(exchange)
    assert stage.counted() == ["E,web,12,POST,grpc"]


def test_visibility_of_routers() -> None:
    plain = StaticConfiguration(metrics=options.Metrics(), access_log=options.AccessLog())
    adding = StaticConfiguration(
        metrics=options.Metrics(add_internals=True), access_log=options.AccessLog(add_internals=True)
    )
    router = Router(rule="Path(`/`)", service="s")
    assert visibility(router, "s@p", plain) == COUNTED | LOGGED
    assert visibility(router, "", plain) == COUNTED | LOGGED
    assert visibility(router, "ping@internal", plain) == 0
    assert visibility(router, "ping@internal", StaticConfiguration()) == 0
    assert visibility(router, "ping@internal", adding) == COUNTED | LOGGED
    quiet = Router(rule="Path(`/`)", service="s", observability=Observability(access_logs=False))
    assert visibility(quiet, "s@p", plain) == COUNTED
    assert unmatched_visibility(EntryPoint(address=":80")) == COUNTED | LOGGED
