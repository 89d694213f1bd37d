"""Work of many milliseconds in small pieces, between which others get the processor.

Where provider and workers share a core, a build that just runs takes it for as long as the scheduler lets it:
until the next tick, which is up to 4 ms away, and every request on that core waits. Niceness changes how often
that happens, not how long it lasts, and the length of slices that a process may ask for is rounded to ticks. So
the build stops by itself, long before: a timer interrupts it, and whoever waits for the core gets it.

A timer, since the work is done by hundreds of functions, none of which should have to know. Python runs signal
handlers between two steps of the main thread only, so that no call into a library is ever cut.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

RUN_SECONDS: Final = 0.0002
REST_SECONDS: Final = 0.001
LONG_RUN_SECONDS: Final = 0.001
"""Once the work has proved to be large: it must come to its end as well, before the master takes it for hung."""
LARGE_SECONDS: Final = 0.1
"""Work that takes longer than this, rests not counted, is large."""
WAITED_SECONDS: Final = 0.0015
"""Who has not run for so long has waited for what others bring, and not only for the interpreter."""
GATHER_SECONDS: Final = 0.01


class _Rest:
    """The rest of the whole process: what one thread leaves to others, another must not take."""

    def __init__(self) -> None:
        self._until = 0.0

    def take(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        time.sleep(seconds)

    def join(self) -> bool:
        """Sleep to the end of a rest that another thread takes; whether there is one."""
        left_seconds = self._until - time.monotonic()
        if left_seconds <= 0:
            return False
        time.sleep(left_seconds)
        return True


_REST: Final = _Rest()


class GivingWay:
    """Wraps what may take long. Main thread only; takes SIGALRM and the process's real-time timer for itself."""

    def __init__(self, run_seconds: float = RUN_SECONDS, rest_seconds: float = REST_SECONDS) -> None:
        self._run_seconds = run_seconds
        self._rest_seconds = rest_seconds
        self._works = False
        self._worked_seconds = 0.0
        self.rests = 0
        signal.signal(signal.SIGALRM, self._rest)

    @contextmanager
    def work(self) -> Iterator[None]:
        """Inside, the processor is given up for `rest_seconds` after each `run_seconds`. Not to be nested.

        The handler stays in place afterwards: a signal that comes late must not end the process.
        """
        self._worked_seconds, self._works = 0.0, True
        try:
            signal.setitimer(signal.ITIMER_REAL, self._run_seconds)
            yield
        finally:
            self._works = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _rest(self, *_: Any) -> None:
        if self._works:
            self.rests += 1
            _REST.take(self._rest_seconds)
            # Only now: a signal during the sleep would be handled in it, by another sleep.
            signal.setitimer(signal.ITIMER_REAL, self._next_run_seconds())

    def _next_run_seconds(self) -> float:
        """The one that has just ended is counted."""
        self._worked_seconds += self._run_seconds
        return self._run_seconds if self._worked_seconds < LARGE_SECONDS else LONG_RUN_SECONDS


class Pace:
    """The same for what no signal reaches, a thread or a loop outside of `work`: it calls this between steps."""

    __slots__ = ("_began", "_since")

    def __init__(self) -> None:
        self._mark()

    def _mark(self) -> None:
        self._began, self._since = time.monotonic(), time.thread_time()

    def __call__(self) -> None:
        # Of the thread's own time, since what it waits for is often there already.
        if _REST.join():
            self._mark()
        elif time.thread_time() - self._since >= RUN_SECONDS:
            _REST.take(REST_SECONDS)
            self._mark()

    def gather(self) -> None:
        """To be called after each piece of what others send. One that was waited for is rarely alone.

        Being woken for each of them costs more than what they say, so the next ones are left to come together.
        """
        now, spent_seconds = time.monotonic(), time.thread_time() - self._since
        if now - self._began - spent_seconds >= WAITED_SECONDS:
            time.sleep(GATHER_SECONDS)
            self._mark()
