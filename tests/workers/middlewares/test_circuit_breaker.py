"""CircuitBreaker: when it trips, what it answers, how it recovers; windows and percentiles."""

from __future__ import annotations

import random
from importlib import import_module

import pytest

from config.middlewares_traffic import CircuitBreaker
from tests.workers.middlewares.limits import answers, busy, chain, context, exchange, requests, statuses
from workers import shared_records
from workers.building import BuildError
from workers.errors import UNREACHABLE, ProxyError
from workers.exchange import Exchange, Handler
from workers.middlewares import breaker_state, breaker_windows
from workers.middlewares.breaker_windows import CELLS, Windows, cell_of, top_of
from workers.middlewares.circuit_breaker import circuit_breaker as build
from workers.shared import SharedState
from workers.stream import StreamBroken

SECOND = 1_000_000_000
MS = 1_000_000


class Clock:
    """The module `time` of everything in a breaker."""

    def __init__(self) -> None:
        self.now_ns = 1000 * SECOND

    def monotonic_ns(self) -> int:
        return self.now_ns

    def monotonic(self) -> float:
        return self.now_ns / SECOND

    def advance(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (shared_records, breaker_state, import_module("workers.middlewares.circuit_breaker")):
        monkeypatch.setattr(module, "time", made)
    return made


class Backend:
    """Answers with `status`; 0 is a server that cannot be reached."""

    def __init__(self, clock: Clock) -> None:
        self.status = 200
        self.seconds = 0.0
        self.asked = 0
        self._clock = clock

    def __call__(self, taken: Exchange) -> None:
        self.asked += 1
        self._clock.advance(self.seconds)
        if not self.status:
            raise ProxyError(UNREACHABLE)
        taken.respond(self.status, (), b"")


@pytest.fixture
def backend(clock: Clock) -> Backend:
    return Backend(clock)


def breaker(backend: Handler, expression: str, shared: SharedState | None = None, **options: object) -> Handler:
    return chain(build, CircuitBreaker(expression=expression, **options), backend, context(shared))  # type: ignore[arg-type]


def passed(handler: Handler, count: int, clock: Clock, every_seconds: float) -> int:
    """How many of so many evenly spaced requests were let in."""
    let_in = 0
    for _ in range(count):
        clock.advance(every_seconds)
        let_in += statuses(handler, requests(1)) == [200]
    return let_in


@pytest.mark.behaviour("MW-116")
def test_a_dead_backend_trips_it_and_is_asked_no_more(backend: Backend) -> None:
    handler = breaker(backend, "NetworkErrorRatio() > 0.50")
    backend.status = 0
    first, second = exchange(), exchange()
    handler(first)
    handler(second)
    assert (first.status, first.body) == (502, b"Bad Gateway")
    assert (second.status, second.body, second.headers) == (503, b"Service Unavailable", [])
    assert backend.asked == 1


@pytest.mark.behaviour("MW-117")
@pytest.mark.parametrize(("status", "body"), [(418, b"I'm a teapot"), (499, b""), (204, b"")])
def test_the_status_of_the_fallback(backend: Backend, status: int, body: bytes) -> None:
    handler = breaker(backend, "NetworkErrorRatio() > 0.50", response_code=status)
    backend.status = 504
    statuses(handler, requests(1))
    refused = exchange()
    handler(refused)
    assert (refused.status, refused.body) == (status, body)


@pytest.mark.behaviour("MW-118")
def test_recovery(backend: Backend, clock: Clock) -> None:
    handler = breaker(backend, "NetworkErrorRatio() > 0.50", fallback_duration="1s", recovery_duration="4s")
    backend.status = 502
    assert statuses(handler, requests(2)) == [502, 503]
    backend.status = 200
    clock.advance(0.999)
    assert statuses(handler, requests(1)) == [503]
    clock.advance(60)
    assert statuses(handler, requests(1)) == [503], "recovery begins with this request, however late"
    shares = [passed(handler, 100, clock, 0.01) for _ in range(4)]
    assert shares[0] < shares[1] < shares[2] < shares[3]
    assert 190 < sum(shares) <= 200, "half of them, counted from the beginning"
    clock.advance(0.01)
    assert passed(handler, 100, clock, 0.0) == 100


@pytest.mark.behaviour("MW-119")
def test_failing_again_while_it_recovers(backend: Backend, clock: Clock) -> None:
    handler = breaker(backend, "NetworkErrorRatio() > 0.50", fallback_duration="1s", recovery_duration="4s")
    backend.status = 502
    assert statuses(handler, requests(2)) == [502, 503]
    clock.advance(1)
    assert statuses(handler, requests(1)) == [503]
    asked = backend.asked
    while backend.asked == asked:
        clock.advance(0.05)
        statuses(handler, requests(1))
    clock.advance(0.999)
    assert statuses(handler, requests(3)) == [503] * 3
    assert backend.asked == asked + 1
    clock.advance(0.001)
    statuses(handler, requests(1))
    backend.status = 200
    assert passed(handler, 100, clock, 0.03) > 0


@pytest.mark.behaviour("MW-120")
def test_a_ratio_with_a_threshold(backend: Backend, clock: Clock) -> None:
    handler = breaker(backend, "ResponseCodeRatio(500, 600, 0, 600) > 0.25 && RequestThreshold() >= 20")
    backend.status = 500
    for _ in range(20):
        assert statuses(handler, requests(1)) == [500]
        clock.advance(0.101)
    assert statuses(handler, requests(1)) == [503]


def test_it_looks_once_a_check_period(backend: Backend, clock: Clock) -> None:
    handler = breaker(backend, "NetworkErrorRatio() > 0.50", check_period="1s")
    assert statuses(handler, requests(1)) == [200]
    backend.status = 502
    assert statuses(handler, requests(5)) == [502] * 5
    clock.advance(1.001)
    assert statuses(handler, requests(2)) == [502, 503]


def test_answers_that_come_late_do_not_prolong_it(clock: Clock) -> None:
    shared = SharedState.private()
    options = {"fallback_duration": "1s", "check_period": "1ms"}
    expression = "NetworkErrorRatio() > 0.50"

    def trips_meanwhile(taken: Exchange) -> None:
        statuses(breaker(answers(502), expression, shared, **options), requests(1))
        clock.advance(0.5)
        taken.respond(502, (), b"")

    statuses(breaker(trips_meanwhile, expression, shared, **options), requests(1))
    clock.advance(0.5)
    handler = breaker(answers(), expression, shared, **options)
    statuses(handler, requests(1))
    clock.advance(10.001)
    assert statuses(handler, requests(1)) == [200]


@pytest.mark.behaviour("MW-121")
@pytest.mark.parametrize("expression", ["LatencyAtQuantileMS(50) > 100", "NetworkErrorRatio() > 1", ""])
def test_wrong_expressions(expression: str) -> None:
    with pytest.raises(BuildError):
        build(CircuitBreaker(expression=expression), context())


def test_a_fallback_must_be_a_final_status() -> None:
    with pytest.raises(BuildError, match="responseCode 101"):
        build(CircuitBreaker(expression="NetworkErrorRatio() > 0.5", response_code=101), context())


def test_slow_answers(backend: Backend, clock: Clock) -> None:
    handler = breaker(backend, "LatencyAtQuantileMS(50.0) > 100")
    backend.seconds = 0.1
    assert statuses(handler, requests(5)) == [200] * 5  # the cell of 100 ms ends at 100.351
    backend.seconds = 0.12
    assert statuses(handler, requests(7)) == [200] * 6 + [503]


def test_a_crash_is_not_counted_and_a_client_that_left_is(backend: Backend, clock: Clock) -> None:
    def crashes(_: Exchange) -> None:
        raise ZeroDivisionError

    def client_leaves(_: Exchange) -> None:
        raise StreamBroken("gone")

    shared = SharedState.private()
    expression = "ResponseCodeRatio(499, 500, 0, 600) > 0.5"
    for fails, error in ((crashes, ZeroDivisionError), (client_leaves, StreamBroken)):
        assert statuses(breaker(answers(), expression, shared), ()) == []
        with pytest.raises(error):
            breaker(fails, expression, shared)(exchange())
    assert statuses(breaker(answers(), expression, shared), requests(1)) == [503]


def test_a_tunnel_counts_as_success(clock: Clock) -> None:
    def upgrades(taken: Exchange) -> None:
        taken.status = 101

    handler = breaker(upgrades, "ResponseCodeRatio(200, 201, 0, 600) > 0.5")
    assert statuses(handler, requests(2)) == [101, 503]


def test_what_cannot_be_asked_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SharedState.private()
    handler = breaker(answers(), "NetworkErrorRatio() > 0.50", shared)
    assert statuses(handler, requests(1)) == [200]
    monkeypatch.setattr(shared._cells, "lock", busy)
    assert statuses(handler, requests(1)) == [200], "in standby nothing has to be asked, and a sample may be lost"
    fresh = breaker(answers(), "NetworkErrorRatio() > 0.60", shared)
    with pytest.raises(ProxyError) as caught:
        fresh(exchange())
    assert caught.value.failure.status == 503


class TestWindows:
    def test_ten_seconds_by_status(self, clock: Clock) -> None:
        record = SharedState.private().record(b"0123456789abcdef", ttl_seconds=60)
        windows = Windows(record)
        with record as words:
            assert windows.responses(words, clock.now_ns) == {}
            for status, times in ((200, 3), (502, 2)):
                for _ in range(times):
                    windows.add(words, status, 1000, clock.now_ns)
            clock.advance(9)
            windows.add(words, 200, 1000, clock.now_ns)
            assert windows.responses(words, clock.now_ns) == {200: 4, 502: 2}
            clock.advance(1)
            assert windows.responses(words, clock.now_ns) == {200: 1, 502: 0}
            windows.clear(words)
            assert windows.responses(words, clock.now_ns) == {}
            assert windows.latency_at(words, 50.0) == 0
            windows.add(words, 502, 1000, clock.now_ns)
            assert windows.responses(words, clock.now_ns) == {502: 1}

    def test_more_statuses_than_places(self, clock: Clock) -> None:
        record = SharedState.private().record(b"0123456789abcdef", ttl_seconds=60)
        windows = Windows(record)
        with record as words:
            for status in range(100, 400):
                windows.add(words, status, 1000, clock.now_ns)
            assert sum(windows.responses(words, clock.now_ns).values()) == 300
            clock.advance(10)
            for status in range(400, 500):
                windows.add(words, status, 1000, clock.now_ns)
            counted = windows.responses(words, clock.now_ns)
            assert {status: counted.get(status) for status in range(400, 500)} == dict.fromkeys(range(400, 500), 1)

    def test_cells_hold_every_latency_up_to_an_hour(self) -> None:
        tops = [top_of(cell) for cell in range(CELLS)]
        assert tops == sorted(set(tops))
        for microseconds in [*range(3000), *(random.Random(1).randrange(3_600_000_000) for _ in range(3000))]:
            cell = cell_of(microseconds)
            assert microseconds <= tops[cell] <= microseconds * 1.01
            assert not cell or tops[cell - 1] < microseconds
        assert cell_of(3_600_000_000) < CELLS <= cell_of(10_000_000_000)

    def test_percentiles(self, clock: Clock) -> None:
        record = SharedState.private().record(b"0123456789abcdef", ttl_seconds=60)
        windows = Windows(record)
        with record as words:
            for microseconds in range(1, 101):
                windows.add(words, 200, microseconds, clock.now_ns)
            found = [windows.latency_at(words, percentile) for percentile in (0.0, 1.0, 50.0, 99.0, 100.0, 200.0)]
        assert found == [1, 1, 50, 99, 100, 100]

    def test_latencies_are_forgotten_by_the_turn(self, clock: Clock) -> None:
        record = SharedState.private().record(b"0123456789abcdef", ttl_seconds=6000)
        windows = Windows(record)
        with record as words:
            windows.add(words, 200, 100, clock.now_ns)
            for turn in range(breaker_windows.HISTOGRAMS):
                assert windows.latency_at(words, 100.0) == 100, turn
                clock.advance(1000)  # idle time alone expires nothing
                windows.add(words, 200, 50, clock.now_ns)
            assert windows.latency_at(words, 100.0) == 50
            windows.add(words, 200, 10_000_000_000, clock.now_ns)  # too long to be counted
            assert windows.latency_at(words, 100.0) == 50
