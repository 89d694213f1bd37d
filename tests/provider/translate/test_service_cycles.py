"""Cycles among TraefikServices, found from every object that leads into one."""

from __future__ import annotations

from typing import Any

import pytest

from provider.options import TranslationOptions
from provider.resources.kinds import ObjectKey
from provider.translate.cycles import LARGEST_WALK
from provider.translate.service_cycles import KIND, cycle_from
from provider.translate.view import View
from tests.provider.golden import store_of
from tests.provider.support import Json
from tests.provider.translate.routes import custom


def view_of(*objects: Json, allow: bool = False) -> View:
    return View(store_of(list(objects)), TranslationOptions(allow_cross_namespace=allow))


def leads(name: str, *children: str, namespace: str = "default", **fields: Any) -> Json:
    services = [{"name": child, "kind": KIND, **fields} for child in children]
    return custom(KIND, name, namespace, weighted={"services": services})


def test_none() -> None:
    diamond = view_of(leads("a", "b", "c"), leads("b", "d"), leads("c", "d"), leads("d", "absent", "s@file"))
    assert cycle_from(diamond, "default", "a") == []
    assert diamond.reads == {ObjectKey(KIND, "default", name) for name in ("a", "b", "c", "d", "absent")}


def test_of_itself() -> None:
    assert cycle_from(view_of(leads("a", "a")), "default", "a") == ["default/a", "default/a"]


@pytest.mark.behaviour("PR-48")
def test_of_several() -> None:
    view = view_of(leads("a", "x", "b"), leads("b", "c"), leads("c", "a"), leads("above", "b"))
    assert cycle_from(view, "default", "a") == ["default/a", "default/b", "default/c", "default/a"]
    assert cycle_from(view, "default", "above")[1:] == ["default/b", "default/c", "default/a", "default/b"]


def test_across_namespaces() -> None:
    there = leads("x", "x", namespace="b")
    there["spec"]["weighted"]["services"][0]["namespace"] = "a"
    back = leads("x", "x@kubernetescrd", namespace="a")
    back["spec"]["weighted"]["services"][0]["namespace"] = "b"
    assert cycle_from(view_of(there, back, allow=True), "a", "x") == ["a/x", "b/x", "a/x"]
    assert cycle_from(view_of(there, back), "a", "x") == []


@pytest.mark.parametrize(
    "spec",
    [
        {"mirroring": {"name": "a", "kind": KIND}},
        {"mirroring": {"name": "w", "port": 80, "mirrors": [{"name": "a", "kind": KIND}]}},
        {"highestRandomWeight": {"services": [{"name": "a", "kind": KIND}]}},
        {"failover": {"service": {"name": "w", "port": 80}, "fallback": {"name": "a", "kind": KIND}}},
        {"failover": {"service": {"name": "a", "kind": KIND}}},
    ],
    ids=str,
)
def test_through_every_type(spec: Json) -> None:
    assert cycle_from(view_of(custom(KIND, "a", **spec)), "default", "a") == ["default/a", "default/a"]


def test_a_type_that_does_not_count_leads_nowhere() -> None:
    ignored = custom(KIND, "a", weighted={"services": []}, mirroring={"name": "a", "kind": KIND})
    assert cycle_from(view_of(ignored), "default", "a") == []


@pytest.mark.parametrize(("count", "found"), [(LARGEST_WALK, LARGEST_WALK + 1), (3000, 0)])
def test_the_walk_is_long_and_has_an_end(count: int, found: int) -> None:
    view = view_of(*(leads(f"s{number}", f"s{(number + 1) % count}") for number in range(count)))
    assert len(cycle_from(view, "default", "s0")) == found
    assert len(view.reads) == LARGEST_WALK
