"""One worker's use of the shared cells; several workers are in test_shared_processes.py."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.cells import ALL_ROWS, GAUGE_ROWS, RECORD_CELLS, WORD_CELLS, Cells
from workers import shared_gauges, shared_records, shared_words
from workers.shared import SharedState, TokenBuckets

SECOND = 1_000_000_000


class Clock:
    """Takes the place of the module `time`."""

    def __init__(self) -> None:
        self.now_ns = 100 * SECOND

    def monotonic_ns(self) -> int:
        return self.now_ns

    def monotonic(self) -> float:
        return self.now_ns / SECOND

    def advance(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(shared_words, "time", made)
    monkeypatch.setattr(shared_records, "time", made)
    return made


@pytest.fixture
def shared() -> SharedState:
    return SharedState.private()


def buckets(shared: SharedState, name: str = "a", **changed: int) -> TokenBuckets:
    """One a second, burst 5."""
    options = {"interval_ns": SECOND, "burst": 5, "longest_wait_ns": 0, "ttl_seconds": 3600} | changed
    return shared.buckets(shared.identity(name), **options)


def test_an_identity_stands_for_its_parts(shared: SharedState) -> None:
    assert shared.identity("a", "b") == shared.identity("a", b"b")
    different = [("a", "b"), ("ab",), ("ab", ""), ("", "ab"), ("b", "a"), ("a\0b",), ("a", "B")]
    assert len({shared.identity(*parts) for parts in different}) == len(different)
    assert shared.identity("a") != SharedState.private().identity("a"), "guessable outside"


def test_a_slot_that_was_not_opened_is_refused() -> None:
    cells = Cells.create()
    with pytest.raises(ValueError, match="slot 0"):
        SharedState(cells, 0)


class TestTokenBuckets:
    def test_burst_then_one_each_interval(self, shared: SharedState, clock: Clock) -> None:
        limiter = buckets(shared)
        assert [limiter.take(b"x")[0] for _ in range(7)] == [True] * 5 + [False] * 2
        assert limiter.take(b"x") == (False, SECOND)
        clock.advance(0.25)
        assert limiter.take(b"x") == (False, SECOND * 3 // 4)
        clock.advance(0.75)
        assert limiter.take(b"x") == (True, 0)
        assert limiter.take(b"x") == (False, SECOND)

    def test_it_never_holds_more_than_the_burst(self, shared: SharedState, clock: Clock) -> None:
        limiter = buckets(shared)
        limiter.take(b"x")
        clock.advance(1000)
        assert [limiter.take(b"x")[0] for _ in range(7)] == [True] * 5 + [False] * 2

    def test_who_waits_has_taken(self, shared: SharedState, clock: Clock) -> None:
        limiter = buckets(shared, burst=1, longest_wait_ns=SECOND)
        assert [limiter.take(b"x") for _ in range(3)] == [(True, 0), (True, SECOND), (False, 2 * SECOND)]

    def test_sources_and_instances_are_apart(self, shared: SharedState) -> None:
        one, other = buckets(shared), buckets(shared, "b")
        for limiter, source in ((one, b"x"), (one, b"y"), (one, b""), (other, b"x")):
            assert sum(limiter.take(source)[0] for _ in range(9)) == 5

    def test_the_same_identity_is_the_same_bucket(self, shared: SharedState) -> None:
        assert all(buckets(shared).take(b"x")[0] for _ in range(5))
        assert not buckets(shared).take(b"x")[0]

    def test_an_idle_source_starts_full(self, shared: SharedState, clock: Clock) -> None:
        limiter = buckets(shared, interval_ns=3600 * SECOND, ttl_seconds=2)
        for _ in range(5):
            limiter.take(b"x")
        clock.advance(1)
        assert not limiter.take(b"x")[0]  # refused ones too keep it
        clock.advance(1)
        assert not limiter.take(b"x")[0]
        clock.advance(2)
        assert limiter.take(b"x") == (True, 0)

    def test_numbers_beyond_a_word(self, shared: SharedState) -> None:
        huge = (1 << 63) - 1
        limiter = buckets(shared, "huge", interval_ns=huge, burst=1, ttl_seconds=huge)
        assert limiter.take(b"x")[0]
        assert not limiter.take(b"x")[0]
        generous = buckets(shared, "generous", interval_ns=0, burst=huge)
        assert all(generous.take(b"x") == (True, 0) for _ in range(100))

    @given(
        st.integers(1, 5),
        st.lists(st.integers(0, 3 * SECOND), max_size=40),
        st.integers(0, SECOND),
    )
    def test_it_is_a_textbook_bucket(self, burst: int, pauses_ns: list[int], longest_wait_ns: int) -> None:
        shared, clock = SharedState.private(), Clock()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shared_words, "time", clock)
            limiter = buckets(shared, burst=burst, longest_wait_ns=longest_wait_ns)
            balance, refilled = burst * SECOND, clock.now_ns  # in billionths of a token
            for pause_ns in pauses_ns:
                clock.now_ns += pause_ns
                balance = min(burst * SECOND, balance + clock.now_ns - refilled)
                refilled = clock.now_ns
                wait = max(0, SECOND - balance)
                if wait <= longest_wait_ns:
                    balance -= SECOND
                assert limiter.take(b"x") == (wait <= longest_wait_ns, wait)


class TestWords:
    def test_update(self, shared: SharedState, clock: Clock) -> None:
        words = shared.words(shared.identity("w"), ttl_seconds=10)
        seen: list[int | None] = []

        def change(new: int | None) -> int | None:
            def step(old: int | None) -> int | None:
                seen.append(old)
                return new

            return words.update(b"x", step)

        assert [change(new) for new in (None, 5, None, 6, None)] == [None, 5, None, 6, None]
        assert seen == [None, None, 5, 5, 6]
        clock.advance(10)
        change(None)
        assert seen[-1] is None

    def test_a_flood_at_one_instance_pushes_out_its_own(self, shared: SharedState) -> None:
        """More sources than there are cells in the whole table: others keep what they have."""
        victim = shared.words(shared.identity("victim"), ttl_seconds=60)
        for number in range(200):
            victim.update(b"%d" % number, lambda _: 1)
        flood = shared.words(shared.identity("flood"), ttl_seconds=3600)
        stripe = {flood._place(b"%d" % number)[2] for number in range(300)}
        assert len(stripe) > 100  # it reaches everywhere
        for place in {victim._place(b"%d" % number)[1] for number in range(200)}:
            fill_window(flood, place)
        for number in range(200):
            assert victim.update(b"%d" % number, lambda old: old) == 1

    def test_expired_cells_go_first_then_the_stalest(self, shared: SharedState, clock: Clock) -> None:
        words = shared.words(shared.identity("w"), ttl_seconds=3600)
        seconds = clock.now_ns // SECOND
        window = range(WORD_CELLS, WORD_CELLS + shared_words.WINDOW)
        for age, index in enumerate(window):
            words._tags[index] = 1000 + age
            words._stamps[index] = (seconds + 500 + age) << 32 | words._owner
        words._stamps[window[7]] = (seconds + 1) << 32 | words._owner + 1
        assert words._claim(1, WORD_CELLS, seconds) == window[0], "another instance's cell was taken"
        clock.advance(2)
        assert words._claim(3, WORD_CELLS, seconds + 2) == window[7]


def fill_window(words: shared_words.Words, home: int) -> None:
    """Claims for invented sources, three times as many as there is room for."""
    for tag in range(1, 6 * shared_words.WINDOW, 2):
        words._claim(tag, home, 0)


class TestGauge:
    def test_enter_and_leave(self, shared: SharedState) -> None:
        gauge = shared.gauge(shared.identity("g"))
        assert [gauge.enter(b"x", 2) for _ in range(3)] == [True, True, False]
        assert gauge.enter(b"y", 2)
        gauge.leave(b"x")
        assert gauge.count(b"x") == 1
        assert [gauge.enter(b"x", 2) for _ in range(2)] == [True, False]
        assert not gauge.enter(b"z", 0)
        assert gauge.count(b"z") == 0

    def test_leaving_twice_is_an_error(self, shared: SharedState) -> None:
        gauge = shared.gauge(shared.identity("g"))
        with pytest.raises(ValueError, match="without having entered"):
            gauge.leave(b"x")
        gauge.enter(b"x", 1)
        gauge.leave(b"x")
        with pytest.raises(ValueError, match="without having entered"):
            gauge.leave(b"x")

    def test_counts_of_all_slots_are_summed_and_die_with_their_worker(self) -> None:
        cells = Cells.create()
        for slot in (0, 1, 200):
            cells.open_slot(slot)
        gauges = []
        for slot in (0, 1, 200):
            shared = SharedState(cells, slot)
            gauges.append(shared.gauge(shared.identity("g")))
        assert [gauge.enter(b"x", 3) for gauge in gauges * 2] == [True] * 3 + [False] * 3
        cells.clear_slot(200)
        assert gauges[0].count(b"x") == 2
        assert gauges[0].enter(b"x", 3)
        gauges[1].leave(b"x")
        gauges[0].leave(b"x")
        gauges[0].leave(b"x")
        assert gauges[1].count(b"x") == 0

    def test_rows_are_used_again_and_never_taken_from_those_in_use(self, shared: SharedState) -> None:
        gauge = shared.gauge(shared.identity("g"))
        window = shared_gauges.WINDOW
        rows = [gauge._claim(tag, GAUGE_ROWS) for tag in range(1, window + 1)]
        for row in rows:
            gauge._counts[row] = 1
        assert rows == list(range(GAUGE_ROWS, GAUGE_ROWS + window))
        assert gauge._claim(999, GAUGE_ROWS) == -1
        gauge._counts[rows[4]] = 0
        assert gauge._claim(999, GAUGE_ROWS) == rows[4]

    def test_without_a_free_row_it_refuses(self, shared: SharedState) -> None:
        gauge = shared.gauge(shared.identity("g"))
        _, home, _ = gauge._place(b"x")
        for row in range(home, home + shared_gauges.WINDOW):
            gauge._tags[row], gauge._counts[row] = 4242, 1
        assert not gauge.enter(b"x", 5)
        assert sum(gauge._counts[:ALL_ROWS]) == shared_gauges.WINDOW


class TestRecord:
    def test_it_is_zero_at_first_and_found_again(self, shared: SharedState, clock: Clock) -> None:
        with shared.record(shared.identity("r"), ttl_seconds=10) as words:
            assert not any(words)
            words[3] = 7
        record = shared.record(shared.identity("r"), ttl_seconds=10)
        with record as words:
            assert words[3] == 7
            assert record.counts[6] == 7
        with shared.record(shared.identity("other"), ttl_seconds=10) as words:
            assert words[3] == 0

    def test_it_is_forgotten_after_its_time(self, shared: SharedState, clock: Clock) -> None:
        record = shared.record(shared.identity("r"), ttl_seconds=10)
        for _ in range(3):
            with record as words:
                words[3] = 7
            clock.advance(9)
        clock.advance(1)
        with record as words:
            assert words[3] == 0

    def test_a_part_can_be_zeroed(self, shared: SharedState) -> None:
        record = shared.record(shared.identity("r"), ttl_seconds=10)
        with record as words:
            words[511] = words[512] = words[1024] = 1
            record.clear(4096, 4096)
            assert [words[511], words[512], words[1024]] == [1, 0, 1]

    def test_expired_ones_give_their_memory_back(self, shared: SharedState, clock: Clock) -> None:
        old, new = (shared.record(shared.identity(name), ttl_seconds=10) for name in ("1", "2"))
        new._first, new._lock = old._first, old._lock
        with old as words:
            words[5] = 1
        clock.advance(10)
        with new:
            assert not any(old._words)
        with old as words:
            assert words[5] == 0

    def test_a_full_stripe_drops_the_stalest(self, shared: SharedState, clock: Clock) -> None:
        record = shared.record(shared.identity("r"), ttl_seconds=10)
        stripe = slice(record._first, record._first + RECORD_CELLS)
        tags, stamps = shared._cells.record_tags[stripe], shared._cells.record_stamps[stripe]
        for place in range(RECORD_CELLS):
            tags[place], stamps[place] = 2 * place + 2, 1000 - place
        with record as words:
            words[0] = 1
        assert tags[RECORD_CELLS - 1] == record._tag
        assert len(set(tags)) == RECORD_CELLS

    def test_an_error_inside_releases_the_lock(self, shared: SharedState) -> None:
        record = shared.record(shared.identity("r"), ttl_seconds=10)
        with pytest.raises(KeyError), record:
            raise KeyError
        with record:
            pass

    def test_a_refused_lookup_releases_the_lock(
        self, shared: SharedState, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        held: list[int] = []
        monkeypatch.setattr(shared._cells, "lock", held.append)
        monkeypatch.setattr(shared._cells, "unlock", held.remove)
        monkeypatch.setattr(shared_records, "time", SimpleNamespace(monotonic=lambda: 1 / 0))
        with pytest.raises(ZeroDivisionError), shared.record(shared.identity("r"), ttl_seconds=10):
            pass
        assert not held
