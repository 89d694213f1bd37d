"""What is wrong with a rule, in words that say what to write instead."""

from __future__ import annotations

import re
from typing import Final

import lark

from config.rule_matchers import HTTP, Syntax, Table
from config.rule_matchers_tcp import TCP


class RuleError(ValueError):
    """A rule that cannot be used. `message` says what to change, `column` counts characters of the rule from 1."""

    def __init__(self, message: str, column: int = 1) -> None:
        super().__init__(f"{message} (column {column})")
        self.message = message
        self.column = column


def unknown_matcher(name: str, syntax: Syntax, table: Table) -> str:
    """Why `name` is no matcher of `table` in this syntax, and what is."""
    other: Syntax = "v2" if syntax == "v3" else "v3"
    right = {known.lower(): known for known in table.forms[syntax]}.get(name.lower())
    if right:
        return f"{name} is not a way to write {right}"
    if name in table.names[other]:
        return f"{name} belongs to the {other} syntax of rules, this rule is {syntax}"
    known = ", ".join(table.forms[syntax])
    for stranger in (HTTP, TCP):
        if name in stranger.names[syntax]:
            return f"{name} is for {stranger.title} rules; {table.title} rules have {known}"
    return f"there is no matcher {name}; known are {known}"


def syntax_error(rule: str, error: lark.exceptions.UnexpectedInput) -> RuleError:
    """What the parser stumbled over, in words."""
    token = getattr(error, "token", None)
    position = token.start_pos if token is not None and token.type != "$END" else error.pos_in_stream
    if position is None or (token is not None and token.type == "$END"):
        position = len(rule)
    return RuleError(_explanation(rule[position:], rule[:position]), position + 1)


_EXPLANATIONS: Final = (
    (r"\Z", "the rule ends too early; a matcher, a value or a closing parenthesis is missing"),
    (r"'", 'single quotes do not hold a value; write `value` or "value"'),
    (r"[`\"]", "a value stands here in a place where none can, or its closing quote is missing"),
    (r"/\*(?!(?s:.)*\*/)", "the comment has no end"),
    (r"\n|//|/\*", "a line may break only behind ( , ! && and ||, or around the whole rule"),
    (r"[&|]", "use && and || (both signs, with a matcher on each side)"),
    (r"(?i:and|or|not)\b", "use && || and ! in place of words"),
    (r"\w", "a value needs quotes as in Host(`example.com`), two matchers need && or || between them"),
    (r"[),]", "a matcher or a value is missing before this place"),
)


def _explanation(rest: str, before: str) -> str:
    if before.rstrip(" \t\r").endswith("\n") and rest[:1] in {"&", "|"}:
        rest = "\n"
    for pattern, explanation in _EXPLANATIONS:
        if re.match(pattern, rest):
            return explanation
    return f"{rest[0]!r} is not allowed here"
