"""Objects of the configuration as people may see them: in `/api/rawdata`, in logs, in reports.

SECRET_FIELDS is the one list of what must not be shown. Traefik's API shows all of it; ours never does.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from config.middlewares import Middleware
from config.middlewares_auth import BasicAuth, ClientTLS, DigestAuth
from config.middlewares_traffic import Redis
from config.shape import Shape
from config.tls import Certificate, StoredCertificate

MASK: Final = "xxxx"

SECRET_FIELDS: Final[Mapping[type[Shape], frozenset[str]]] = {
    BasicAuth: frozenset(("users",)),
    Certificate: frozenset(("key_file",)),
    ClientTLS: frozenset(("key",)),
    DigestAuth: frozenset(("users",)),
    # whichever strings of a plugin came from Secrets, nobody can tell any more
    Middleware: frozenset(("plugin",)),
    Redis: frozenset(("username", "password")),
    StoredCertificate: frozenset(("key_file",)),
}
"""Attributes whose texts are secret, at any depth below them."""


def printable(value: Shape, *, masked: bool = True) -> dict[str, Any]:
    """Plain data with Traefik's names, as `/api/rawdata` prints the object: empty lists and maps are left out.

    Every text below a secret field is MASK, unless `masked` is false.
    """
    secret = SECRET_FIELDS.get(type(value), frozenset()) if masked else frozenset()
    printed = {}
    for name, wire_name, default in _fields(type(value)):
        member = getattr(value, name)
        if member is default or member == default or member in ([], {}):
            continue
        printed[wire_name] = _masked(member) if name in secret else _plain(member, masked)
    return printed


@functools.cache
def _fields(shape: type[Shape]) -> tuple[tuple[str, str, Any], ...]:
    """(attribute, name on the wire, default) of each field; a field without default has none equal to it."""
    return tuple((field.name, field.encode_name, field.default) for field in msgspec.structs.fields(shape))


def _plain(value: Any, masked: bool) -> Any:
    if isinstance(value, Shape):
        return printable(value, masked=masked)
    if isinstance(value, list):
        return [_plain(one, masked) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one, masked) for name, one in value.items()}
    return value


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(one) for one in value]
    if isinstance(value, dict):
        return {name: _masked(one) for name, one in value.items()}
    return MASK if isinstance(value, str) else value
