"""What systemd is told (sd_notify): ready, reloading, stopping, alive, and one line of status.

Each message says what is true at that moment; a status that did not change is not sent again. Without
NOTIFY_SOCKET everything here does nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping
from typing import Final

_WATCHDOG_SHARE: Final = 0.5


class Notifier:
    """Reads and removes the variables, so that no child can speak for us. Master only."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        watchdog_usec = environ.pop("WATCHDOG_USEC", "")
        watchdog_pid = environ.pop("WATCHDOG_PID", "") or str(os.getpid())
        self.watchdog_interval_seconds = 0.0
        if self._address and watchdog_usec.isdigit() and watchdog_pid == str(os.getpid()):
            self.watchdog_interval_seconds = int(watchdog_usec) / 1e6 * _WATCHDOG_SHARE
        self._watchdog_due = 0.0
        self._is_ready = False
        self._status = ""

    def send(self, *lines: str) -> None:
        """One datagram. A manager that does not listen is no reason to stop serving."""
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
        ):
            sock.connect(self._address)
            sock.send("\n".join(lines).encode())

    def update(self, is_ready: bool, status: str) -> None:
        """Tell the status if it changed; READY=1 the first time, and again after a reload."""
        lines = []
        if is_ready and not self._is_ready:
            self._is_ready = True
            lines.append("READY=1")
        if status != self._status:
            self._status = status
            lines.append(f"STATUS={status}")
        if lines:
            self.send(*lines)

    def reloading(self) -> None:
        """READY=1 has to follow, by `update`, whether the reload worked or not."""
        self._is_ready = False
        self.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str, allowed_seconds: float) -> None:
        """Also asks for the time that draining may take, should the unit's TimeoutStopSec be shorter."""
        self._status = status
        self.send("STOPPING=1", f"STATUS={status}", f"EXTEND_TIMEOUT_USEC={int(allowed_seconds * 1e6)}")

    def main_process(self, pid: int) -> None:
        """After a binary upgrade another process is the one to watch."""
        self.send(f"MAINPID={pid}")

    def beat(self, now: float, is_healthy: bool) -> None:
        """WATCHDOG=1 when it is due and the tree is healthy. `now` is the monotonic clock."""
        if self.watchdog_interval_seconds and now >= self._watchdog_due:
            self._watchdog_due = now + self.watchdog_interval_seconds
            if is_healthy:
                self.send("WATCHDOG=1")

    def seconds_to_beat(self, now: float) -> float:
        """How long the loop may wait; infinite without a watchdog."""
        return max(0.0, self._watchdog_due - now) if self.watchdog_interval_seconds else float("inf")
