"""Names, arities and value checks of the matchers, for both syntaxes of TCP rules.

A TCP rule sees what is known before the first byte is passed on: the server name and the protocols that a TLS
client asks for, and the client's address.
"""

from __future__ import annotations

import re
from typing import Final

from config import regex, rule_templates
from config.rule_matchers import Form, Table, ValueRefused, Values, check_network, text

ANY_NAME: Final = b"*"
"""As value of HostSNI: any connection, also one without TLS or without server name."""

_NAME: Final = re.compile(rb"[\w.:-]+")
_NAME_OR_WILDCARD: Final = re.compile(rb"(?:\*\.)?[\w.:-]+")
_ACME_PROTOCOL: Final = b"acme-tls/1"


def _server_name(values: Values) -> None:
    (value,) = values
    if value != ANY_NAME and not _NAME_OR_WILDCARD.fullmatch(value):
        raise _no_name(value, "a host name, *.example.com or *")


def _server_names(values: Values) -> None:
    for value in values:
        if value != ANY_NAME and not _NAME.fullmatch(value):
            raise _no_name(value, "a host name or *")


def _no_name(value: bytes, wanted: str) -> ValueRefused:
    if not value.isascii():
        return ValueRefused(f"{text(value)} is not ASCII; write an international name in its xn-- form")
    return ValueRefused(f"{text(value)} is not a host name; write {wanted}")


def _name_pattern(values: Values) -> None:
    (value,) = values
    if not value.isascii():
        raise ValueRefused(f"{text(value)} is not ASCII; server names are in their xn-- form")
    _check_pattern(value, value)


def _name_templates(values: Values) -> None:
    for value in values:
        _check_pattern(rule_templates.host(value), value)


def _check_pattern(pattern: bytes, shown: bytes) -> None:
    try:
        regex.check(pattern)
    except regex.RegexError as error:
        raise ValueRefused(f"{text(shown)} is not a regular expression: {error}") from error


def _protocols(values: Values) -> None:
    if _ACME_PROTOCOL in values:
        raise ValueRefused(f"{text(_ACME_PROTOCOL)} belongs to certificate challenges and cannot be routed")


V3: Final[dict[str, Form]] = {
    "HostSNI": Form(1, 1, _server_name),
    "HostSNIRegexp": Form(1, 1, _name_pattern),
    "ClientIP": Form(1, 1, check_network),
    "ALPN": Form(1, 1, _protocols),
}

V2: Final[dict[str, Form]] = {
    "HostSNI": Form(1, None, _server_names),
    "HostSNIRegexp": Form(1, None, _name_templates),
    "ClientIP": Form(1, None, check_network),
    "ALPN": Form(1, None, _protocols),
}

TCP: Final = Table("TCP", v2=V2, v3=V3)
