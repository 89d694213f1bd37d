"""RateLimit in memory: pace, answers, sources. Exactness over workers is in test_shared_processes.py."""

from __future__ import annotations

from importlib import import_module

import pytest

from config.middlewares_source import IPStrategy, SourceCriterion
from config.middlewares_traffic import RATE_LIMIT_DEFAULTS, RateLimit
from tests.workers.middlewares.limits import answers, busy, chain, context, exchange, requests, statuses
from workers import shared_words
from workers.building import BuildError
from workers.errors import ProxyError
from workers.middlewares.rate_limit import Pace, pace_of
from workers.middlewares.rate_limit import rate_limit as build
from workers.shared import SharedState

SECOND = 1_000_000_000


class Clock:
    """The module `time` of the buckets; sleeping moves it on."""

    def __init__(self) -> None:
        self.now_ns = 1000 * SECOND
        self.slept: list[float] = []

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_ns += round(seconds * SECOND)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(shared_words, "time", made)
    monkeypatch.setattr(import_module("workers.middlewares.rate_limit"), "sleep", made.sleep)
    return made


@pytest.mark.parametrize(
    ("options", "pace"),
    [
        (RateLimit(average=200, burst=5), Pace(SECOND / 200, 5, 2_500_000, 2)),
        (RateLimit(average=100, period="1m0s"), Pace(0.6 * SECOND, 1, SECOND // 2, 2)),
        (RateLimit(average=1, period="1m0s", burst=3), Pace(60 * SECOND, 3, SECOND // 2, 61)),
        (RateLimit(average=10, period="3s"), Pace(0.3 * SECOND, 1, SECOND // 6, 2)),
        (RateLimit(average=1, period="0s", burst=-4), Pace(SECOND, 1, SECOND // 2, 2)),
        (RATE_LIMIT_DEFAULTS, Pace(0, 1, 0, 1)),
    ],
)
def test_pace(options: RateLimit, pace: Pace) -> None:
    assert pace_of(options) == pytest.approx(pace)


def test_wrong_options() -> None:
    with pytest.raises(BuildError, match="negative value not valid for period: -1s"):
        build(RateLimit(average=1, period="-1s"), context())
    with pytest.raises(BuildError, match="period: 'abc' is not a duration"):
        build(RateLimit(average=1, period="abc"), context())
    both = SourceCriterion(ip_strategy=IPStrategy(), request_host=True)
    with pytest.raises(BuildError, match="getting source extractor: iPStrategy and RequestHost are mutually"):
        build(RateLimit(average=1, source_criterion=both), context())


@pytest.mark.behaviour("MW-105")
def test_the_burst_passes_and_the_next_is_told_when_to_come(clock: Clock) -> None:
    handler = chain(build, RateLimit(average=1, burst=5), answers())
    assert statuses(handler, requests(5)) == [200] * 5
    clock.now_ns += 12_500_000
    refused = exchange()
    handler(refused)
    assert (refused.status, refused.body) == (429, b"Too Many Requests")
    assert refused.headers == [(b"Retry-After", b"1"), (b"X-Retry-In", b"987.5ms")]
    assert refused.failure is not None
    assert clock.slept == []


@pytest.mark.behaviour("MW-107")
def test_one_a_minute(clock: Clock) -> None:
    handler = chain(build, RateLimit(average=1, period="1m0s"), answers())
    first, second = exchange(), exchange()
    handler(first)
    handler(second)
    assert first.status == 200
    assert second.headers == [(b"Retry-After", b"60"), (b"X-Retry-In", b"1m0s")]


@pytest.mark.behaviour("MW-108")
def test_a_little_early_is_held(clock: Clock) -> None:
    handler = chain(build, RateLimit(average=10), answers())
    assert statuses(handler, requests(1)) == [200]
    clock.now_ns += 60_000_000
    assert statuses(handler, requests(2)) == [200, 429]
    assert clock.slept == pytest.approx([0.04])


@pytest.mark.behaviour("MW-109")
@pytest.mark.parametrize("average", [0, -1])
def test_no_average_no_limit(average: int) -> None:
    assert statuses(chain(build, RateLimit(average=average), answers()), requests(50)) == [200] * 50


@pytest.mark.behaviour("MW-110")
def test_an_idle_source_has_its_burst_again(clock: Clock) -> None:
    handler = chain(build, RateLimit(average=1, burst=5), answers())
    assert statuses(handler, requests(6)) == [200] * 5 + [429]
    clock.now_ns += 2 * SECOND
    assert statuses(handler, requests(6)) == [200] * 5 + [429]


@pytest.mark.behaviour("MW-111", "MW-112")
def test_routes_and_sources_have_their_own_budgets(clock: Clock) -> None:
    shared = SharedState.private()
    options = RateLimit(average=1, burst=2, source_criterion=SourceCriterion(request_header_name="X-K"))
    handlers = [chain(build, options, answers(), context(shared, owner)) for owner in ("one@test", "two@test")]
    for handler in handlers:
        for value in ([(b"X-K", b"1")], [(b"X-K", b"2")], []):
            assert statuses(handler, (exchange(*value) for _ in range(3))) == [200, 200, 429]


def test_two_in_one_chain_are_two(clock: Clock) -> None:
    shared = SharedState.private()
    inner = chain(build, RateLimit(average=1, burst=3), answers(), context(shared, place=1))
    handler = chain(build, RateLimit(average=1, burst=3), inner, context(shared, place=0))
    assert statuses(handler, requests(4)) == [200, 200, 200, 429]


@pytest.mark.behaviour("MW-163")
def test_unchanged_options_keep_the_budget_and_changed_ones_do_not(clock: Clock) -> None:
    """The original begins afresh with every change, we with a change of these options alone (decision 22)."""
    shared = SharedState.private()
    options = RateLimit(average=1, burst=3)
    assert statuses(chain(build, options, answers(), context(shared)), requests(3)) == [200] * 3
    assert statuses(chain(build, options, answers(), context(shared)), requests(1)) == [429]
    changed = RateLimit(average=1, burst=4)
    assert statuses(chain(build, changed, answers(), context(shared)), requests(5)) == [200] * 4 + [429]


def test_what_cannot_be_asked_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SharedState.private()
    handler = chain(build, RateLimit(average=1), answers(), context(shared))
    monkeypatch.setattr(shared._cells, "lock", busy)
    with pytest.raises(ProxyError) as caught:
        handler(exchange())
    assert caught.value.failure.status == 500
