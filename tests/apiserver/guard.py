"""Runs one server program and makes sure that it never outlives the tests.

Usage: ``python -I -S guard.py PARENT PROGRAM ARGUMENT...``. The guard is the parent of the program and passes
SIGTERM on; a program that ignores it is killed after a grace time. When the process PARENT has gone (killed,
crashed) the program is killed at once, which no ``finally`` in that process could do. The guard exits with
the program's own code. Nothing but the program started here is ever signalled. Linux only.
"""

import os
import signal
import sys
import time

GRACE_SECONDS = 10.0
LOOK_SECONDS = 0.5
SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}


def guard(parent: int, command: list[str]) -> int:
    """Run the command to its end and return its exit code (128 plus the number for a signal)."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # before the start, so that no signal is ever missed
    child = os.posix_spawnp(command[0], command, os.environ, setsigmask=())
    kill_at: float | None = None
    while True:
        came = signal.sigtimedwait(SIGNALS, LOOK_SECONDS)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if os.getppid() != parent or (kill_at is not None and time.monotonic() > kill_at):
            os.kill(child, signal.SIGKILL)
        elif came is not None and came.si_signo != signal.SIGCHLD and kill_at is None:
            os.kill(child, signal.SIGTERM)
            kill_at = time.monotonic() + GRACE_SECONDS


if __name__ == "__main__":
    sys.exit(guard(int(sys.argv[1]), sys.argv[2:]))
