"""Annotations `traefik.ingress.kubernetes.io/…` of an Ingress and of a Service -> typed options.

Names are compared without regard to case, except for the prefix. One table for each of the two objects says
which names there are and how their text is read; a name that begins with the table's group (`router.`, `service.`)
and is not in it raises Rejected, as does a text that cannot be read, so that a typing error never passes for an
option.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from config import http
from provider.findings import Rejected
from provider.resources.core import ANNOTATION_PREFIX

Values = Mapping[str, Any]
"""Values by name without prefix and group, in lower case."""

_TRUE: Final = ("1", "t", "T", "TRUE", "true", "True")
_FALSE: Final = ("0", "f", "F", "FALSE", "false", "False")
_INT: Final = re.compile(r"[+-]?[0-9]+")
_LONGEST_INT: Final = 20
_INT64: Final = range(-(1 << 63), 1 << 63)
_DOMAIN: Final = re.compile(r"tls\.domains\.(?P<index>\w+)(?:\.(?P<member>.+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterOptions:
    """What the annotations of an Ingress say about all its routers."""

    path_matcher: str = ""
    entry_points: list[str]
    middlewares: list[str]
    priority: int = 0
    rule_syntax: str = ""
    tls: http.RouterTLS | None = None
    observability: http.Observability


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """What the annotations of a Service say. `native_lb` None: as the provider says."""

    servers_scheme: str = ""
    servers_transport: str = ""
    pass_host_header: bool = True
    native_lb: bool | None = None
    node_port_lb: bool = False
    middlewares: list[str]
    sticky: http.Sticky | None = None


def router_options(annotations: Mapping[str, str]) -> RouterOptions:
    """Raises Rejected; its field names the annotation."""
    values = _read(annotations, "router", _ROUTER)
    return RouterOptions(
        path_matcher=values.get("pathmatcher", "PathPrefix"),
        entry_points=values.get("entrypoints", []),
        middlewares=values.get("middlewares", []),
        priority=values.get("priority", 0),
        rule_syntax=values.get("rulesyntax", ""),
        tls=_tls(values) if _is_on(values, "tls") else None,
        observability=_observability(values),
    )


def service_options(annotations: Mapping[str, str]) -> ServiceOptions:
    """Raises Rejected; its field names the annotation."""
    values = _read(annotations, "service", _SERVICE)
    return ServiceOptions(
        servers_scheme=values.get("serversscheme", ""),
        servers_transport=values.get("serverstransport", ""),
        pass_host_header=values.get("passhostheader", True),
        native_lb=values.get("nativelb"),
        node_port_lb=values.get("nodeportlb", False),
        middlewares=values.get("middlewares", []),
        sticky=_sticky(values) if _is_on(values, "sticky") else None,
    )


def annotation_field(name: str) -> str:
    """The path of an annotation, as findings show it.

    >>> annotation_field("router.priority")
    'metadata.annotations[traefik.ingress.kubernetes.io/router.priority]'
    """
    return f"metadata.annotations[{ANNOTATION_PREFIX}{name}]"


def _text(value: str) -> str:
    return value


def _words(value: str) -> list[str]:
    """A comma-separated list; an empty text is an empty list, an empty word stays one."""
    return [word.strip() for word in value.split(",")] if value else []


def _integer(value: str) -> int:
    if len(value) > _LONGEST_INT or not _INT.fullmatch(value) or int(value) not in _INT64:
        raise ValueError("a whole number")
    return int(value)


def _boolean(value: str) -> bool:
    if value not in _TRUE + _FALSE:
        raise ValueError("true or false")
    return value in _TRUE


def _switch(value: str) -> bool:
    """Whether a section is on. Unlike for a boolean every text but these two switches it off."""
    return value == "" or value.lower() == "true"


Reader = Callable[[str], Any]
"""Text of an annotation -> its value. Raises ValueError with what it must be."""

_ROUTER: Final[Mapping[str, Reader]] = {
    "pathmatcher": _text,
    "entrypoints": _words,
    "middlewares": _words,
    "priority": _integer,
    "rulesyntax": _text,
    "tls": _switch,
    "tls.certresolver": _text,
    "tls.options": _text,
    "observability": _switch,
    "observability.accesslogs": _boolean,
    "observability.metrics": _boolean,
    "observability.tracing": _boolean,
    "observability.traceverbosity": _text,
}
_SERVICE: Final[Mapping[str, Reader]] = {
    "serversscheme": _text,
    "serverstransport": _text,
    "passhostheader": _boolean,
    "nativelb": _boolean,
    "nodeportlb": _boolean,
    "middlewares": _words,
    "sticky": _switch,
    "sticky.cookie": _switch,
    "sticky.cookie.name": _text,
    "sticky.cookie.secure": _boolean,
    "sticky.cookie.httponly": _boolean,
    "sticky.cookie.samesite": _text,
    "sticky.cookie.maxage": _integer,
    "sticky.cookie.path": _text,
    "sticky.cookie.domain": _text,
}
_DOMAIN_MEMBERS: Final[Mapping[str | None, Reader]] = {None: _text, "main": _text, "sans": _words}


def _read(annotations: Mapping[str, str], group: str, table: Mapping[str, Reader]) -> dict[str, Any]:
    """Values of all annotations of a group. Of two that differ in case only the last one by name counts."""
    start = f"{group}."
    values: dict[str, Any] = {}
    for annotation in sorted(annotations):
        name = annotation.removeprefix(ANNOTATION_PREFIX)
        if name == annotation or not name.lower().startswith(start):
            continue
        key = name.lower().removeprefix(start)
        reader = table.get(key) or _reader_of_domains(key, table)
        if reader is None:
            raise _unknown(name, start, key, table)
        try:
            values[key] = reader(annotations[annotation])
        except ValueError as error:
            raise Rejected(
                "InvalidAnnotation",
                f"the value is not {error}",
                field=annotation_field(name),
                advice=f"write {error}, or remove the annotation",
            ) from error
    return values


def _reader_of_domains(key: str, table: Mapping[str, Reader]) -> Reader | None:
    """Reader of `tls.domains.N.main` and its kin, whose names are no fixed ones."""
    if table is not _ROUTER:
        return None
    if key == "tls.domains":
        return _text  # says nothing, but that there is TLS
    matched = _DOMAIN.fullmatch(key)
    return _DOMAIN_MEMBERS.get(matched["member"]) if matched else None


def _unknown(name: str, start: str, key: str, table: Mapping[str, Reader]) -> Rejected:
    near = difflib.get_close_matches(key, table, n=1)
    return Rejected(
        "UnknownAnnotation",
        f"there is no annotation {name}",
        field=annotation_field(name),
        advice=f"did you mean {start}{near[0]}?" if near else "correct or remove it",
    )


def _is_on(values: Values, section: str) -> bool:
    """Whether a section is there: by itself or by any of its members, and not switched off."""
    return bool(values.get(section, any(name.startswith(f"{section}.") for name in values)))


def _tls(values: Values) -> http.RouterTLS:
    domains: dict[str, dict[str, Any]] = {}
    for name in values:
        matched = _DOMAIN.fullmatch(name)
        if matched:
            members = domains.setdefault(matched["index"], {})
            if matched["member"]:
                members[matched["member"]] = values[name]
    return http.RouterTLS(
        options=values.get("tls.options", ""),
        cert_resolver=values.get("tls.certresolver", ""),
        # ordered as text, so 10 comes before 2
        domains=[http.Domain(**members) for _, members in sorted(domains.items())],
    )


def _observability(values: Values) -> http.Observability:
    """The source of the router is added by the caller."""
    if not _is_on(values, "observability"):
        return http.Observability()
    return http.Observability(
        access_logs=values.get("observability.accesslogs"),
        metrics=values.get("observability.metrics"),
        tracing=values.get("observability.tracing"),
        trace_verbosity=values.get("observability.traceverbosity", "minimal"),
    )


def _sticky(values: Values) -> http.Sticky:
    if not _is_on(values, "sticky.cookie"):
        return http.Sticky()
    return http.Sticky(
        cookie=http.Cookie(
            name=values.get("sticky.cookie.name", ""),
            secure=values.get("sticky.cookie.secure", False),
            http_only=values.get("sticky.cookie.httponly", False),
            same_site=values.get("sticky.cookie.samesite", ""),
            max_age=values.get("sticky.cookie.maxage", 0),
            path=values.get("sticky.cookie.path", "/"),
            domain=values.get("sticky.cookie.domain", ""),
        )
    )
