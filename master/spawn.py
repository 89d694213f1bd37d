"""Starting a child by fork and exec, and what became of it.

Not subprocess: the master reaps all children in one place, and a child needs steps between fork and exec.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn


def spawn(
    command: Sequence[str],
    environ: Mapping[str, str],
    descriptors: Sequence[int],
    before_exec: Callable[[], object] = lambda: None,
) -> int:
    """Fork and exec `command` with just these descriptors besides the standard ones; returns the child's pid.

    A failing exec ends the child with status 127.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        _exec(command, environ, descriptors, before_exec)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(2, f"cannot start {command[0]}: {error}\n".encode())
    finally:
        os._exit(127)


def _exec(
    command: Sequence[str],
    environ: Mapping[str, str],
    descriptors: Sequence[int],
    before_exec: Callable[[], object],
) -> NoReturn:
    signal.set_wakeup_fd(-1)
    # ignored signals stay ignored over an exec, a blocked mask too
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    before_exec()
    os.execvpe(command[0], list(command), environ)  # noqa: S606


def wait_status(pid: int) -> int | None:
    """Wait status of a child that has ended, None while it lives. A child that is not ours counts as ended."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0
    return status if ended else None


def send_signal(pid: int, number: signal.Signals) -> None:
    """Quietly, if the process is gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def describe_status(status: int) -> str:
    """A wait status in words: `exited with code 1`, `was killed by SIGKILL`."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return f"was killed by {signal.Signals(number).name}"
        except ValueError:
            return f"was killed by signal {number}"
    return f"exited with code {os.waitstatus_to_exitcode(status)}"
