"""List and watch: query parameters -> a page of items, or a `Watch`.

Follows the table in the Kubernetes API concepts, "Semantics for get and list" and "for watch": without a
resourceVersion the newest state, `0` any state and never paged, otherwise at least or exactly that state.
A continue token names a version and the key to start at, so all pages show one state until it is compacted.
"""

from __future__ import annotations

import base64
import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import errors
from .kinds import Kind
from .messages import Request, Response
from .selectors import field_selector, label_selector
from .store import Collection, Entry, Key, Store, encode
from .watch import Selection, Watch, WatchOptions


@dataclass(slots=True)
class ReadSettings:
    """What a test may turn while the server runs. Times are in seconds."""

    bookmark_interval_seconds: float = 60.0
    watch_timeout_seconds: float = 1800.0
    watch_list: bool = True
    """Answer `sendInitialEvents=true`; without it such watches are refused as by older servers."""
    gone_as_status: bool = False
    """Refuse a too old watch with HTTP status 410 instead of an ERROR event in a 200 stream."""


class Reads:
    """Lists and opens watches on one store."""

    def __init__(self, store: Store, settings: ReadSettings) -> None:
        self._store = store
        self._settings = settings

    def list(self, kind: Kind, namespace: str, request: Request) -> Response:
        query = request.query
        selection = _selection(kind, namespace, request)
        limit = _number(query, "limit")
        asked = _list_version(query)
        with self._store.lock:
            collection = self._store.collection(kind)
            if asked is not None and asked > self._store.version:
                raise errors.too_large_version(asked, self._store.version)
            version, start = self._store.version, ("", "")
            entries: Sequence[Entry]
            if query.get("continue"):
                version, start = _parse_token(query["continue"], self._store.version)
                entries = self._continued(collection, version, start)
            elif asked and _wants_exactly(query, limit):
                version, entries = asked, collection.at(asked)
            else:
                entries = collection.ordered()
            if query.get("resourceVersion") == "0" and not query.get("continue"):
                limit = 0
        return _page(collection, selection, entries, version, start, limit)

    def _continued(self, collection: Collection, version: int, start: Key) -> Sequence[Entry]:
        try:
            return collection.at(version)
        except errors.ApiError:
            message = "The provided continue parameter is too old to display a consistent list result."
            raise errors.expired(message, _token(-1, start)) from None

    def watch(self, kind: Kind, namespace: str, name: str, request: Request, now: float) -> Watch:
        selection = _selection(kind, namespace, request, name)
        query = request.query
        send_initial = self._wants_initial_events(request)
        version = _watch_version(query)
        timeout = _number(query, "timeoutSeconds") or self._settings.watch_timeout_seconds
        with self._store.lock:
            collection = self._store.collection(kind)
            position, failure = collection.log_end, None
            if version and not send_initial:
                position, failure = self._start_after(collection, version)
            elif version > self._store.version:
                failure = errors.too_large_version(version, self._store.version)
            options = WatchOptions(
                position=position,
                failure=failure,
                not_before=version if version > self._store.version else 0,
                initial=send_initial if send_initial is not None else version == 0,
                announce_end_of_initial=bool(send_initial) and request.flag("allowWatchBookmarks"),
                bookmarks=request.flag("allowWatchBookmarks"),
                bookmark_interval_seconds=self._settings.bookmark_interval_seconds,
                timeout_seconds=float(timeout),
            )
            return Watch(self._store, collection, selection, options, now)

    def _start_after(self, collection: Collection, version: int) -> tuple[int, errors.ApiError | None]:
        """The log position after a version, or the error to report inside the stream."""
        try:
            return collection.position_after(version), None
        except errors.ApiError as too_old:
            if self._settings.gone_as_status:
                raise
            return collection.log_end, too_old

    def _wants_initial_events(self, request: Request) -> bool | None:
        """True and False as asked for, None when the parameter is absent."""
        match = request.query.get("resourceVersionMatch", "")
        if "sendInitialEvents" not in request.query:
            if match:
                raise _forbidden("resourceVersionMatch", "for watch unless sendInitialEvents is provided")
            return None
        if not self._settings.watch_list:
            why = "for watch unless the WatchList feature gate is enabled"
            raise _forbidden("sendInitialEvents", why)
        if match != "NotOlderThan":
            raise _forbidden("resourceVersionMatch", "with sendInitialEvents unless it is NotOlderThan")
        return request.flag("sendInitialEvents")


def _forbidden(parameter: str, why: str) -> errors.ApiError:
    return errors.invalid_options(f"{parameter}: Forbidden: {parameter} is forbidden {why}")


def _selection(kind: Kind, namespace: str, request: Request, name: str = "") -> Selection:
    fields = request.query.get("fieldSelector", "")
    if name:
        fields = f"metadata.name={name}" + (f",{fields}" if fields else "")
    return Selection(
        namespace, label_selector(request.query.get("labelSelector", "")), field_selector(fields, kind.fields)
    )


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    if not text:
        return 0
    try:
        return max(0, int(text))
    except ValueError:
        raise errors.bad_request(f'{name}: Invalid value: "{text}": invalid syntax') from None


def _watch_version(query: Mapping[str, str]) -> int:
    try:
        return _number(query, "resourceVersion")
    except errors.ApiError as error:
        raise errors.plain(error.message) from None


def _list_version(query: Mapping[str, str]) -> int | None:
    """The version a list asks for, None without one. Raises `ApiError` 422 for contradictions."""
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    if "sendInitialEvents" in query:
        raise _forbidden("sendInitialEvents", "for list")
    if match and not version:
        raise _forbidden("resourceVersionMatch", "unless resourceVersion is provided")
    if match and query.get("continue"):
        raise _forbidden("resourceVersionMatch", "when continue is provided")
    if match not in ("", "Exact", "NotOlderThan"):
        raise errors.invalid_options(f'resourceVersionMatch: Unsupported value: "{match}"')
    if match == "Exact" and version == "0":
        raise _forbidden("resourceVersionMatch", 'with value Exact for resourceVersion "0"')
    if version not in ("", "0") and query.get("continue"):
        raise errors.bad_request("specifying resource version is not allowed when using continue")
    return _number(query, "resourceVersion") if version else None


def _wants_exactly(query: Mapping[str, str], limit: int) -> bool:
    match = query.get("resourceVersionMatch", "")
    return match == "Exact" or (not match and limit > 0)


def _token(version: int, start: Key) -> str:
    document = {"v": "meta.k8s.io/v1", "rv": version, "start": list(start)}
    return base64.urlsafe_b64encode(encode(document)).decode().rstrip("=")


def _parse_token(token: str, newest: int) -> tuple[int, Key]:
    try:
        document = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        version, (namespace, name) = int(document["rv"]), document["start"]
    except (ValueError, KeyError, TypeError):
        raise errors.bad_request(f"continue key is not valid: {token}") from None
    return (newest if version < 0 else version), (namespace, name)


def _page(
    collection: Collection,
    selection: Selection,
    entries: Sequence[Entry],
    version: int,
    start: Key,
    limit: int,
) -> Response:
    if start != ("", ""):
        entries = entries[bisect_left(entries, start, key=lambda entry: entry.key) :]
    picked = selection.pick(entries)
    metadata: dict[str, object] = {"continue": ""} if collection.kind.custom else {}
    metadata["resourceVersion"] = str(version)
    if 0 < limit < len(picked):
        metadata["continue"] = _token(version, picked[limit].key)
        if selection.labels is None and selection.fields is None:
            metadata["remainingItemCount"] = len(picked) - limit
        picked = picked[:limit]
    kind = collection.kind
    head = encode({"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": metadata})
    items = b",".join([collection.list_item(entry) for entry in picked])
    return Response(200, b'%b,"items":[%b]}\n' % (head[:-1], items))
