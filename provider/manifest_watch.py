"""Tells when to look at the manifest folder: when the kernel reports a change, and every few seconds anyway.

The regular look catches what is not reported: network file systems, links that lead out of the folder, and
changes in a folder so new that its watch is not in place yet; so it comes sooner when something has just
happened. A folder that does not exist yet is looked for until it does.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Final

from watchfiles._rust_notify import RustNotify  # watchfiles.watch could miss a change before its start

from provider.manifest_objects import ManifestsRead
from provider.manifests import ManifestFolder

log = logging.getLogger(__name__)

_RESCANS_MILLISECONDS: Final = (100, 500, 2_000, 5_000)
"""Longest waits between looks after a change; the last one repeats."""
_STEP_MILLISECONDS: Final = 20
_DEBOUNCE_MILLISECONDS: Final = 100
_RETRY_SECONDS: Final = 1.0


class ManifestWatcher:
    """A thread that delivers the folder's content, at first and after each change."""

    def __init__(self, folder: ManifestFolder, deliver: Callable[[ManifestsRead], None]) -> None:
        self._folder = folder
        self._deliver = deliver
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="manifests", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float = 2.0) -> bool:
        """Ask the thread to end and wait; whether it has ended."""
        self._stopping.set()
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._scan()
            try:
                self._follow()
            except OSError as error:
                # not there yet, or no kernel watches left: looking regularly will do
                log.debug("folder not watched", extra={"directory": self._folder.directory, "error": error})
                self._stopping.wait(_RETRY_SECONDS)

    def _follow(self) -> None:
        """Until the folder is another one than at the start. Raises OSError if it cannot be watched."""
        path = str(self._folder.directory)
        identity = _identity(path)
        with RustNotify([path], False, False, 300, True, True) as notify:
            quiet_looks = -1
            while not self._stopping.is_set() and identity == _identity(path):
                # first, so that a change between the last look and the start of the watch is not missed
                quiet_looks = 0 if self._scan() else quiet_looks + 1
                wait = _RESCANS_MILLISECONDS[min(quiet_looks, len(_RESCANS_MILLISECONDS) - 1)]
                notify.watch(_DEBOUNCE_MILLISECONDS, _STEP_MILLISECONDS, wait, self._stopping)

    def _scan(self) -> bool:
        """Look; whether there was something new."""
        read = self._folder.scan()
        if read is not None:
            self._deliver(read)
        return read is not None


def _identity(path: str) -> tuple[int, int]:
    """Raises OSError if there is no such folder."""
    status = os.stat(path)
    return status.st_dev, status.st_ino
