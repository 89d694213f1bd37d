"""Names, arities and value checks of the matchers, for both syntaxes of HTTP rules.

Two tables, one a syntax: matcher name -> Form; those of TCP rules are in `rule_matchers_tcp`. What a matcher does
with a request is decided by the workers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

from config import networks, regex, rule_templates

Values = tuple[bytes, ...]
Syntax = Literal["v2", "v3"]


class ValueRefused(ValueError):
    """A matcher cannot use its values; the message tells what to write instead."""


class Form(NamedTuple):
    """How a matcher is called: `least` to `most` values (None: any number), in groups of `step`."""

    least: int
    most: int | None
    check: Callable[[Values], None]
    step: int = 1

    def refusal(self, name: str, values: Values) -> str | None:
        """Why `values` cannot be used, or None if they can."""
        if not values:
            return f"{name} needs a value, as in {name}(`...`)"
        if not all(values):
            return f"{name} has an empty value; leave the matcher out or give it a value"
        if not self._counts(len(values)):
            return f"{name} takes {self._wanted()}, got {len(values)}{self._advice(name)}"
        try:
            self.check(values)
        except ValueError as error:
            return f"{name}: {error}"
        return None

    def _counts(self, count: int) -> bool:
        enough = count >= self.least and (self.most is None or count <= self.most)
        return enough and count % self.step == 0

    def _wanted(self) -> str:
        if self.step == 2:
            return "pairs of values"
        if self.least == self.most:
            return "one value" if self.least == 1 else f"{self.least} values"
        return f"{self.least} to {self.most} values"

    def _advice(self, name: str) -> str:
        if self.least == self.most == 1:
            return f"; write {name}(`...`) || {name}(`...`), or use the v2 syntax"
        return ""


class Table:
    """The matchers that one type of router (`title`) knows: forms by name, names by spelling, for each syntax."""

    __slots__ = ("forms", "names", "title")

    def __init__(self, title: str, *, v2: Mapping[str, Form], v3: Mapping[str, Form]) -> None:
        self.title = title
        self.forms: Mapping[Syntax, Mapping[str, Form]] = {"v2": v2, "v3": v3}
        self.names: Mapping[Syntax, Mapping[str, str]] = {
            syntax: {spelling: name for name in forms for spelling in spellings(name)}
            for syntax, forms in self.forms.items()
        }


def spellings(name: str) -> set[str]:
    """The ways to write a matcher's name: as it is, all lower, all upper, only the first letter upper."""
    return {name, name.lower(), name.upper(), name.capitalize()}


def text(value: bytes) -> str:
    """`value` for messages: quoted, broken UTF-8 shown as escapes."""
    return "`" + value.decode("utf-8", "backslashreplace") + "`"


def _anything(values: Values) -> None:
    pass


def _host(values: Values) -> None:
    for value in values:
        if not value.isascii():
            raise ValueRefused(f"{text(value)} is not ASCII; write an international name in its xn-- form")


def _path(values: Values) -> None:
    for value in values:
        if not value.startswith(b"/"):
            raise ValueRefused(f"{text(value)} must start with a /")


def check_network(values: Values) -> None:
    for value in values:
        networks.parse_network(value.decode("utf-8", "backslashreplace"))


def _pattern(values: Values) -> None:
    try:
        regex.check(values[-1])
    except regex.RegexError as error:
        raise ValueRefused(f"{text(values[-1])} is not a regular expression: {error}") from error


def _host_pattern(values: Values) -> None:
    _host(values)
    _pattern(values)


def _query_pattern(values: Values) -> None:
    # A lone value is a parameter's name: QueryRegexp(`k`) means the same as Query(`k`).
    if len(values) == 2:
        _pattern(values)


def _host_templates(values: Values) -> None:
    _host(values)
    for value in values:
        rule_templates.host(value)


def _path_templates(values: Values) -> None:
    _path(values)
    for value in values:
        rule_templates.path(value)


def _pattern_pairs(values: Values) -> None:
    for value in values[1::2]:
        _pattern((value,))


def _query_templates(values: Values) -> None:
    for pair in rule_templates.query_pairs(values):
        rule_templates.query(*pair)


V3: Final[dict[str, Form]] = {
    "Host": Form(1, 1, _host),
    "HostRegexp": Form(1, 1, _host_pattern),
    "Path": Form(1, 1, _path),
    "PathPrefix": Form(1, 1, _path),
    "PathRegexp": Form(1, 1, _pattern),
    "Method": Form(1, 1, _anything),
    "Header": Form(2, 2, _anything),
    "HeaderRegexp": Form(2, 2, _pattern),
    "Query": Form(1, 2, _anything),
    "QueryRegexp": Form(1, 2, _query_pattern),
    "ClientIP": Form(1, 1, check_network),
}

V2: Final[dict[str, Form]] = {
    "Host": Form(1, None, _host),
    "HostHeader": Form(1, None, _host),
    "HostRegexp": Form(1, None, _host_templates),
    "Path": Form(1, None, _path_templates),
    "PathPrefix": Form(1, None, _path_templates),
    "Method": Form(1, None, _anything),
    "Headers": Form(2, None, _anything, step=2),
    "HeadersRegexp": Form(2, None, _pattern_pairs, step=2),
    "Query": Form(1, None, _query_templates),
    "ClientIP": Form(1, None, check_network),
}

HTTP: Final = Table("HTTP", v2=V2, v3=V3)
