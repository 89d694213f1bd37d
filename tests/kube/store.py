"""Objects, one global version counter, and the log of changes that lists at a version and watches read.

Every object is encoded once, when it is written; lists join those bytes and all watches of a kind share
one encoded frame per change. The log keeps what each change replaced, so the state at any version that has
not been compacted can be rebuilt by undoing the changes made since. One lock guards everything here.
Objects in the store are never changed in place.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from .errors import ApiError, Json, expired
from .kinds import Kind

if TYPE_CHECKING:
    from .watch import Watch

Key = tuple[str, str]
_KEPT_CHANGES = 50_000


def encode(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def chunk(payload: bytes) -> bytes:
    """One chunk of a chunked HTTP body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


class Entry:
    """One object as it was at one version."""

    __slots__ = ("data", "document", "key", "labels", "version")

    def __init__(self, kind: Kind, document: Json, version: int) -> None:
        metadata: Json = {**document["metadata"], "resourceVersion": str(version)}
        rest = {key: value for key, value in document.items() if key not in ("kind", "apiVersion")}
        rest["metadata"] = metadata
        self.document: Json = {"kind": kind.kind, "apiVersion": kind.api_version, **rest}
        self.data = encode(self.document)
        self.key: Key = (metadata.get("namespace", ""), metadata["name"])
        self.labels: dict[str, str] = metadata.get("labels") or {}
        self.version = version


class Change:
    """One write: what the object became (its last state for a deletion) and what it was before."""

    def __init__(self, version: int, event: str, entry: Entry, previous: Entry | None) -> None:
        self.version = version
        self.event = event
        self.entry = entry
        self.previous = previous

    @cached_property
    def frame(self) -> bytes:
        """The watch event as an HTTP chunk, encoded on first use and shared by all watches."""
        return event_frame(self.event, self.entry.data)


def event_frame(event: str, data: bytes) -> bytes:
    return chunk(b'{"type":"%b","object":%b}\n' % (event.encode(), data))


class Collection:
    """All objects of one kind with their change log."""

    def __init__(self, kind: Kind, version: int) -> None:
        self.kind = kind
        self.entries: dict[Key, Entry] = {}
        self.log: list[Change] = []
        self.log_start = 0
        """How many changes were dropped from the front of the log, ever."""
        self.compacted = version
        """Versions below this one can no longer be read or watched from."""
        self.watches: set[Watch] = set()
        self._order: list[Key] | None = None
        self._list_prefix = len(encode({"kind": kind.kind, "apiVersion": kind.api_version})) - 1

    def list_item(self, entry: Entry) -> bytes:
        """Bytes of one list item: built-in kinds leave out kind and apiVersion there, as the real server does."""
        return entry.data if self.kind.custom else b"{" + entry.data[self._list_prefix + 1 :]

    def ordered(self) -> list[Entry]:
        """Current entries by namespace and name."""
        if self._order is None:
            self._order = sorted(self.entries)
        entries = self.entries
        return [entries[key] for key in self._order]

    def at(self, version: int) -> list[Entry]:
        """Entries in order as they were at `version`. Raises `ApiError` 410 if that is compacted."""
        if version < self.compacted:
            raise expired(f"The provided resource version is too old: {version} ({self.compacted})")
        if not self.log or self.log[-1].version <= version:
            return self.ordered()
        entries = dict(self.entries)
        for change in reversed(self.log):
            if change.version <= version:
                break
            if change.previous is None:
                entries.pop(change.entry.key, None)
            else:
                entries[change.entry.key] = change.previous
        return [entries[key] for key in sorted(entries)]

    def position_after(self, version: int) -> int:
        """Absolute log position of the first change after `version`. Raises `ApiError` 410."""
        if version < self.compacted:
            raise self.too_old(version)
        return self.log_start + bisect_right(self.log, version, key=lambda change: change.version)

    def too_old(self, version: int) -> ApiError:
        return expired(f"too old resource version: {version} ({self.compacted})")

    @property
    def log_end(self) -> int:
        return self.log_start + len(self.log)

    def record(self, change: Change) -> None:
        key = change.entry.key
        if change.event == "DELETED":
            del self.entries[key]
            self._order = None
        else:
            if key not in self.entries:
                self._order = None
            self.entries[key] = change.entry
        self.log.append(change)
        if len(self.log) > 2 * _KEPT_CHANGES:
            self.forget(self.log[-_KEPT_CHANGES - 1].version)
        for watch in self.watches:
            watch.wake.set()

    def forget(self, version: int) -> None:
        """Compact: drop all changes up to and including `version`."""
        dropped = bisect_right(self.log, version, key=lambda change: change.version)
        del self.log[:dropped]
        self.log_start += dropped
        self.compacted = max(self.compacted, version)


class Store:
    """The collections and the counter. `changed` is notified whenever anything a test waits for happens."""

    def __init__(self, first_version: int = 1000) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.version = first_version
        self.frozen = False
        """Watches send nothing while this is set: a network that swallows packets."""
        self._collections: dict[str, Collection] = {}

    def collection(self, kind: Kind) -> Collection:
        found = self._collections.get(kind.resource)
        if found is None:
            found = self._collections[kind.resource] = Collection(kind, self.version)
        return found

    def __iter__(self) -> Iterator[Collection]:
        return iter(list(self._collections.values()))

    def write(self, kind: Kind, document: Json) -> Entry:
        """Store a new or changed object under the next version and tell the watches."""
        with self.lock:
            self.version += 1
            collection = self.collection(kind)
            entry = Entry(kind, document, self.version)
            previous = collection.entries.get(entry.key)
            event = "ADDED" if previous is None else "MODIFIED"
            collection.record(Change(self.version, event, entry, previous))
            self.changed.notify_all()
            return entry

    def remove(self, kind: Kind, key: Key) -> Entry:
        """Drop an object; the deletion itself has a version, which its last state carries."""
        with self.lock:
            self.version += 1
            collection = self.collection(kind)
            previous = collection.entries[key]
            entry = Entry(kind, previous.document, self.version)
            collection.record(Change(self.version, "DELETED", entry, previous))
            self.changed.notify_all()
            return entry

    def compact(self) -> int:
        """Make every version handed out so far too old to watch or page from."""
        with self.lock:
            self.version += 1
            for collection in self:
                collection.forget(self.version)
            return self.version

    def wake_watches(self) -> None:
        with self.lock:
            for collection in self:
                for watch in collection.watches:
                    watch.wake.set()
