"""List-then-watch of one collection as a pure machine: bytes and errors in, objects and next steps out.

No sockets, no clock, no sleeping: `informer.py` performs the steps. The rules are the API conventions':
list in pages, watch from the list's resourceVersion with bookmarks, resume from the last version seen, and
list again only when the server says that version is gone (410, as HTTP status or as ERROR event), when the
kind itself had vanished, or when the server keeps refusing the version for other reasons.

`kubernetes.informer` is not used: it decodes full model objects, lists without pages, asks for no bookmarks,
retries at a fixed pause without regard to Retry-After, and treats an ERROR event as an ordinary one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from provider.kube.api import Status, error_of
from provider.kube.errors import ApiError, Gone, KindMissing, ServerTrouble
from provider.resources.core import Resource, Unread
from provider.resources.decode import Malformed, decode, key_of
from provider.resources.kinds import Kind, ObjectKey
from provider.resources.nesting import decode_any_depth

PAGE_LIMIT: Final = 500
FIRST_PAUSE_SECONDS: Final = 0.8
LONGEST_PAUSE_SECONDS: Final = 30.0
LONGEST_RETRY_AFTER_SECONDS: Final = 300.0
_QUICK_PAUSE_SECONDS: Final = 0.2
_HEALTHY_STREAM_SECONDS: Final = 1.0
_SHORTEST_WATCH_SECONDS: Final = 300
_LONGEST_WATCH_SECONDS: Final = 600
_REFUSALS_BEFORE_LIST: Final = 5
LARGEST_LINE_BYTES: Final = 32 << 20

Query = list[tuple[str, str]]
IsRead = Callable[[ObjectKey], bool]


@dataclass(frozen=True, slots=True)
class FetchPage:
    """Ask for one page of the list and give its body to `page`."""

    query: Query


@dataclass(frozen=True, slots=True)
class OpenWatch:
    """Open a watch, give its lines to `line`, then `ended` or `failed`."""

    query: Query
    timeout_seconds: int


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All there is of the collection; malformed objects are in their place."""

    objects: list[Any]


@dataclass(frozen=True, slots=True)
class Put:
    """An object as it is now, or why it cannot be read."""

    resource: Any


@dataclass(frozen=True, slots=True)
class Removed:
    key: ObjectKey


class _PageMetadata(Resource, frozen=True, kw_only=True):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _Page(Resource, frozen=True, kw_only=True):
    metadata: _PageMetadata = _PageMetadata()
    items: list[msgspec.Raw] | None = None


class _Event(Resource, frozen=True, kw_only=True):
    type: str
    object: msgspec.Raw


class _ObjectMetadata(Resource, frozen=True, kw_only=True):
    namespace: str = ""
    name: str = ""
    resource_version: str = ""


class _Object(Resource, frozen=True, kw_only=True):
    metadata: _ObjectMetadata


_PAGES: Final = msgspec.json.Decoder(_Page)
_EVENTS: Final = msgspec.json.Decoder(_Event)
_OBJECTS: Final = msgspec.json.Decoder(_Object)
_UNREAD: Final = msgspec.json.Decoder(Unread)
_STATUSES: Final = msgspec.json.Decoder(Status)


class ListWatch:
    """One collection. `randomness` spreads pauses and watch lengths; `selector` is a label selector.

    `is_read` says which objects' content is needed; of the others only the names leave here.
    `synced` turns true with the first complete list and stays so; `failures` counts failed steps since the
    last sign of life.
    """

    def __init__(
        self,
        kind: Kind,
        namespace: str,
        randomness: random.Random,
        selector: str = "",
        is_read: IsRead | None = None,
    ) -> None:
        self.kind = kind
        self.namespace = namespace
        self.synced = False
        self.failures = 0
        self._random = randomness
        self._selector = selector
        self._is_read = is_read
        self._version: str | None = None
        self._continue = ""
        self._gathered: list[Any] = []
        self._pause_seconds = 0.0

    def next(self) -> FetchPage | OpenWatch | Pause:
        """What to do now."""
        if self._pause_seconds:
            pause, self._pause_seconds = Pause(self._pause_seconds), 0.0
            return pause
        query: Query = [("labelSelector", self._selector)] if self._selector else []
        if self._version is None:
            query.append(("limit", str(PAGE_LIMIT)))
            if self._continue:
                query.append(("continue", self._continue))
            return FetchPage(query)
        timeout = self._random.randint(_SHORTEST_WATCH_SECONDS, _LONGEST_WATCH_SECONDS)
        query += [
            ("watch", "true"),
            ("resourceVersion", self._version),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", str(timeout)),
        ]
        return OpenWatch(query, timeout)

    def page(self, body: bytes) -> Snapshot | None:
        """One page of the list; the snapshot after the last one. Raises ApiError if it is no list."""
        try:
            page = decode_any_depth(_PAGES, body)
            self._gathered += [self._decoded(item) for item in page.items or []]
        except msgspec.MsgspecError as error:
            raise ServerTrouble(f"the list of {self.kind.plural} is unreadable: {error}") from error
        self._continue = page.metadata.continue_
        if self._continue:
            return None
        if not page.metadata.resource_version:
            raise ServerTrouble(f"the list of {self.kind.plural} carries no resourceVersion")
        self._version = page.metadata.resource_version
        self.synced = True
        snapshot, self._gathered = Snapshot(self._gathered), []
        return snapshot

    def line(self, line: bytes) -> Put | Removed | None:
        """One line of the watch. Raises ApiError for an ERROR event and for what is no event."""
        try:
            event = decode_any_depth(_EVENTS, line)
            if event.type == "ERROR":
                raise self._error(event.object)
            metadata = _OBJECTS.decode(event.object).metadata
            change = self._change(event, metadata)
        except msgspec.MsgspecError as error:
            raise ServerTrouble(f"unreadable event of {self.kind.plural}: {error}") from error
        if metadata.resource_version:
            self._version = metadata.resource_version
        self.failures = 0
        return change

    def ended(self, lived_seconds: float) -> None:
        """The server closed the stream; normal after its time, suspicious at once."""
        if lived_seconds >= _HEALTHY_STREAM_SECONDS:
            self.failures = 0
            return
        self._back_off(None)

    def failed(self, error: ApiError, lived_seconds: float = 0.0) -> None:
        """A step failed; a stream that had lived for a while counts as a first failure."""
        if lived_seconds >= _HEALTHY_STREAM_SECONDS:
            self.failures = 0
        refused_often = isinstance(error, ServerTrouble) and self.failures >= _REFUSALS_BEFORE_LIST
        if isinstance(error, Gone | KindMissing) or refused_often or self._version is None:
            self._start_over()
        self._back_off(error.retry_after_seconds)

    def _start_over(self) -> None:
        self._version = None
        self._continue = ""
        self._gathered = []

    def _back_off(self, retry_after_seconds: float | None) -> None:
        if self.failures == 0 and self.synced:
            # a server that restarts is back at once more often than not, but not for everybody together
            seconds = self._random.uniform(0.01, _QUICK_PAUSE_SECONDS)
        else:
            exponent = min(self.failures - (1 if self.synced else 0), 10)
            doubled = FIRST_PAUSE_SECONDS * 2.0**exponent
            seconds = min(LONGEST_PAUSE_SECONDS, doubled) * self._random.uniform(0.75, 1.0)
        self.failures += 1
        asked = min(retry_after_seconds or 0.0, LONGEST_RETRY_AFTER_SECONDS)
        self._pause_seconds = max(seconds, asked)

    def _change(self, event: _Event, metadata: _ObjectMetadata) -> Put | Removed | None:
        if event.type in ("ADDED", "MODIFIED"):
            return Put(self._decoded(event.object))
        if event.type == "DELETED":
            return Removed(ObjectKey(self.kind.name, metadata.namespace, metadata.name))
        return None  # a bookmark, or a type of the future

    def _decoded(self, item: msgspec.Raw) -> Any:
        if self._is_read is not None:
            unread = _UNREAD.decode(item)
            if not self._is_read(key_of(self.kind, unread)):
                return unread
        try:
            return decode(self.kind, item)
        except Malformed as malformed:
            return malformed

    def _error(self, item: msgspec.Raw) -> ApiError:
        status = _STATUSES.decode(item)
        code = 410 if status.reason in ("Expired", "Gone") else status.code
        return error_of(code, status, self.kind, self.namespace)


class LineSplitter:
    """Bytes as they arrive -> whole lines."""

    def __init__(self, largest_bytes: int = LARGEST_LINE_BYTES) -> None:
        self._largest = largest_bytes
        self._pieces: list[bytes] = []
        self._held = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Lines that are complete now, without their end and without empty ones. Raises ServerTrouble."""
        head, separator, rest = data.partition(b"\n")
        self._pieces.append(head)
        self._held += len(head)
        if self._held > self._largest:
            raise ServerTrouble(f"an event of more than {self._largest} bytes")
        if not separator:
            return []
        lines = [b"".join(self._pieces), *rest.split(b"\n")]
        tail = lines.pop()
        self._pieces, self._held = [tail], len(tail)
        return [line for line in lines if line]
