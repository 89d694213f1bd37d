"""The part of an object that reports are about: identity, version, generation and conditions.

Read afresh for reports alone: the store keeps none of it, so that a status, ours or anybody's, is no change there.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import Any, Final

import msgspec

from provider.kube.api import Api
from provider.kube.errors import Forbidden, KindMissing, ObjectMissing, ServerTrouble
from provider.resources.core import Resource
from provider.resources.kinds import KINDS, ObjectKey
from provider.resources.nesting import decode_any_depth

log = logging.getLogger(__name__)

LIST_FROM: Final = 20
"""From so many objects of one kind on, reading the whole collection is cheaper."""
_PAGE: Final = "500"


class SeenMetadata(Resource, frozen=True, kw_only=True):
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0


class Condition(Resource, frozen=True, kw_only=True):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    observed_generation: int = 0
    last_transition_time: str = ""


class _Status(Resource, frozen=True, kw_only=True):
    conditions: list[dict[str, Any]] | None = None


class Seen(Resource, frozen=True, kw_only=True):
    metadata: SeenMetadata
    status: _Status | None = None

    def condition(self, type_: str) -> Condition | None:
        for one in self._conditions():
            if one.get("type") == type_:
                try:
                    return msgspec.convert(one, Condition)
                except msgspec.ValidationError:
                    return None  # whatever it is, it is not what we would write
        return None

    def conditions_with(self, condition: Condition) -> list[dict[str, Any]]:
        """All conditions as plain data, `condition` in place of the one of its type; others stay as they are."""
        others = [one for one in self._conditions() if one.get("type") != condition.type]
        return [*others, msgspec.to_builtins(condition)]

    def _conditions(self) -> list[dict[str, Any]]:
        return (self.status.conditions if self.status else None) or []


class _PageMetadata(Resource, frozen=True, kw_only=True):
    continue_: str = msgspec.field(default="", name="continue")


class _Page(Resource, frozen=True, kw_only=True):
    metadata: _PageMetadata = _PageMetadata()
    items: list[msgspec.Raw] | None = None


def look(api: Api, keys: Iterable[ObjectKey], namespaces: Collection[str]) -> dict[ObjectKey, Seen]:
    """Those of the objects that exist and can be read. `namespaces`: where we may list, none means everywhere.

    Raises ApiError where the server cannot answer at all.
    """
    by_kind: dict[str, list[ObjectKey]] = {}
    for key in keys:
        by_kind.setdefault(key.kind, []).append(key)
    found: dict[ObjectKey, Seen] = {}
    for kind, wanted in by_kind.items():
        try:
            if len(wanted) < LIST_FROM:
                found.update(_one_by_one(api, wanted))
            else:
                found.update(_listed(api, kind, set(wanted), namespaces or [""]))
        except (Forbidden, KindMissing) as error:
            log.debug("%s", error)
    return found


def _one_by_one(api: Api, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Seen]:
    found = {}
    for key in keys:
        try:
            seen = _decoded(api.read(KINDS[key.kind], key.namespace, key.name))
        except ObjectMissing:
            continue
        if seen is not None:
            found[key] = seen
    return found


def _listed(
    api: Api, kind: str, wanted: Collection[ObjectKey], namespaces: Iterable[str]
) -> dict[ObjectKey, Seen]:
    found = {}
    for namespace in namespaces:
        query = [("limit", _PAGE)]
        while query:
            page = _page(api.fetch(KINDS[kind], namespace, query))
            for item in page.items or []:
                seen = _decoded(item)
                if seen is not None:
                    key = ObjectKey(kind, seen.metadata.namespace, seen.metadata.name)
                    if key in wanted:
                        found[key] = seen
            query = [("limit", _PAGE), ("continue", page.metadata.continue_)] if page.metadata.continue_ else []
    return found


_PAGES: Final = msgspec.json.Decoder(_Page)
_SEEN: Final = msgspec.json.Decoder(Seen)


def _page(data: bytes) -> _Page:
    try:
        return decode_any_depth(_PAGES, data)
    except msgspec.MsgspecError as error:
        raise ServerTrouble(f"a list is unreadable: {error}") from error


def _decoded(data: bytes | msgspec.Raw) -> Seen | None:
    try:
        return decode_any_depth(_SEEN, data)
    except msgspec.MsgspecError as error:
        log.debug("an object cannot be reported on: %s", error)
        return None
