"""Copies of routers for entry points never bear the name of another router, whatever came first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.http import Router, RouterTLS, Server, Service
from tests.workers.fakes import balancer, environment, router, servers
from workers.copy_names import CopyNames
from workers.environment import Environment
from workers.models import Model
from workers.runtime import Changes, Runtime

P = "@kubernetescrd"
NAMES = CopyNames(["web", "web-secure", "other"], ["web", "web-secure"])
MODELLED = {"web": Model(), "web-secure": Model()}
ENTRY_POINTS = ("web", "web-secure", "other")


@pytest.mark.parametrize(
    ("usual", "source", "others", "name"),
    [
        ("a_r_0", "a_r_0", ["web-a_r_0"], "a_r_0"),
        ("web-a_r_0", "a_r_0", ["b_r_0"], "web-a_r_0"),
        ("web-a_r_0", "a_r_0", ["web-a_r_0"], "web:a_r_0"),
        ("web-conflicted-a", "a", ["web-conflicted-a"], "web-conflicted:a"),
        ("web-conflicted-web-a", "a", ["web-conflicted-web-a"], "web-conflicted-web:a"),
        # the copy of `secure-a` for `web` and that of `a` for `web-secure`
        ("web-secure-a", "secure-a", ["a"], "web:secure-a"),
        ("web-secure-a", "a", ["secure-a"], "web-secure-a"),
        ("web-conflicted-a", "conflicted-a", ["a"], "web:conflicted-a"),
    ],
)
def test_a_name_that_another_has_is_left_to_it(usual: str, source: str, others: list[str], name: str) -> None:
    assert NAMES.name_of(usual, source, {source, *others}) == name


@pytest.mark.parametrize(
    ("name", "touched"), [("web-a", "a"), ("other-conflicted-a", "a"), ("a", "secure-a"), ("a", "conflicted-a")]
)
def test_who_comes_or_goes_touches_those_whose_copies_it_renames(name: str, touched: str) -> None:
    assert touched in NAMES.touched_by(name)


def _where() -> Environment:
    return environment(entry_points=ENTRY_POINTS, default_entry_points=ENTRY_POINTS, models=MODELLED)


def _changed(before: Runtime, routers: dict[str, Router | None]) -> Runtime:
    services: dict[str, Service | None] = {f"s-{name}{P}": balancer() for name in routers}
    endpoints: dict[str, list[Server] | None] = {f"s-{name}{P}": servers(1) for name in routers}
    made = Changes(
        routers={name + P: one for name, one in routers.items()}, services=services, endpoints=endpoints
    )
    return before.updated(before.number + 1, made, lambda: None)


def _shown(runtime: Runtime) -> dict[str, tuple[str, str, tuple[str, ...], list[str]]]:
    return {name: (one.source, one.service, tuple(one.using), one.errors) for name, one in runtime.routers.items()}


_ROUTERS = ("a", "web-a", "secure-a", "web-secure-a", "conflicted-a", "web-conflicted-a", "web-conflicted-web-a")
_STEPS = st.lists(
    st.dictionaries(
        st.sampled_from(_ROUTERS),
        st.sampled_from([None, "plain", "tls", "options", "other only"]),
        min_size=1,
        max_size=4,
    ),
    min_size=1,
    max_size=5,
)


def _router(name: str, kind: str | None) -> Router | None:
    if kind is None:
        return None
    tls = {"tls": RouterTLS(), "options": RouterTLS(options="x@file")}.get(kind)
    points = ["other"] if kind == "other only" else []
    return router(service=f"s-{name}", tls=tls, entry_points=points)


@given(_STEPS)
def test_every_router_is_attached_wherever_it_belongs_in_any_order_of_events(
    steps: list[dict[str, str | None]],
) -> None:
    stepwise, final = Runtime(_where()), dict[str, Router | None]()
    for step in steps:
        changes = {name: _router(name, kind) for name, kind in step.items()}
        stepwise = _changed(stepwise, changes)
        final.update(changes)
    present = {name: one for name, one in final.items() if one is not None}
    at_once = _changed(Runtime(_where()), dict(present))
    assert _shown(stepwise) == _shown(at_once)
    attached = sorted((one.source, point) for one in stepwise.routers.values() for point in one.using)
    wanted = [(name + P, point) for name, one in present.items() for point in one.entry_points or ENTRY_POINTS]
    assert attached == sorted(wanted)
    assert all(one.service == f"s-{one.source}" for one in stepwise.routers.values())


def test_a_copy_that_gives_way_is_served_and_says_so() -> None:
    both = _changed(Runtime(_where()), {"a": _router("a", "plain"), "web-a": _router("web-a", "other only")})
    renamed = both.routers["web:a" + P]
    assert renamed.using == ["web"]
    assert renamed.status == "warning"
    assert renamed.errors == [
        "the name web-a@kubernetescrd is another router's, this one is called web:a@kubernetescrd instead"
    ]
    assert both.routers["web-a" + P].using == ["other"]
    alone = _changed(both, {"web-a": None})
    assert alone.routers["web-a" + P].source == "a" + P
    assert alone.routers["web-a" + P].status == "enabled"
    assert "web:a" + P not in alone.routers
