"""Tells the cluster what became of its objects: conditions and Events, written by one replica.

A thread of its own that writes while the Lease is ours. The main loop only hands over verdicts, of which the
newest for each object counts, so nothing ever waits for the API server and what waits is bounded by the number of
objects. Whoever gets the Lease goes through everything once: what another replica has written already costs one
list of each kind.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Final

from provider.kube.api import Api
from provider.kube.election import Elector
from provider.kube.errors import ApiError
from provider.kube.events import EventWriter
from provider.kube.seen import Seen, look
from provider.kube.status import SILENT_SECONDS, StatusWriter, Verdict
from provider.resources.kinds import ObjectKey

log = logging.getLogger(__name__)

GATHER_SECONDS: Final = 0.1
"""Changes come in bursts: wait for the rest of one."""
LOOK_AGAIN_SECONDS: Final = 2.0
LONGEST_PAUSE_SECONDS: Final = 30.0
_TRIES: Final = 3
"""Immediate rounds for objects that somebody else changed while we wrote; after that they wait."""


class Reporter:
    """`elector` belongs to somebody else, and its `changed` must call `wake`. `update` from the main loop."""

    def __init__(
        self,
        api: Api,
        namespaces: Collection[str],
        *,
        statuses: bool,
        events: bool,
        instance: str,
        elector: Elector,
    ) -> None:
        """`instance`: who we are, for readers of Events."""
        self._elector = elector
        self._api = api
        self._namespaces = namespaces
        self._incoming: dict[ObjectKey, Verdict | None] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._verdicts: dict[ObjectKey, Verdict] = {}
        self._dirty: set[ObjectKey] = set()
        self._was_leader = False
        clock = time.monotonic
        self._statuses = StatusWriter(api, self._may_write, clock, _now) if statuses else None
        self._events = EventWriter(api, instance, self._may_write, clock, _now) if events else None
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Any thread."""
        self._wake.set()

    def update(self, verdicts: Mapping[ObjectKey, Verdict | None]) -> None:
        """Take over verdicts; never waits for anything."""
        if verdicts:
            with self._lock:
                self._incoming.update(verdicts)
            self._wake.set()

    def stop(self, timeout_seconds: float = 2.0) -> bool:
        """End the thread; whether it has ended."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _may_write(self) -> bool:
        return not self._stopping and self._elector.is_leader

    def _run(self) -> None:
        failures = 0
        while not self._stopping:
            self._wake.wait(self._patience(failures))
            self._wake.clear()
            if not self._stopping:
                failures = 0 if self._try() else failures + 1

    def _patience(self, failures: int) -> float | None:
        """Seconds until there is something to do without being woken; None: nothing."""
        if failures:
            return min(LONGEST_PAUSE_SECONDS, LOOK_AGAIN_SECONDS * 2.0 ** (failures - 1))
        if self._was_leader and (self._dirty or (self._events is not None and len(self._events.backlog))):
            return LOOK_AGAIN_SECONDS
        is_silenced = self._statuses is not None and self._statuses.is_silenced
        return SILENT_SECONDS / 10 if is_silenced else None

    def _try(self) -> bool:
        """As _report; an error of ours costs reports, never the configuration."""
        try:
            return self._report()
        except Exception:
            log.exception("reporting to the cluster failed")
            return False

    def _report(self) -> bool:
        """One round; False if the server did not play along and the rest has to wait."""
        time.sleep(GATHER_SECONDS)
        self._take_incoming()
        is_leader = self._may_write()
        if is_leader and not self._was_leader:
            self._dirty = set(self._verdicts)
        if self._statuses is not None and (kinds := self._statuses.kinds_to_try_again()):
            self._dirty.update(key for key in self._verdicts if key.kind in kinds)
        self._was_leader = is_leader
        if not is_leader:
            return True
        try:
            for _ in range(_TRIES):
                if self._dirty and self._may_write():
                    self._write(set(self._dirty))
            if self._events is not None:
                self._events.write()
        except ApiError as error:
            log.debug("%s", error)
            return False
        return True

    def _take_incoming(self) -> None:
        with self._lock:
            incoming, self._incoming = self._incoming, {}
        for key, verdict in incoming.items():
            if verdict is None:
                self._verdicts.pop(key, None)
                self._dirty.discard(key)
                if self._events is not None:
                    self._events.backlog.found(key, (), "")
            elif self._verdicts.get(key) != verdict:
                self._verdicts[key] = verdict
                self._dirty.add(key)

    def _write(self, keys: set[ObjectKey]) -> None:
        """Look at the objects and write what differs. Raises ApiError; then all of them stay to be done."""
        verdicts = {key: self._verdicts[key] for key in sorted(keys)}
        seen = look(self._api, filter(self._is_worth_a_look, verdicts), self._namespaces)
        again: set[ObjectKey] = set()
        if self._statuses is not None:
            again = self._statuses.write(verdicts, seen)
        if self._events is not None:
            self._note(verdicts, seen)
        self._dirty = (self._dirty - keys) | again

    def _is_worth_a_look(self, key: ObjectKey) -> bool:
        if self._statuses is not None and self._statuses.wants(key.kind):
            return True
        return self._events is not None and bool(self._verdicts[key].findings)

    def _note(self, verdicts: Mapping[ObjectKey, Verdict], seen: Mapping[ObjectKey, Seen]) -> None:
        assert self._events is not None
        for key, verdict in verdicts.items():
            found = seen.get(key)
            if found is not None or not verdict.findings:
                uid = found.metadata.uid if found else ""
                self._events.backlog.found(key, verdict.findings, uid)


def _now() -> datetime:
    return datetime.now(UTC)
