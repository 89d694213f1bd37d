"""Rule text of HTTP and TCP routers -> syntax tree.

`rules.lark` is the grammar; this file turns its result into an immutable tree and checks matcher names and values
against the tables of `rule_matchers` and `rule_matchers_tcp`; `rule_errors` words the errors. Negation is pushed
down to the matchers (De Morgan), so `Not` holds a Matcher and nothing else. Any text gives a tree or a RuleError,
in time linear in its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, Literal

import lark
import msgspec

from config.rule_errors import RuleError as RuleError  # noqa: PLC0414 - others have it from here
from config.rule_errors import syntax_error, unknown_matcher
from config.rule_matchers import HTTP, Syntax, Table

LONGEST_RULE: Final = 64 * 1024
"""Characters a rule may have."""
DEEPEST_NESTING: Final = 100
"""Levels of `&&` within `||` within `&&` a rule may have; parentheses alone do not count."""

_ESCAPE: Final = re.compile(
    r"""\\(?:([abfnrtv\\"])|([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(?s:.?))"""
)
_SIMPLE_ESCAPES: Final = dict(zip('abfnrtv\\"', '\a\b\f\n\r\t\v\\"', strict=True))


class Matcher(msgspec.Struct, frozen=True):
    """One test of a request: canonical name and its values, bytes as the request has them (UTF-8 of the rule)."""

    name: str
    args: tuple[bytes, ...]


class Not(msgspec.Struct, frozen=True):
    item: Matcher


class And(msgspec.Struct, frozen=True):
    """At least two items, none of them an And."""

    items: tuple[Tree, ...]


class Or(msgspec.Struct, frozen=True):
    """At least two items, none of them an Or."""

    items: tuple[Tree, ...]


Tree = Matcher | Not | And | Or


def parse(rule: str, syntax: str = "v3", matchers: Table = HTTP) -> Tree:
    """The tree of `rule`; a `syntax` other than v2 is v3. Raises RuleError, values and patterns checked too.

    `matchers` is HTTP or TCP.
    """
    known: Syntax = "v2" if syntax == "v2" else "v3"
    _check_text(rule)
    try:
        # Go ignores one byte order mark in front; a blank in its place keeps the columns true.
        draft = _grammar().parse(" " + rule[1:] if rule[:1] == "\ufeff" else rule)
    except lark.exceptions.UnexpectedInput as error:
        raise syntax_error(rule, error) from None
    return _Finisher(known, matchers).finished(draft, negated=False, levels=DEEPEST_NESTING)


def matchers_of(tree: Tree) -> Iterator[Matcher]:
    """Every matcher of `tree`, negated ones included, in the order of the rule."""
    if isinstance(tree, Matcher):
        yield tree
    elif isinstance(tree, Not):
        yield tree.item
    else:
        for item in tree.items:
            yield from matchers_of(item)


def hosts_of(tree: Tree) -> tuple[str, ...]:
    """Host names that `tree` mentions, also under `!`: lower case, each once, in the order of the rule.

    These are the names whose TLS connections belong to the router, and those a certificate is needed for.
    """
    named = (matcher for matcher in matchers_of(tree) if matcher.name in {"Host", "HostHeader"})
    return tuple(dict.fromkeys(value.decode("ascii").lower() for matcher in named for value in matcher.args))


def server_names_of(tree: Tree) -> tuple[str, ...]:
    """Values of HostSNI that a TCP rule asks for, `*` included; what it only excludes does not count.

    Lower case, each once, in the order of the rule.
    """
    if isinstance(tree, Matcher):
        return tuple(value.decode("ascii").lower() for value in tree.args) if tree.name == "HostSNI" else ()
    if isinstance(tree, Not):
        return ()
    return tuple(dict.fromkeys(name for item in tree.items for name in server_names_of(item)))


class _Call(msgspec.Struct):
    """A call as written; tokens know their place in the rule."""

    name: lark.Token
    values: list[lark.Token]


class _Draft(msgspec.Struct):
    """An operator as written, before names are looked up and negation is pushed down."""

    operator: Literal["and", "or", "not"]
    items: list[_Draft | _Call]


class _Drafter:
    """Called by the parser bottom-up while it reads, one method a rule of the grammar; no parse tree is kept."""

    def rule(self, items: list[_Draft | _Call]) -> _Draft | _Call:
        return items[0]

    def disjunction(self, items: list[_Draft | _Call]) -> _Draft:
        return _Draft("or", items)

    def conjunction(self, items: list[_Draft | _Call]) -> _Draft:
        return _Draft("and", items)

    def negated(self, items: list[_Draft | _Call]) -> _Draft | _Call:
        item = items[0]
        if isinstance(item, _Draft) and item.operator == "not":
            return item.items[0]
        return _Draft("not", items)

    def arguments(self, values: list[lark.Token]) -> list[lark.Token]:
        return values

    def call(self, parts: list[lark.Token]) -> _Call:
        return _Call(parts[0], parts[1] if len(parts) > 1 else [])


@cache
def _grammar() -> lark.Lark:
    source = Path(__file__).with_name("rules.lark").read_text()
    return lark.Lark(source, start="rule", parser="lalr", transformer=_Drafter(), maybe_placeholders=False)


class _Finisher:
    """Looks names up in one table and pushes negation down."""

    def __init__(self, syntax: Syntax, table: Table) -> None:
        self._syntax = syntax
        self._table = table

    def finished(self, draft: _Draft | _Call, *, negated: bool, levels: int) -> Tree:
        if isinstance(draft, _Call):
            matcher = self._matcher(draft)
            return Not(matcher) if negated else matcher
        if draft.operator == "not":
            return self.finished(draft.items[0], negated=not negated, levels=levels)
        if not levels:
            raise RuleError(f"the rule is nested too deeply; more than {DEEPEST_NESTING} levels are not read")
        kind = And if (draft.operator == "and") != negated else Or
        items: list[Tree] = []
        for item in draft.items:
            tree = self.finished(item, negated=negated, levels=levels - 1)
            if isinstance(tree, kind):
                items.extend(tree.items)
            else:
                items.append(tree)
        return kind(tuple(items))

    def _matcher(self, call: _Call) -> Matcher:
        name = self._table.names[self._syntax].get(call.name)
        if name is None:
            raise RuleError(unknown_matcher(call.name, self._syntax, self._table), _column(call.name))
        values = tuple(_value(token) for token in call.values)
        refusal = self._table.forms[self._syntax][name].refusal(name, values)
        if refusal is not None:
            raise RuleError(refusal, _column(call.name))
        return Matcher(name, values)


def _value(token: lark.Token) -> bytes:
    inside = str(token[1:-1])
    if token.type == "RAW":
        return inside.replace("\r", "").encode()
    if "\\" not in inside:
        return inside.encode()
    value, end = bytearray(), 0
    for escape in _ESCAPE.finditer(inside):
        value += inside[end : escape.start()].encode()
        value += _unescaped(escape, _column(token) + 1 + escape.start())
        end = escape.end()
    return bytes(value) + inside[end:].encode()


def _unescaped(escape: re.Match[str], column: int) -> bytes:
    simple, octal, byte, short, long = escape.groups()
    if simple:
        return _SIMPLE_ESCAPES[simple].encode()
    if octal or byte:
        number = int(octal, 8) if octal else int(byte, 16)
        if number < 256:
            return bytes([number])
    elif short or long:
        number = int(short or long, 16)
        if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF:
            return chr(number).encode()
    raise RuleError(f"{escape[0]} is no escape of double quotes; use backticks, or \\\\ for a backslash", column)


def _column(token: lark.Token) -> int:
    return (token.start_pos or 0) + 1


def _check_text(rule: str) -> None:
    if len(rule) > LONGEST_RULE:
        raise RuleError(f"the rule has {len(rule)} characters, more than {LONGEST_RULE} are not read")
    for position, char in enumerate(rule) if not rule.isprintable() else ():
        if char == "\0" or (char == "\ufeff" and position) or "\ud800" <= char <= "\udfff":
            raise RuleError(f"character U+{ord(char):04X} is not allowed in a rule", position + 1)
