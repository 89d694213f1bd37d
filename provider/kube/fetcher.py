"""Reads single objects whose content was thrown away as unread and is wanted now.

The watch of the collection goes on beside it: it brings whatever changes after the object was read. Asked for as
a list of one, so that the rights and the label selector of the watch apply here too.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from provider.kube.api import Api
from provider.kube.errors import ApiError, Forbidden, KindMissing
from provider.kube.watch import IsRead, ListWatch
from provider.resources.core import Metadata, Unread
from provider.resources.kinds import KINDS, ObjectKey

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """The object, why it cannot be read (Malformed), or None if there is none or it is not for us.

    Unread: nobody wanted it any more; whoever does now must ask again.
    """

    key: ObjectKey
    resource: Any | None


class Fetcher:
    """A thread. `deliver` is called from it. What is asked for while it is being fetched is fetched once."""

    def __init__(self, api: Api, deliver: Callable[[Fetched], None], is_read: IsRead) -> None:
        self._api = api
        self._deliver = deliver
        self._is_read = is_read
        self._wanted: queue.SimpleQueue[ObjectKey | None] = queue.SimpleQueue()
        self._under_way: set[ObjectKey] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fetch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask(self, keys: Iterable[ObjectKey]) -> None:
        """One thread only."""
        for key in keys:
            if key not in self._under_way:
                self._under_way.add(key)
                self._wanted.put(key)

    def stop(self, timeout_seconds: float = 2.0) -> bool:
        """Ask the thread to end and wait; whether it has ended."""
        self._stopping.set()
        self._wanted.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (key := self._wanted.get()) is not None and not self._stopping.is_set():
            self._fetch(key)

    def _fetch(self, key: ObjectKey) -> None:
        """Until there is an answer, or nobody wants one any more."""
        pause = FIRST_PAUSE_SECONDS
        while self._is_read(key) and not self._stopping.is_set():
            try:
                resource = self._read(key)
            except ApiError as error:
                log.debug("%s", error, extra={"object": key})
                self._stopping.wait(pause)
                pause = min(LONGEST_PAUSE_SECONDS, pause * 2)
            else:
                break
        else:
            resource = Unread(metadata=Metadata(namespace=key.namespace, name=key.name))
        self._under_way.discard(key)
        self._deliver(Fetched(key, resource))

    def _read(self, key: ObjectKey) -> Any | None:
        """Raises ApiError for what waiting may cure."""
        kind = KINDS[key.kind]
        query = [("fieldSelector", f"metadata.name={key.name}")]
        if kind.selector:
            query.append(("labelSelector", kind.selector))
        try:
            body = self._api.fetch(kind, key.namespace, query)
        except (Forbidden, KindMissing):
            return None
        snapshot = ListWatch(kind, key.namespace, random.Random(0)).page(body)  # noqa: S311 - draws nothing
        return snapshot.objects[0] if snapshot is not None and snapshot.objects else None
