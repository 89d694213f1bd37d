"""The provider process: started by exec, restarted with a growing pause, killed when it no longer beats.

It never outlives the master: the kernel kills it with its parent, and its channel reads end-of-file. While it
is away the workers go on with the generation they have.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from config.control_page import ControlPage, Head
from master import privileges
from master.loop import Loop
from master.spawn import describe_status, send_signal, spawn, wait_status

PROVIDER_COMMAND: Final = ("-m", "provider")
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
STEADY_AFTER_SECONDS: Final = 30.0
"""A provider that lived this long starts over with the first pause."""
HUNG_AFTER_SECONDS: Final = 60.0
LEAVE_SECONDS: Final = 5.0
"""What a replaced provider gets before it is killed."""

_SYSTEM_NAMES: Final = {
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "HOSTNAME",
    "NO_COLOR",
}
_CLUSTER_NAMES: Final = {"KUBECONFIG", "POD_NAME", "POD_NAMESPACE", "VIRTUAL_ENV", "NO_COLOR"}
_PROXY_NAMES: Final = {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"}
_PASSED_NAMES: Final = frozenset(_SYSTEM_NAMES | _CLUSTER_NAMES | _PROXY_NAMES)
# Credential plugins of kubeconfig files (EKS, GKE, AKS) read the variables of their clouds.
_PASSED_PREFIXES: Final = ("KUBERNETES_", "SSL_CERT_", "LC_", "PYTHON", "AWS_", "GOOGLE_", "CLOUDSDK_", "AZURE_")

log = logging.getLogger(__name__)


def provider_environment(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    """What of our environment the provider needs to reach a cluster; other variables are none of its business.

    `root` is the folder of our packages, so that the module is found from any working directory.
    """
    passed = {
        name: value
        for name, value in environ.items()
        if name.upper() in _PASSED_NAMES or name.startswith(_PASSED_PREFIXES)
    }
    passed["PYTHONPATH"] = os.pathsep.join(filter(None, (str(root), passed.get("PYTHONPATH"))))
    return passed


class Provider:
    """The provider process. Master only; the loop calls `manage` and, on SIGCHLD, `reap`."""

    def __init__(
        self, page: ControlPage, environ: Mapping[str, str], loop: Loop, hear: Callable[[], None]
    ) -> None:
        """`hear` is called when the channel is readable or closed by the provider."""
        self._page = page
        self._environ = environ
        self._loop = loop
        self._hear = hear
        self._encoded_static = b""
        self._started_at = 0.0
        self._pause = FIRST_PAUSE_SECONDS
        self._leaving: dict[int, float] = {}
        self._due: float | None = None
        self.is_stopping = False
        self.pid = 0
        self.channel: socket.socket | None = None

    def start(self, encoded_static: bytes) -> None:
        """Start it with this configuration; an already running one is asked to leave and replaced at once."""
        self._encoded_static = encoded_static
        self._dismiss(LEAVE_SECONDS)
        self._pause = FIRST_PAUSE_SECONDS
        self._spawn()

    def _spawn(self) -> None:
        """Where the machine has no room for it now, the next try is due after a pause."""
        try:
            self.pid, ours = self._started()
        except OSError as error:
            log.error("provider not started: %s; next try in %g s", error.strerror, self._pause)
            self._wait()
            return
        self._page[Head.PROVIDER_PID] = self.pid
        self.channel = ours
        self._loop.watch(ours.fileno(), self._hear)
        self._due = None
        self._started_at = time.monotonic()
        log.info("provider started", extra={"pid": self.pid})

    def _started(self) -> tuple[int, socket.socket]:
        """Its pid and our end of the channel. Raises OSError, with nothing left open."""
        with contextlib.ExitStack() as failed, contextlib.ExitStack() as done:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            failed.callback(ours.close)
            done.callback(theirs.close)
            ours.setblocking(False)
            static = os.memfd_create("pointsman-static", os.MFD_CLOEXEC)
            done.callback(os.close, static)
            os.write(static, self._encoded_static)
            os.lseek(static, 0, os.SEEK_SET)
            environ = dict(self._environ)
            environ["POINTSMAN_CHANNEL_FD"] = str(theirs.fileno())
            environ["POINTSMAN_CONTROL_FD"] = str(self._page.descriptor)
            environ["POINTSMAN_STATIC_FD"] = str(static)
            self._page[Head.PROVIDER_SYNCED] = 0
            self._page[Head.PROVIDER_HEARTBEAT_NS] = time.monotonic_ns()
            parent = os.getpid()
            pid = spawn(
                (sys.executable, *PROVIDER_COMMAND),
                environ,
                (theirs.fileno(), self._page.descriptor, static),
                lambda: _bind_to(parent),
            )
            failed.pop_all()
            return pid, ours

    def _wait(self) -> None:
        """Before the next start; longer each time."""
        self._due = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)

    def reap(self) -> None:
        """Collect the provider and its predecessors by their pids, before a general wait could take them."""
        for pid in filter(None, (*self._leaving, self.pid)):
            status = wait_status(pid)
            if status is not None:
                self.ended(pid, status)

    def ended(self, pid: int, status: int) -> bool:
        """Take note that this child was waited for. False if it is none of ours."""
        if self._leaving.pop(pid, None) is not None:
            return True
        if not self.pid or pid != self.pid:
            return False
        if self.is_stopping:
            self._forget()
            return True
        lived = time.monotonic() - self._started_at
        if lived >= STEADY_AFTER_SECONDS:
            self._pause = FIRST_PAUSE_SECONDS
        log.error(
            "provider %s, the workers go on with what they have; next start in %g s",
            describe_status(status),
            self._pause,
            extra={"pid": self.pid},
        )
        self._forget()
        self._wait()
        return True

    def manage(self, now: float) -> None:
        """Restart it when that is due, kill it when it hangs."""
        for pid, deadline in self._leaving.items():
            if now >= deadline:
                send_signal(pid, signal.SIGKILL)
        if self.pid:
            silent = now - self._page[Head.PROVIDER_HEARTBEAT_NS] / 1e9
            if silent > HUNG_AFTER_SECONDS:
                log.error("provider silent for %d s, it is killed", silent, extra={"pid": self.pid})
                self._page[Head.PROVIDER_HEARTBEAT_NS] = time.monotonic_ns()
                send_signal(self.pid, signal.SIGKILL)
        elif self._due is not None and now >= self._due:
            self._spawn()

    def abandon(self) -> None:
        """It closed its channel, so nothing can come from it any more: a fresh one is needed."""
        if self.channel is not None:
            self._loop.unwatch(self.channel.fileno())
        if self.pid:
            send_signal(self.pid, signal.SIGKILL)

    def reopen_logs(self) -> None:
        if self.channel is not None:
            with contextlib.suppress(OSError):
                self.channel.send(b"r")

    def stop(self, grace_seconds: float) -> None:
        """Ask it to leave, wait so long, then kill it. It is gone when this returns."""
        self._dismiss(grace_seconds)
        for pid, deadline in self._leaving.items():
            while wait_status(pid) is None:
                if time.monotonic() >= deadline:
                    send_signal(pid, signal.SIGKILL)
                time.sleep(0.01)
        self._leaving.clear()

    def _dismiss(self, grace_seconds: float) -> None:
        if self.pid:
            send_signal(self.pid, signal.SIGTERM)
            self._leaving[self.pid] = time.monotonic() + grace_seconds
        self._forget()

    def _forget(self) -> None:
        self.pid = 0
        self._page[Head.PROVIDER_PID] = 0
        self._page[Head.PROVIDER_SYNCED] = 0
        if self.channel is not None:
            self._loop.unwatch(self.channel.fileno())
            self.channel.close()
            self.channel = None

    def seconds_to_next_step(self, now: float) -> float:
        """Until the next start is due; infinite while it runs."""
        return float("inf") if self._due is None else max(0.0, self._due - now)

    @property
    def state(self) -> str:
        return "running" if self.pid else "restarting"

    def close_in_child(self) -> None:
        """A forked worker must not keep the channel open: its end-of-file tells the provider that we died."""
        if self.channel is not None:
            self.channel.close()


def _bind_to(parent: int) -> None:
    privileges.die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
