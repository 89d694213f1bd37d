"""Whole lines to a file or to standard output, without ever waiting for somebody who reads it.

A file is opened for appending, so one write of several lines never mixes with those of another process. A pipe
takes pieces of ATOMIC_BYTES in one piece each, and only as long as there is room.
"""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ATOMIC_BYTES: Final = select.PIPE_BUF


class Sink:
    """Where lines go: a file, or standard output, which may be a pipe that somebody does not read."""

    def __init__(self, path: str) -> None:
        """Raises OSError."""
        self._path = os.path.abspath(path) if path else ""
        self.descriptor = _open_appending(self._path) if path else _standard_output()
        self._is_file = stat.S_ISREG(os.fstat(self.descriptor).st_mode)
        self._poll = select.poll()
        self._poll.register(self.descriptor, select.POLLOUT)

    def write(self, lines: list[bytes]) -> list[bytes]:
        """Write whole lines; those that would have to wait come back. Raises OSError."""
        if self._is_file:
            data = b"".join(lines)
            written = os.write(self.descriptor, data)
            return [data[written:]] if written < len(data) else []
        while lines:
            count = _fitting(lines)
            if not self._poll.poll(0):
                break
            data = b"".join(lines[:count])
            try:
                written = os.write(self.descriptor, data)
            except BlockingIOError:
                break
            lines = [data[written:], *lines[count:]] if written < len(data) else lines[count:]
        return lines

    def reopen(self) -> None:
        """Raises OSError, the old file stays then. Nothing happens without a path."""
        if self._path:
            descriptor = _open_appending(self._path)
            os.dup2(descriptor, self.descriptor, inheritable=False)
            os.close(descriptor)


def _standard_output() -> int:
    """A pipe is opened once more if that is allowed: a write that would have to wait then says so."""
    descriptor = sys.stdout.fileno()
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        try:
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return descriptor
    return descriptor


def _fitting(lines: Sequence[bytes]) -> int:
    """How many of the lines go into a pipe in one piece; one at least."""
    size = 0
    for count, line in enumerate(lines):
        size += len(line)
        if size > ATOMIC_BYTES:
            return max(count, 1)
    return len(lines)


def _open_appending(path: str) -> int:
    Path(path).parent.mkdir(0o755, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
    return os.open(path, flags, 0o664)
