"""The same of what lies outside of an object: entry points, other providers, parents and children, our errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provider.translate import builder
from tests.provider.agreement import judged, static_with
from tests.provider.far_cases import BROKEN, HOLES, REFERRERS, SERVED, A, child, ingress, parent, web_route
from tests.provider.support import Json, route, rule
from tests.provider.translate.routes import custom


@pytest.mark.parametrize("name", HOLES)
def test_what_is_not_served_has_an_error_and_nothing_else_has(name: str, tmp_path: Path) -> None:
    found = judged(tmp_path, HOLES[name])
    assert found.unserved == found.wrong
    assert found.wrong
    errors = [one for one in found.findings if one.severity == "error"]
    assert all(one.field and one.message for one in errors)


@pytest.mark.parametrize("name", SERVED)
def test_what_is_served_has_no_error(name: str, tmp_path: Path) -> None:
    found = judged(tmp_path, SERVED[name])
    assert found.unserved == found.wrong == set()


@pytest.mark.parametrize("count", [1, 2])
def test_one_usable_way_to_a_child_is_enough(count: int, tmp_path: Path) -> None:
    """Its parent, of which one route is broken, hears of that; the child is served by way of the others."""
    routes = [rule("Host(`b`)", middlewares=[{"name": "gone"}]), *[rule(f"Host(`a{n}`)") for n in range(count)]]
    found = judged(tmp_path, [parent(*routes), child()])
    assert found.unserved == found.wrong == {"IngressRoute default/p"}


ENTRY_POINT_OPTIONS: dict[str, Json] = {
    "middleware that nobody has": {"middlewares": ["default-gone@kubernetescrd"]},
    "middleware that is broken": {"middlewares": ["default-m@kubernetescrd"]},
    "option that nobody has": {"tls": {"options": "default-gone@kubernetescrd"}},
}


@pytest.mark.parametrize("name", ENTRY_POINT_OPTIONS)
def test_what_an_entry_point_adds_is_needed_too(name: str, tmp_path: Path) -> None:
    static = static_with(points={"web": {"address": "127.0.0.1:0", "http": ENTRY_POINT_OPTIONS[name]}})
    objects = [
        BROKEN,
        web_route(entryPoints=["web"]),
        ingress(host="b"),
        route("on", rule("Host(`c`)", A), entryPoints=["postgres"]),
    ]
    found = judged(tmp_path, objects, static)
    assert found.unserved == found.wrong == {"IngressRoute default/r", "Ingress default/i"}


def fail_for(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Every translator of custom resources raises what it must not for objects of this name."""
    for kind, original in dict(builder.TRANSLATORS).items():

        def translate(view: Any, resource: Any, original: Any = original) -> Any:
            if resource.metadata.name == name:
                raise KeyError
            return original(view, resource)

        monkeypatch.setitem(builder.TRANSLATORS, kind, translate)


@pytest.mark.parametrize("name", REFERRERS)
def test_an_error_of_ours_reaches_who_refers_to_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_for(monkeypatch, "oops")
    found = judged(tmp_path, REFERRERS[name])
    assert found.unserved == found.wrong
    assert found.wrong - {"IngressRoute default/oops"}, "not only the object itself"


def test_an_error_of_ours_never_makes_the_default_option_weaker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_for(monkeypatch, "default")
    found = judged(tmp_path, [custom("TLSOption", "default", minVersion="VersionTLS13"), web_route(tls={})])
    assert found.unserved == found.wrong == {"IngressRoute default/r"}
    assert found.errors("r") == {"spec.tls.options": "TLSOptionNotUsable"}
