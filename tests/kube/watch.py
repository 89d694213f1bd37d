"""One watch: which changes of a collection a client still has to see, as ready HTTP chunks.

A watch keeps no queue, only a position in the collection's log, so a slow client costs nothing; if the log
is compacted past its position the client gets an ERROR event with 410, as with the real server. No socket
is touched here: the connection asks `take` for chunks and waits on `wake`.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import ApiError
from .selectors import FieldPredicate, LabelPredicate
from .store import Change, Collection, Entry, Store, chunk, encode, event_frame
from .wake import Wake

_BATCH = 2000


class Ending(enum.Enum):
    """How a watch ends: like a timeout, with the last chunk, or like a broken network, without."""

    CLEAN = enum.auto()
    ABRUPT = enum.auto()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a collection a list or watch is about."""

    namespace: str = ""
    labels: LabelPredicate | None = None
    fields: FieldPredicate | None = None

    @property
    def everything(self) -> bool:
        return not self.namespace and self.labels is None and self.fields is None

    def matches(self, entry: Entry) -> bool:
        if self.namespace and entry.key[0] != self.namespace:
            return False
        if self.labels is not None and not self.labels(entry.labels):
            return False
        return self.fields is None or self.fields(entry.document)

    def pick(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        return entries if self.everything else [entry for entry in entries if self.matches(entry)]


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What the client asked for, times in seconds on the monotonic clock."""

    position: int
    failure: ApiError | None = None
    """Why the watch cannot start; reported inside the stream, as the real server does for old versions."""
    not_before: int = 0
    """A version that is still to come: changes that lead to it are left out."""
    initial: bool = False
    """Begin with an ADDED event for every object there is."""
    announce_end_of_initial: bool = False
    bookmarks: bool = False
    bookmark_interval_seconds: float = 60.0
    timeout_seconds: float = 1800.0


class Watch:
    """Created and closed by a connection; everything but `wake` is guarded by the store's lock."""

    def __init__(
        self, store: Store, collection: Collection, selection: Selection, options: WatchOptions, now: float
    ) -> None:
        self.wake = Wake()
        self.collection = collection
        self.events_sent = 0
        self._store = store
        self._selection = selection
        self._options = options
        self._position = options.position
        self._pending: deque[bytes] = deque()
        self._bookmark_asked = False
        self._ending: Ending | None = None
        self._failed = False
        self._deadline = now + options.timeout_seconds
        self._next_bookmark = now + options.bookmark_interval_seconds
        if options.failure is not None:
            self._fail(options.failure)
        else:
            self._start()
        collection.watches.add(self)
        store.changed.notify_all()

    def end(self, ending: Ending) -> None:
        with self._store.lock:
            self._ending = ending
            self.wake.set()

    def ask_bookmark(self) -> bool:
        """Send a bookmark now, if this client asked for bookmarks at all."""
        with self._store.lock:
            self._bookmark_asked = self._options.bookmarks
            self.wake.set()
            return self._options.bookmarks

    def send_error(self, error: ApiError) -> None:
        """Send an ERROR event and end the stream, as the server does when a watch cannot go on."""
        with self._store.lock:
            self._fail(error)
            self.wake.set()

    def send_raw(self, line: bytes) -> None:
        """Send bytes as they are, in one chunk, for clients that must survive nonsense."""
        with self._store.lock:
            self._pending.append(chunk(line))
            self.wake.set()

    def take(self, now: float) -> tuple[list[bytes], Ending | None, float]:
        """Chunks to send now, how the watch ends after them if it does, and how long to wait otherwise."""
        with self._store.lock:
            if self._ending is Ending.ABRUPT:
                return [], self._ending, 0.0
            if self._store.frozen:
                return [], None, 3600.0
            if now >= self._deadline:
                self._ending = Ending.CLEAN
            if not self._failed:
                self._read_log()
            caught_up = self._failed or self._position >= self.collection.log_end
            if caught_up and not self._failed:
                self._add_bookmark(now)
            frames = list(self._pending)
            self._pending.clear()
            self.events_sent += len(frames)
            if not caught_up:
                return frames, None, 0.0
            return frames, self._ending, max(0.0, self._next_time() - now)

    def _next_time(self) -> float:
        return min(self._deadline, self._next_bookmark) if self._options.bookmarks else self._deadline

    def _start(self) -> None:
        """What is there now comes first: a watch begins when asked for, not when its connection has its turn."""
        if self._options.initial:
            self._position = self.collection.log_end
            picked = self._selection.pick(self.collection.ordered())
            self._pending.extend(event_frame("ADDED", entry.data) for entry in picked)
        if self._options.announce_end_of_initial:
            self._pending.append(self._bookmark({"k8s.io/initial-events-end": "true"}))

    def _read_log(self) -> None:
        collection = self.collection
        if self._position < collection.log_start:
            self._fail(collection.too_old(collection.compacted - 1))
            return
        first = self._position - collection.log_start
        changes = collection.log[first : first + _BATCH]
        self._position += len(changes)
        if self._options.not_before:
            changes = [change for change in changes if change.version > self._options.not_before]
        if self._selection.everything:
            self._pending.extend(change.frame for change in changes)
        else:
            for change in changes:
                self._add_selected(change)

    def _add_selected(self, change: Change) -> None:
        """A change can move an object into or out of the selection; the client sees it come or go."""
        after = change.event != "DELETED" and self._selection.matches(change.entry)
        before = change.previous is not None and self._selection.matches(change.previous)
        if after:
            unseen = not before and change.event == "MODIFIED"
            self._pending.append(event_frame("ADDED", change.entry.data) if unseen else change.frame)
        elif before and change.event == "DELETED":
            self._pending.append(change.frame)
        elif before and change.previous is not None:
            last = Entry(self.collection.kind, change.previous.document, change.version)
            self._pending.append(event_frame("DELETED", last.data))

    def _add_bookmark(self, now: float) -> None:
        due = self._options.bookmarks and (now >= self._next_bookmark or now >= self._deadline)
        if due or self._bookmark_asked:
            self._pending.append(self._bookmark(None))
            self._bookmark_asked = False
            self._next_bookmark = now + self._options.bookmark_interval_seconds

    def _bookmark(self, annotations: dict[str, str] | None) -> bytes:
        kind = self.collection.kind
        metadata: dict[str, object] = {
            "resourceVersion": str(self._store.version),
            "creationTimestamp": None,
            **({"annotations": annotations} if annotations else {}),
        }
        document = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
        return event_frame("BOOKMARK", encode(document))

    def _fail(self, error: ApiError) -> None:
        self._pending.append(event_frame("ERROR", encode(error.status())))
        self._failed = True
        self._ending = Ending.CLEAN

    def close(self) -> None:
        with self._store.lock:
            self.collection.watches.discard(self)
            self._store.changed.notify_all()
        self.wake.close()
