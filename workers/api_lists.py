"""List endpoints of the API: filter, sort and page plain JSON objects as Traefik does.

Pure: no exchange, no runtime. What is wrong with a query is a ListError whose text the client gets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

DEFAULT_PER_PAGE: Final = 100
Item = dict[str, Any]


class ListError(Exception):
    """The page asked for does not exist, or is no number."""


class ListQuery(msgspec.Struct, frozen=True):
    """Parameters of one request. `descending` is any direction but `asc`."""

    page: int = 1
    per_page: int = DEFAULT_PER_PAGE
    search: str = ""
    status: str = ""
    service_name: str = ""
    middleware_name: str = ""
    sort_by: str = "name"
    descending: bool = False

    @classmethod
    def of(cls, values: Mapping[bytes, list[bytes]]) -> ListQuery:
        """Read query parameters; the first value of each counts. Raises ListError."""

        def text(name: bytes) -> str:
            found = values.get(name)
            return found[0].decode(errors="replace") if found else ""

        return cls(
            page=_positive("page", text(b"page"), 1),
            per_page=_positive("per_page", text(b"per_page"), DEFAULT_PER_PAGE),
            search=text(b"search").lower(),
            status=text(b"status").lower(),
            service_name=text(b"serviceName"),
            middleware_name=text(b"middlewareName"),
            sort_by=text(b"sortBy") or "name",
            descending=text(b"direction") not in ("", "asc"),
        )


def _positive(name: str, text: str, default: int) -> int:
    if not text:
        return default
    number = int(text) if text.removeprefix("-").isdecimal() and text.isascii() else 0
    if number <= 0:
        raise ListError(f"invalid request: {name}: {number}")
    return number


SORT_KEYS: Final[Mapping[str, Callable[[Item], Any]]] = {
    "name": lambda item: item["name"],
    "provider": lambda item: item.get("provider", ""),
    "priority": lambda item: item.get("priority", 0),
    "status": lambda item: item.get("status", ""),
    "rule": lambda item: item.get("rule", ""),
    "service": lambda item: item.get("service", ""),
    "entryPoints": lambda item: len(item.get("entryPoints", ())),
    "type": lambda item: item.get("type", ""),
    "cn": lambda item: item.get("commonName", ""),
    "issuer": lambda item: item.get("issuerOrg", "") or item.get("issuerCN", ""),
    "validUntil": lambda item: item.get("notAfter", ""),
    "servers": lambda item: len(item.get("loadBalancer", {}).get("servers", ())),
}


def select(items: Iterable[Item], query: ListQuery) -> list[Item]:
    """The items that the filters keep, sorted; ties by name in the same direction."""
    key = SORT_KEYS.get(query.sort_by, SORT_KEYS["name"])
    kept = [item for item in items if _matches(item, query)]
    return sorted(kept, key=lambda item: (key(item), item["name"]), reverse=query.descending)


def _matches(item: Item, query: ListQuery) -> bool:
    return (
        (not query.search or any(query.search in text.lower() for text in _searched(item)))
        and (not query.status or item.get("status", "").lower() == query.status)
        and (not query.service_name or _is_service(item.get("service", ""), query.service_name))
        and (not query.middleware_name or query.middleware_name in item.get("middlewares", ()))
    )


def _searched(item: Item) -> Iterator[str]:
    if "certFingerprint" in item:
        yield from (item.get(name, "") for name in ("commonName", "issuerOrg", "issuerCN"))
        yield from item["sans"]
    else:
        yield from (item.get(name, "") for name in ("name", "rule"))


def _is_service(service: str, wanted: str) -> bool:
    return service == (wanted if "@" in service else wanted.rpartition("@")[0] or wanted)


def page_of(items: list[Item], query: ListQuery) -> tuple[list[Item], int]:
    """The items of the page and the number of the next one (1 where there is none). Raises ListError."""
    start = (query.page - 1) * query.per_page
    if query.page > 1 and start >= len(items):
        raise ListError(f"invalid request: page: {query.page}, per_page: {query.per_page}")
    end = start + query.per_page
    return items[start:end], query.page + 1 if end < len(items) else 1
