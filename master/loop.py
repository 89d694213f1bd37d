"""The master's wait: signals, the provider's channel and the workers' channels in one poll.

gunicorn waits on a queue that only signal handlers fill, for up to a second. A generation must reach the
workers at once, so the master polls descriptors instead; signals come in through a wakeup pipe. No threads.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable
from typing import Final

_PIPE_BYTES: Final = 4096


class Loop:
    """Callbacks by descriptor. Main thread of the master only."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._wakeup_read, self._wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll.register(self._wakeup_read, select.POLLIN)

    def catch_signals(self) -> None:
        """From now on a signal ends the wait. Its Python handler has run by then."""
        signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)

    def watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        """Call `callback` when the descriptor is readable or its other end has gone."""
        self._callbacks[descriptor] = callback
        self._poll.register(descriptor, select.POLLIN)

    def unwatch(self, descriptor: int) -> None:
        """Before the descriptor is closed; unknown ones are ignored."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def run_once(self, timeout_seconds: float) -> None:
        """Wait for a signal or a readable descriptor, at most so long, and call what became ready."""
        for descriptor, _ in self._poll.poll(max(0.0, timeout_seconds) * 1000):
            if descriptor == self._wakeup_read:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wakeup_read, _PIPE_BYTES)
                continue
            # an earlier callback of this round may have dropped it
            callback = self._callbacks.get(descriptor)
            if callback is not None:
                callback()

    def close(self) -> None:
        """In a forked child: its signals must not wake the master."""
        signal.set_wakeup_fd(-1)
        os.close(self._wakeup_read)
        os.close(self._wakeup_write)
        self._callbacks.clear()
