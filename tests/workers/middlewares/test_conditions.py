"""The language of conditions."""

from __future__ import annotations

from typing import Any

import pytest

from workers.building import BuildError
from workers.middlewares.conditions import Function, compile_condition

FUNCTIONS: dict[str, Function[dict[str, Any]]] = {
    "Ratio": Function((), float, lambda context: context["ratio"]),
    "At": Function((float,), int, lambda context, q: int(context["at"] * q)),
    "Between": Function((int, int), float, lambda context, a, b: (b - a) / 10),
    "Count": Function((), int, lambda context: context["count"]),
    "Method": Function((), str, lambda context: "GET"),
}
CONTEXT = {"ratio": 0.4, "at": 2, "count": 20}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("Ratio() > 0.5", False),
        ("Ratio()>0.3", True),
        ("Ratio() == 0.4", True),
        ("Ratio() != 4e-1", False),
        ("Ratio() <= .4", True),
        ("Ratio() < 1.", True),
        ("Count() >= 20", True),
        ("At(50.0) == 100", True),
        ("Between(1, 9) > 0.7", True),
        ("Between(1, 9,) > 0.7 // comment", True),
        ("Between(/* from */ 1, 9) > 0.7", True),
        ("Ratio() > 0.5 || Count() >= 20", True),
        ("Ratio() > 0.5 && Count() >= 20", False),
        ("Count() > 1 || Count() > 1 && Ratio() > 0.5", True),
        ("(Count() > 1 || Count() > 1) && Ratio() > 0.5", False),
        ("((Ratio())) > (0.3)", True),
        ("Ratio() >\n 0.3 &&\n Between(\n1,\n 9) > 0.1\n", True),
        ('Method() == "GET"', True),
        ("Method() != `GET`", False),
    ],
)
def test_conditions(text: str, holds: bool) -> None:
    assert compile_condition(text, FUNCTIONS)(CONTEXT) is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ratio()",
        "true",
        "Ratio() > 1",
        "Count() > 1.0",
        "At(50) > 1",
        "At() > 1",
        "Between(1) > 0.1",
        "Between(1, 2, 3) > 0.1",
        "0.3 < Ratio()",
        "Ratio() > Ratio()",
        "!(Ratio() > 0.3)",
        "Ratio() > -0.3",
        "Ratio() + 1.0 > 0.3",
        "Ratio() > 0.3 > 0.2",
        "Ratio() > 0.3 Count() > 1",
        "Ratio() > 0.3\n&& Count() > 1",
        "Ratio( > 0.3",
        "ratio() > 0.3",
        "Method() > `A`",
        f"Count() > {1 << 63}",
        "(" * 51 + "Count() > 1" + ")" * 51,
        "Count() > 1" + " || Count() > 1" * 1000,
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(BuildError) as caught:
        compile_condition(text, FUNCTIONS)
    assert len(str(caught.value)) < 250


def test_the_deepest_one_can_be_asked() -> None:
    text = "(Count() > 99 || (Count() > 1 && " * 24 + "Count() > 1" + "))" * 24
    assert compile_condition(text, FUNCTIONS)(CONTEXT)
