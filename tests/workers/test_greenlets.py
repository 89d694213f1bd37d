"""Greenlets used again: in order, holding nothing, and deaf to who comes late."""

from __future__ import annotations

import threading
import weakref

import gevent
from gevent import get_hub
from greenlet import getcurrent, greenlet

from tests.waiting import wait_until
from workers import greenlets


class Thing:
    """Something that can be held."""


def run(count: int) -> list[greenlet]:
    """The greenlets in which so many pieces of work ran, all started at once."""
    ran: list[greenlet] = []
    for _ in range(count):
        greenlets.start(lambda _: ran.append(getcurrent()), None)
    assert not ran, "not before the loop's next turn"
    wait_until(lambda: len(ran) == count, pause=gevent.sleep)
    return ran


def test_a_greenlet_is_used_again() -> None:
    first = run(1)[0]
    assert run(1) == [first]


def test_work_at_the_same_time_has_greenlets_of_its_own() -> None:
    assert len(set(run(5))) == 5


def test_few_are_kept() -> None:
    ran = run(greenlets.MOST_IDLE + 10)
    assert sum(not one.dead for one in ran) <= greenlets.MOST_IDLE


def test_what_was_worked_on_is_let_go() -> None:
    thing = Thing()
    gone = weakref.ref(thing)
    seen: list[str] = []
    greenlets.start(lambda one: seen.append(type(one).__name__), thing)
    del thing
    wait_until(lambda: seen == ["Thing"], pause=gevent.sleep)
    assert gone() is None


def test_who_comes_late_wakes_nobody() -> None:
    idle = run(1)[0]
    get_hub().loop.run_callback(idle.switch, None)
    gevent.sleep(0)
    assert not idle.dead
    assert run(1) == [idle]


def test_who_comes_late_with_nothing_at_all_or_an_exception_wakes_nobody() -> None:
    idle = run(1)[0]
    get_hub().loop.run_callback(idle.switch)
    get_hub().loop.run_callback(idle.throw, TimeoutError("late"))
    gevent.sleep(0)
    assert not idle.dead
    assert run(1) == [idle]


def test_one_that_was_killed_is_not_used() -> None:
    idle = run(1)[0]
    get_hub().loop.run_callback(idle.throw)
    gevent.sleep(0)
    assert idle.dead
    assert idle not in run(1)


def test_one_of_another_hub_is_not_used() -> None:
    ran: list[bool] = []

    def elsewhere() -> None:
        before = run(1)[0]
        get_hub().destroy()
        ran.append(run(1)[0] is not before)
        get_hub().destroy()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(10)
    assert ran == [True]
