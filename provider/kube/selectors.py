"""Label selectors as the API server reads them: checked at start, and applied to manifests on disk.

Grammar: `key`, `!key`, `key=value`, `key==value`, `key!=value`, `key in (a,b)`, `key notin (a,b)`, joined by
commas. The text itself travels to the API server unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_DOMAIN: Final = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_KEY: Final = re.compile(rf"(?:{_DOMAIN}/)?{_NAME}")
_VALUE: Final = re.compile(rf"(?:{_NAME})?")
_TOKEN: Final = re.compile(r"\s*(==|!=|=|!|,|\(|\)|[^\s=!,()]+)")
_SYMBOLS: Final = frozenset(("==", "!=", "=", "!", ",", "(", ")"))


class SelectorError(ValueError):
    """The text is no label selector."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition. `values` is None where only the presence of the key counts."""

    key: str
    negated: bool
    values: frozenset[str] | None

    def matches(self, labels: Mapping[str, str]) -> bool:
        if self.values is None:
            return (self.key in labels) != self.negated
        return (labels.get(self.key) in self.values) != self.negated


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must hold; without any everything matches."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)


def parse_selector(text: str) -> Selector:
    """Raises SelectorError that quotes the text and says what is wrong."""
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def parse(self) -> Selector:
        found = []
        while self._at < len(self._tokens):
            found.append(self._requirement())
            if self._at < len(self._tokens):
                self._expect(",")
                if self._at == len(self._tokens):
                    self._fail("nothing follows the last comma")
        return Selector(tuple(found))

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._at += 1
            return Requirement(self._key(), negated=True, values=None)
        key = self._key()
        operator = self._peek()
        if operator in ("", ","):
            return Requirement(key, negated=False, values=None)
        self._at += 1
        if operator in ("=", "==", "!="):
            return Requirement(key, negated=operator == "!=", values=frozenset((self._value(),)))
        if operator not in ("in", "notin"):
            self._fail(f"{operator!r} is no operator")
        return Requirement(key, negated=operator == "notin", values=self._set())

    def _set(self) -> frozenset[str]:
        self._expect("(")
        values = {self._value()}
        while self._peek() == ",":
            self._at += 1
            values.add(self._value())
        self._expect(")")
        return frozenset(values)

    def _key(self) -> str:
        key = self._word()
        if not _KEY.fullmatch(key):
            self._fail(f"{key!r} is no label key")
        return key

    def _value(self) -> str:
        value = self._word()
        if not _VALUE.fullmatch(value):
            self._fail(f"{value!r} is no label value")
        return value

    def _word(self) -> str:
        token = self._peek()
        if token in _SYMBOLS or not token:
            return ""
        self._at += 1
        return token

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _expect(self, symbol: str) -> None:
        if self._peek() != symbol:
            self._fail(f"expected {symbol!r}, found {self._peek() or 'the end'!r}")
        self._at += 1

    def _fail(self, why: str) -> NoReturn:
        raise SelectorError(f"label selector {self._text!r}: {why}")
