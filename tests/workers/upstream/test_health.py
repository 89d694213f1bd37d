"""What workers know of servers' health, and that all of them know it."""

from __future__ import annotations

import pytest

from config.http import HealthCheck, LoadBalancer, PassiveHealthCheck, Server
from tests.workers.fakes import FakeExchange, transport
from workers.errors import CLIENT_GONE, UNREACHABLE
from workers.shared import CellsBusy, SharedState
from workers.timers import current_wheel
from workers.upstream import health, passive, servers
from workers.upstream.health import HealthBoard, Ledger
from workers.upstream.monitoring import Monitor
from workers.upstream.servers import Servers

A, B = "http://127.0.0.1:8081", "http://127.0.0.1:8082"


class Worker:
    """One worker's view of a service with checks."""

    def __init__(self, shared: SharedState, **checks: object) -> None:
        config = LoadBalancer(pass_host_header=True, **checks)  # type: ignore[arg-type]
        self.board = HealthBoard(shared, current_wheel(), lambda: False)
        self.monitor = Monitor("s@p", config, transport(), self.board, lambda: self.servers)
        listed = [Server(url=A), Server(url=B)]
        self.servers = Servers("s@p", config, listed, passive=self.monitor.passive)
        self.monitor.start()

    def up(self) -> list[str]:
        self.board.look()
        return [one.name for one in self.servers.candidates if one.is_up]

    def outcome(self, status: int, *, place: int = 0) -> None:
        """A request to one of the servers ends so; 0 stands for a connection that was refused."""
        tracker, candidate = self.servers.tracker, self.servers.candidates[place]
        assert tracker is not None
        exchange = FakeExchange()
        tracker.begin(candidate, exchange)
        assert candidate.in_flight == 1
        exchange.status = status
        tracker.end(candidate, exchange, UNREACHABLE if not status else CLIENT_GONE if status == 499 else None)
        assert candidate.in_flight == 0


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The clock, in milliseconds; change its only item."""
    clock = [1_000_000]
    for module in (health, passive, servers):
        monkeypatch.setattr(module, "milliseconds", lambda: clock[0])
    return clock


def test_a_verdict_reaches_every_worker() -> None:
    shared = SharedState.private()
    one, other = (Worker(shared, health_check=HealthCheck(path="/")) for _ in range(2))
    try:
        assert one.up() == other.up() == [A, B]
        one.monitor._ledger.write(A, passed=False)
        assert one.up() == other.up() == [B]
        late = Worker(shared, health_check=HealthCheck(path="/"))
        assert late.up() == [B]
        late.monitor._ledger.write(A, passed=True)
        assert one.up() == other.up() == [A, B]
        late.monitor.stop()
    finally:
        one.monitor.stop()
        other.monitor.stop()


def test_another_check_is_another_verdict() -> None:
    shared = SharedState.private()
    one = Worker(shared, health_check=HealthCheck(path="/"))
    one.monitor._ledger.write(A, passed=False)
    other = Worker(shared, health_check=HealthCheck(path="/other"))
    assert (one.up(), other.up()) == ([B], [A, B])
    one.monitor.stop()
    other.monitor.stop()


@pytest.mark.behaviour("DP-98")
def test_failures_of_all_workers_count_together(now: list[int]) -> None:
    shared = SharedState.private()
    check = PassiveHealthCheck(failure_window="5s", max_failed_attempts=2)
    one, other = (Worker(shared, passive_health_check=check) for _ in range(2))
    try:
        one.outcome(500)
        assert one.up() == [A, B]
        other.outcome(502)
        assert one.up() == other.up() == [B]
        now[0] += 4999
        assert one.up() == other.up() == [B]
        now[0] += 1
        assert one.up() == other.up() == [A, B]
    finally:
        one.monitor.stop()
        other.monitor.stop()


@pytest.mark.parametrize("status", [200, 404, 499])
def test_what_counts_as_no_failure(status: int, now: list[int]) -> None:
    worker = Worker(SharedState.private(), passive_health_check=PassiveHealthCheck(max_failed_attempts=2))
    try:
        worker.outcome(503)
        worker.outcome(status)
        worker.outcome(0)
        assert worker.up() == [A, B]
    finally:
        worker.monitor.stop()


def test_failures_long_apart_do_not_add_up(now: list[int]) -> None:
    check = PassiveHealthCheck(failure_window="5s", max_failed_attempts=3)
    worker = Worker(SharedState.private(), passive_health_check=check)
    try:
        for _ in range(6):
            worker.outcome(500)
            now[0] += 2600
        assert worker.up() == [A, B]
        worker.outcome(500)
        worker.outcome(500)
        assert worker.up() == [B]
    finally:
        worker.monitor.stop()


def test_with_an_active_check_only_that_brings_it_back(now: list[int]) -> None:
    checks = {"health_check": HealthCheck(path="/"), "passive_health_check": PassiveHealthCheck()}
    worker = Worker(SharedState.private(), **checks)
    try:
        worker.outcome(0)
        now[0] += 60_000
        assert worker.up() == [B]
        worker.monitor._ledger.write(A, passed=True)
        assert worker.up() == [A, B]
    finally:
        worker.monitor.stop()


def test_only_what_was_noted_is_read() -> None:
    """A verdict about one of many services costs the others nothing."""
    shared = SharedState.private()
    board = HealthBoard(shared, current_wheel(), lambda: False)
    read: list[int] = []

    class Service:
        def __init__(self, number: int) -> None:
            self.ledger = Ledger(board, f"s{number}", 60)
            self.key = self.ledger.key

        def refresh(self) -> bool:
            read.append(self.key)
            return True

        def revive(self) -> bool:
            return False

    services = [Service(number) for number in range(20)]
    for one in services:
        board.watch(one)
    try:
        board.look()
        read.clear()
        services[3].ledger.write(A, passed=False)
        services[7].ledger.shun(A, 5)
        assert read == [services[3].key, services[7].key]
        services[3].ledger.write(A, passed=False)  # it is known
        assert len(read) == 2
        other = HealthBoard(shared, current_wheel(), lambda: False)
        for number in range(health._NOTES + 1):  # more than anybody can tell apart
            other.moved(number)
        read.clear()
        board.look()
        assert sorted(read) == sorted(one.key for one in services)
    finally:
        for one in services:
            board.forget(one)
    assert not board._watched


def test_a_note_that_was_never_written_costs_a_look_at_everything() -> None:
    """Its writer was killed between the epoch and the note."""
    shared = SharedState.private()
    one = Worker(shared, health_check=HealthCheck(path="/"))
    try:
        assert one.up() == [A, B]
        ledger = one.monitor._ledger
        ledger._verdicts.update(A.encode(), lambda _: health._DOWN)
        one.board._epochs.update(b"epoch", lambda epoch: (epoch or 0) + 1)
        assert one.up() == [B]
    finally:
        one.monitor.stop()


def test_a_verdict_that_expired_unnoticed_is_news() -> None:
    shared = SharedState.private()
    one = Worker(shared, health_check=HealthCheck(path="/"))
    try:
        one.monitor._ledger.write(A, passed=False)
        assert one.up() == [B]
        words = one.monitor._ledger._verdicts
        words._ttl = -1
        words.update(A.encode(), lambda value: value)  # it is over at once
        words._ttl = 60
        assert one.up() == [B]
        one.monitor._ledger.write(A, passed=True)
        assert one.up() == [A, B]
    finally:
        one.monitor.stop()


def test_what_could_not_be_read_is_read_later(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Worker(SharedState.private(), health_check=HealthCheck(path="/"))
    try:
        assert one.up() == [A, B]
        with monkeypatch.context() as busy:

            def stopped(*_: object) -> bool:
                raise CellsBusy

            busy.setattr(Ledger, "passed", stopped)
            one.monitor._ledger.write(A, passed=False)
            assert one.up() == [A, B]
        assert one.up() == [B]
    finally:
        one.monitor.stop()
