"""Children of the test process that share its memory: what several workers do to one mapping."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


class Forked:
    """Runs `work` in a forked child; its result comes back as text. As a context manager it leaves nothing."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(self._reader)
                os.write(writer, str(work()).encode())
                status = 0
            finally:
                os._exit(status)
        os.close(writer)

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        if self.pid:
            self.kill()
        os.close(self._reader)

    def result(self) -> str:
        """Wait for the end. Raises AssertionError if the child failed or was killed."""
        with os.fdopen(os.dup(self._reader)) as reader:
            text = reader.read()
        assert self._wait() == 0, "the child failed"
        return text

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send the signal, wait, and give the exit code (negative for a signal)."""
        os.kill(self.pid, number)
        return self._wait()

    def wait_stopped(self) -> None:
        """Until it has stopped itself or was stopped."""
        assert os.WIFSTOPPED(os.waitpid(self.pid, os.WUNTRACED)[1])

    def exit_code(self) -> int:
        """Wait for the end."""
        return self._wait()

    def _wait(self) -> int:
        pid, self.pid = self.pid, 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def dies_before_line(number: int, files: Collection[str], work: Callable[[], object]) -> Callable[[], object]:
    """`work`, killed before it runs line `number` (from 0, as they come) of the code in `files`."""

    def doomed() -> object:
        left = number

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal left
            if frame.f_code.co_filename not in files:
                return None
            if event == "line":
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        result = work()
        sys.settrace(None)
        return result

    return doomed


@contextmanager
def all_at_once(*works: Callable[[], object]) -> Iterator[list[Forked]]:
    """One child for each; they begin together."""
    gate, opener = os.pipe()

    def behind_gate(work: Callable[[], object]) -> Callable[[], object]:
        def waiting() -> object:
            os.close(opener)
            os.read(gate, 1)
            return work()

        return waiting

    children = [Forked(behind_gate(work)) for work in works]
    os.close(gate)
    os.close(opener)
    try:
        yield children
    finally:
        for child in children:
            child.__exit__(None, None, None)
