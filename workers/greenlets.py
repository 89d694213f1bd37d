"""Greenlets that are used again: a new one costs a stack of Python's own, mapped and unmapped by the kernel.

For what runs once for each connection. A thread keeps a few that have nothing to do; they are parked in its hub
and hold nothing of what they did.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from gevent import get_hub
from greenlet import GreenletExit, getcurrent, greenlet

MOST_IDLE: Final = 64


class _Idle(threading.local):
    def __init__(self) -> None:
        self.greenlets: list[greenlet] = []


_idle: Final = _Idle()


def start(work: Callable[[Any], object], argument: object) -> None:
    """Let `work(argument)` run in a greenlet of its own in the next turn of the hub's loop.

    What it raises goes to the hub.
    """
    hub = get_hub()
    greenlets = _idle.greenlets
    while greenlets:
        chosen = greenlets.pop()
        if chosen.parent is hub and not chosen.dead:  # else that hub is no more, or somebody has killed it
            break
    else:
        chosen = greenlet(_live, hub)
    hub.loop.run_callback(chosen.switch, work, argument)


def _live(work: Callable[[Any], object], argument: object) -> None:
    hub = getcurrent().parent
    assert hub is not None
    park = greenlet.switch.__get__(hub)
    while True:
        work(argument)
        del work, argument
        greenlets = _idle.greenlets
        if len(greenlets) >= MOST_IDLE:
            return
        greenlets.append(getcurrent())
        del greenlets
        work, argument = _next_task(park)


def _next_task(park: Callable[[], Any]) -> tuple[Callable[[Any], object], object]:
    """Wait for it. Who was waited for in what is over may come late, with anything or with an exception."""
    while True:
        try:
            task = park()
        except GreenletExit:  # we are wanted no more
            raise
        except BaseException:  # noqa: S112 - meant for what is over: there it would have been a bug, too
            continue
        if type(task) is tuple and task:  # a switch without arguments is an empty one
            return task
