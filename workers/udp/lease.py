"""Who reads a UDP socket that several processes hold.

During a reload, a binary upgrade and with one socket from systemd more than one worker has the same socket. A
stream's connections may be accepted by any of them, but a flow of datagrams must meet one worker, or it would
have a session, and a server, in each. So one process reads at a time: the one whose id the socket itself
carries. The kernel keeps it for whoever has the socket, in place of a process to signal (F_SETOWN of fcntl(2),
no signals are asked for), and it counts for nothing once that process is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket


class Lease:
    """This process's side. Calls cost one or two system calls and never block."""

    __slots__ = ("_socket",)

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def take(self) -> bool:
        """Become the reader unless another living process is; True if this one is it now."""
        if self.is_others():
            return False
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._socket, fcntl.F_SETOWN, os.getpid())
        return self.is_held()  # of two that take it at once, the later one has it

    def is_held(self) -> bool:
        return self._reader() == os.getpid()

    def is_others(self) -> bool:
        """Another living process reads."""
        reader = self._reader()
        return reader not in (0, os.getpid()) and _is_alive(reader)

    def _reader(self) -> int:
        """Process id, 0 for nobody. Where the kernel (or a sandbox) does not keep it, everybody may read."""
        try:
            return fcntl.fcntl(self._socket, fcntl.F_GETOWN)
        except OSError:
            return os.getpid()

    @property
    def holder(self) -> int:
        """Process id of the one who reads, 0 for nobody."""
        return self._reader()

    def give_up(self) -> None:
        """No effect if another process has it already."""
        if self.is_held():
            fcntl.fcntl(self._socket, fcntl.F_SETOWN, 0)

    def __repr__(self) -> str:
        return f"<Lease held={self.is_held()}>"


def _is_alive(pid: int) -> bool:
    """Kernels before 5.11 go on naming a process that has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
