"""One thread for one collection: performs the steps of a `ListWatch` and feeds what it learns into a queue.

The queue's reader owns the store; nothing here touches it. Messages carry the feed they come from, so the
reader knows which collections have been listed and which are in trouble.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from provider.giving_way import Pace
from provider.kube.api import Api, WatchStream
from provider.kube.errors import ApiError, Forbidden, KindMissing, Unauthorized
from provider.kube.watch import (
    FetchPage,
    IsRead,
    LineSplitter,
    ListWatch,
    OpenWatch,
    Pause,
    Put,
    Removed,
    Snapshot,
)
from provider.resources.kinds import Kind

log = logging.getLogger(__name__)

_QUIET_FAILURES: Final = 1


@dataclass(frozen=True, slots=True)
class Feed:
    """One watched collection; `namespace` "" means all namespaces or a cluster-scoped kind."""

    kind: Kind
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """The whole collection, and the feed is in order."""

    feed: Feed
    objects: list[Any]


@dataclass(frozen=True, slots=True)
class Changed:
    """One object was put or removed."""

    feed: Feed
    change: Put | Removed


@dataclass(frozen=True, slots=True)
class InTrouble:
    """The feed does not follow the cluster; what was learned stays valid. It keeps trying."""

    feed: Feed
    error: ApiError


@dataclass(frozen=True, slots=True)
class InOrder:
    """The feed follows the cluster again, nothing was missed."""

    feed: Feed


Message = Listed | Changed | InTrouble | InOrder


class Informer:
    """Starts with `start`, ends with `stop`; `deliver` must be callable from its thread."""

    def __init__(
        self,
        api: Api,
        feed: Feed,
        deliver: Callable[[Message], None],
        *,
        selector: str = "",
        is_read: IsRead | None = None,
        randomness: random.Random | None = None,
    ) -> None:
        self.feed = feed
        self._api = api
        self._deliver = deliver
        randomness = randomness or random.Random()  # noqa: S311 - jitter
        self._machine = ListWatch(feed.kind, feed.namespace, randomness, selector, is_read)
        self._stopping = threading.Event()
        self._stream: WatchStream | None = None
        self._troubled = False
        name = f"watch {feed.kind.plural} {feed.namespace}".rstrip()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float = 2.0) -> bool:
        """Ask the thread to end and wait; whether it has ended."""
        self._stopping.set()
        stream = self._stream
        if stream is not None:
            stream.abort()
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            step = self._machine.next()
            started = time.monotonic()
            try:
                self._perform(step, started)
            except ApiError as error:
                if self._stopping.is_set():
                    return
                self._machine.failed(error, time.monotonic() - started)
                self._tell_trouble(error)

    def _perform(self, step: FetchPage | OpenWatch | Pause, started: float) -> None:
        """One step. Raises ApiError."""
        match step:
            case Pause():
                self._stopping.wait(step.seconds)
            case FetchPage():
                snapshot = self._machine.page(self._api.fetch(self.feed.kind, self.feed.namespace, step.query))
                if snapshot is not None:
                    self._tell_snapshot(snapshot)
            case OpenWatch():
                self._follow(step)
                self._machine.ended(time.monotonic() - started)

    def _follow(self, step: OpenWatch) -> None:
        splitter = LineSplitter()
        kind, namespace = self.feed.kind, self.feed.namespace
        with self._api.watch(kind, namespace, step.query, step.timeout_seconds) as stream:
            self._stream = stream  # from here on `stop` can end the stream; before, it is seen next
            try:
                if self._stopping.is_set():
                    return
                self._tell_order()
                pace = Pace()
                for chunk in stream.chunks():
                    for line in splitter.feed(chunk):
                        change = self._machine.line(line)
                        if change is not None:
                            self._deliver(Changed(self.feed, change))
                        pace()
                    if self._stopping.is_set():
                        return
                    pace.gather()
            finally:
                self._stream = None

    def _tell_snapshot(self, snapshot: Snapshot) -> None:
        self._troubled = False
        self._deliver(Listed(self.feed, snapshot.objects))

    def _tell_order(self) -> None:
        if self._troubled:
            self._troubled = False
            self._deliver(InOrder(self.feed))

    def _tell_trouble(self, error: ApiError) -> None:
        log.debug("%s", error, extra={"failures": self._machine.failures})
        lasting = isinstance(error, Forbidden | KindMissing | Unauthorized)
        # a broken stream is everyday life; only what lasts is trouble
        if lasting or not self._machine.synced or self._machine.failures > _QUIET_FAILURES:
            self._troubled = True
            self._deliver(InTrouble(self.feed, error))
