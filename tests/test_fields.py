"""docs/fields.md has every field as it is, and what it names shows the field."""

from __future__ import annotations

import re

import pytest

from provider.resources.kinds import KINDS
from tests.fields import BEGIN, END, PAGE, WITHOUT_EFFECT, Field, cases, fields, page, support_of, table

ROW = re.compile(r"\| `(?P<path>[^`]+)` \| (?P<type>[^|]+) \| (?P<support>[^|]+) \| (?P<cases>[^|]*) \|")


def rows() -> list[tuple[str, re.Match[str]]]:
    """(kind, row) of the page as it is written."""
    found, kind = [], ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            kind = line.removeprefix("## ")
        elif matched := ROW.fullmatch(line):
            found.append((kind, matched))
    return found


def test_every_field_is_there_and_nothing_else() -> None:
    written = [(kind, row["path"], row["type"], row["support"]) for kind, row in rows()]
    assert written == [(one.kind, one.path, one.type, support_of(one)) for one in fields()], (
        "run python -m tests.fields --write"
    )
    assert {kind for kind, *_ in written} == {kind.name for kind in KINDS.values() if kind.is_custom}


def test_cases_that_are_named_hold_the_field() -> None:
    """Newer cases may be missing from the page: then it is not wrong, only less than complete."""
    for kind, row in rows():
        for case in filter(None, row["cases"].strip().split(", ")):
            assert case in cases()[kind, row["path"]], "run python -m tests.fields --write"


def test_what_is_said_to_have_no_effect_exists() -> None:
    known = {f"{one.kind} {one.path.replace('[]', '')}" for one in fields()}
    assert known >= set(WITHOUT_EFFECT)


def test_what_is_below_such_a_field_has_no_effect_either() -> None:
    below = Field("TLSStore", "spec.defaultGeneratedCert.domain.sans", "list of string", "")
    assert support_of(below) != "yes"
    assert support_of(below._replace(path="spec.certificates")) == "yes"


def test_the_page_is_written_between_its_marks() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert page(text) == f"before\n{BEGIN}\n{table()}\n{END}\nafter\n"
    with pytest.raises(ValueError, match="no place"):
        page("nothing")
