"""One breaker, several processes: it trips once for all, and a death at any line leaves it usable."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import workers.shared
from config.cells import Cells
from tests.forked import Forked, all_at_once, dies_before_line
from workers.middlewares import breaker_state
from workers.middlewares.breaker_state import FUNCTIONS, Breaker, State, Times
from workers.middlewares.conditions import compile_condition
from workers.shared import SharedState

HOUR_NS = 3600 * 10**9
LONG = Times(1, HOUR_NS, HOUR_NS)
FILES = {
    str(path)
    for folder, pattern in (
        (Path(workers.shared.__file__).parent, "shared*.py"),
        (Path(breaker_state.__file__).parent, "breaker*.py"),
    )
    for path in folder.glob(pattern)
}


def made(shared: SharedState, expression: str, times: Times = LONG) -> Breaker:
    condition = compile_condition(expression, FUNCTIONS)
    return Breaker(shared, shared.identity("breaker"), condition, times)


def cells_of(slots: int) -> Cells:
    cells = Cells.create()
    for slot in range(slots):
        cells.open_slot(slot)
    return cells


def test_it_trips_after_the_same_response_for_everybody() -> None:
    """Each answer of every process counts, and exactly one of them trips it."""
    cells = cells_of(4)
    expression = "ResponseCodeRatio(500, 600, 0, 600) >= 0.5 && RequestThreshold() >= 400"

    def serve(slot: int) -> Callable[[], object]:
        def answers() -> str:
            breaker = made(SharedState(cells, slot), expression)
            passed = tripped = 0
            for _ in range(300):
                if breaker.lets_pass():
                    passed += 1
                    tripped += breaker.record(500, 1_000_000)
            return f"{passed} {tripped}"

        return answers

    with all_at_once(*map(serve, range(4))) as children:
        results = [tuple(map(int, child.result().split())) for child in children]
    passed, tripped = (sum(one[place] for one in results) for place in (0, 1))
    assert tripped == 1
    assert 400 <= passed < 400 + 4, "no more than one was under way in each process when it tripped"


def test_a_death_before_any_line_leaves_it_usable() -> None:
    """Whatever was being done: tripping, refusing, recovering, counting."""

    def whole_life(cells: Cells) -> Callable[[], object]:
        def live() -> None:
            breaker = made(SharedState(cells, 0), "LatencyAtQuantileMS(50.0) > 100", Times(1, 1, 1))
            for latency_ns in (1_000_000, 200_000_000, 200_000_000):
                breaker.lets_pass()
                breaker.record(200, latency_ns)

        return live

    lines, step = 0, random.Random(os.getpid())
    while True:
        cells = cells_of(2)
        with Forked(dies_before_line(lines, FILES, whole_life(cells))) as child:
            code = child.exit_code()
        follower = made(SharedState(cells, 1), "NetworkErrorRatio() > 0.50", Times(1, HOUR_NS, 1))
        while not follower.lets_pass():  # a recovery of a nanosecond
            pass
        for _ in range(10):
            follower.record(502, 1_000)
        assert follower.state is State.TRIPPED
        assert not follower.lets_pass()
        if code == 0:
            break
        lines += step.randrange(1, 8)
    assert lines > 50
