"""Plain data into structs: only the nearest of the known names is offered, and only if it is near."""

from __future__ import annotations

import pytest

from provider.findings import Rejected, Report
from provider.resources.core import Int64, Resource
from provider.resources.kinds import ObjectKey
from provider.translate.typed import nearest, typed


class Inner(Resource, frozen=True, kw_only=True):
    number_of_things: Int64 = 0


class Outer(Resource, frozen=True, kw_only=True):
    inner: Inner | None = None
    several: list[Inner] = []
    by_name: dict[str, Inner] = {}
    duration: Int64 | str | None = None


def report() -> Report:
    return Report(ObjectKey("Middleware", "default", "m"))


def test_data_that_fits() -> None:
    heard = report()
    plain = {"inner": {"numberOfThings": 1}, "several": [{}], "byName": {"a": {"numberOfThings": 2}}}
    assert typed(heard, plain, Outer, "spec") == Outer(
        inner=Inner(number_of_things=1), several=[Inner()], by_name={"a": Inner(number_of_things=2)}
    )
    assert heard.findings == []


def test_unknown_names_are_found_at_any_depth() -> None:
    heard = report()
    plain = {"iner": {}, "inner": {"x": 1}, "several": [{}, {"numberofthings": 1}], "byName": {"a": {"y": 1}}}
    typed(heard, plain, Outer, "spec")
    assert [(finding.field, finding.advice) for finding in heard.findings] == [
        ("spec.iner", "did you mean inner?"),
        ("spec.inner.x", "remove it"),
        ("spec.several[1].numberofthings", "did you mean numberOfThings?"),
        ("spec.byName.a.y", "remove it"),
    ]


def test_null_is_absent_at_any_depth() -> None:
    plain = {"inner": {"numberOfThings": None}, "several": None, "duration": None}
    assert typed(report(), plain, Outer, "spec") == Outer(inner=Inner())


@pytest.mark.parametrize(
    ("plain", "field"),
    [
        ({"inner": []}, "spec.inner"),
        ({"several": [{"numberOfThings": "1"}]}, "spec.several[0].numberOfThings"),
        ({"duration": 1 << 64}, "spec.duration"),
        ({"duration": []}, "spec.duration"),
        ([], "spec"),
        ("text", "spec"),
    ],
    ids=str,
)
def test_data_that_does_not_fit_is_rejected(plain: object, field: str) -> None:
    with pytest.raises(Rejected) as caught:
        typed(report(), plain, Outer, "spec")
    assert (caught.value.reason, caught.value.field) == ("Malformed", field)


@pytest.mark.parametrize(
    ("name", "found"),
    [("headers", "headers"), ("HEADERS", "headers"), ("header", "headers"), ("retires", "retry"), ("x", "")],
)
def test_nearest(name: str, found: str) -> None:
    assert nearest(name, ["headers", "retry", "errors"]) == found
