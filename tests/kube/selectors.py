"""Label and field selectors: text as clients send it -> a predicate.

The grammar is that of `k8s.io/apimachinery/pkg/labels`: requirements joined by commas, each `key`, `!key`,
`key=value`, `key==value`, `key!=value`, `key in (a,b)`, `key notin (a,b)`, `key>1` or `key<1`.
A negative requirement also selects objects that lack the key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from .errors import bad_request

Labels = Mapping[str, str]
LabelPredicate = Callable[[Labels], bool]
FieldPredicate = Callable[[Mapping[str, Any]], bool]

_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_KEY = rf"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?{_NAME}"
_VALUE = rf"(?:{_NAME})?"
_REQUIREMENT = re.compile(
    rf"""\s*(?:
        !\s*(?P<absent>{_KEY})
      | (?P<set_key>{_KEY})\s+(?P<set_operator>in|notin)\s*\((?P<values>[^()]*)\)
      | (?P<key>{_KEY})\s*(?P<operator>==|=|!=|>|<)\s*(?P<value>{_VALUE})
      | (?P<present>{_KEY})
    )\s*(?:,|$)""",
    re.VERBOSE,
)
_VALUE_ONLY = re.compile(_VALUE)


@lru_cache(maxsize=256)
def label_selector(text: str) -> LabelPredicate | None:
    """A predicate over labels, None when everything matches. Raises `ApiError` 400 for bad syntax."""
    requirements: list[LabelPredicate] = []
    position = 0
    while position < len(text.rstrip()):
        match = _REQUIREMENT.match(text, position)
        if match is None:
            raise bad_request(f"unable to parse requirement: found {text[position:]!r} in {text!r}")
        requirements.append(_requirement(match, text))
        position = match.end()
    if text.rstrip().endswith(","):
        raise bad_request(f"unable to parse requirement: found '' after ',' in {text!r}")
    if not requirements:
        return None
    return lambda labels: all(accepts(labels) for accepts in requirements)


def _requirement(match: re.Match[str], text: str) -> LabelPredicate:
    if (absent := match["absent"]) is not None:
        return lambda labels: absent not in labels
    if (present := match["present"]) is not None:
        return lambda labels: present in labels
    if (set_key := match["set_key"]) is not None:
        values = frozenset(value.strip() for value in match["values"].split(","))
        if not all(_VALUE_ONLY.fullmatch(value) for value in values):
            raise bad_request(f"unable to parse requirement: bad value in {text!r}")
        if match["set_operator"] == "in":
            return lambda labels: labels.get(set_key) in values
        return lambda labels: labels.get(set_key) not in values
    return _comparison(match["key"], match["operator"], match["value"])


def _comparison(key: str, operator: str, value: str) -> LabelPredicate:
    if operator == "!=":
        return lambda labels: labels.get(key) != value
    if operator in ("=", "=="):
        return lambda labels: labels.get(key) == value
    try:
        bound = int(value)
    except ValueError:
        raise bad_request(f"for 'Gt', 'Lt' operators, the value must be an integer: {value!r}") from None
    sign = 1 if operator == ">" else -1

    def beyond(labels: Labels) -> bool:
        try:
            return (int(labels[key]) - bound) * sign > 0
        except (KeyError, ValueError):
            return False

    return beyond


@lru_cache(maxsize=256)
def field_selector(text: str, extra_fields: tuple[str, ...]) -> FieldPredicate | None:
    """A predicate over whole objects, None when everything matches. Raises `ApiError` 400."""
    supported = ("metadata.name", "metadata.namespace", *extra_fields)
    terms: list[tuple[tuple[str, ...], bool, str]] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        found = re.fullmatch(r"([^=!]+?)\s*(==|!=|=)\s*(.*)", part)
        if found is None:
            raise bad_request(f"invalid selector: {text!r}; can't understand {part!r}")
        name, operator, value = found.groups()
        if name not in supported:
            raise bad_request(f"field label not supported: {name}")
        terms.append((tuple(name.split(".")), operator != "!=", value))
    if not terms:
        return None
    return lambda document: all((_field(document, path) == value) is wanted for path, wanted, value in terms)


def _field(document: Mapping[str, Any], path: tuple[str, ...]) -> str:
    value: Any = document
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
