"""Laws about two namespaces that mean each other harm (ADV-G).

Nothing that one of them writes changes what the other has, or reaches it, unless an option or a grant says so.
Where names meet, the younger object may lose its name and is told so; nobody ever gets another's in its place.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.findings import Finding
from provider.options import TranslationOptions
from provider.store import Store
from provider.translate.builder import Builder, build
from tests.properties.tenants import (
    DEFAULTED,
    TENANTS,
    Place,
    built,
    objects,
    owned,
    pairs_of_clusters,
    put,
    reached,
)
from tests.provider.support import Json

CLOSED = TranslationOptions()
SAFE = TranslationOptions(safe_naming=True)
LOST = frozenset(("NameCollision", "DuplicateDefault"))


def _sides(clusters: dict[str, list[Json]], me: str) -> list[list[Json]]:
    """Mine and theirs."""
    return [clusters[me], *(objects for namespace, objects in clusters.items() if namespace != me)]


def findings_of(builder: Builder, namespace: str) -> list[Finding]:
    return [one for key, found in sorted(builder.findings.items()) if key.namespace == namespace for one in found]


def has_lost(builder: Builder, namespace: str) -> bool:
    return any(finding.reason in LOST for finding in findings_of(builder, namespace))


@given(pairs_of_clusters(), st.sampled_from(TENANTS))
@settings(max_examples=400)
def test_a_neighbour_changes_nothing(clusters: dict[str, list[Json]], me: str) -> None:
    mine, theirs = _sides(clusters, me)
    alone, together = built(mine, CLOSED), built([*mine, *theirs], CLOSED)
    before, after = owned(alone, me), owned(together, me)
    assert {place: value for place, value in after.items() if before.get(place) != value} == {}
    if not has_lost(together, me):
        assert after == before
    for finding in findings_of(together, me):
        assert finding.reason in LOST or finding in findings_of(alone, me)


@given(pairs_of_clusters(), st.sampled_from(TENANTS))
@settings(max_examples=400)
def test_a_neighbour_is_never_reached(clusters: dict[str, list[Json]], me: str) -> None:
    """Neither is what I have led elsewhere: whatever a router of mine leads to is mine, or is not there."""
    mine, theirs = _sides(clusters, me)
    alone, together = built(mine, CLOSED), built([*mine, *theirs], CLOSED)
    for place in owned(together, me):
        if not place.section.endswith("routers"):
            continue
        before = reached(alone, place)
        for other, value in reached(together, place).items():
            if other == Place("tls.options", "default"):
                continue
            assert value is None or value == before[other], other


@given(pairs_of_clusters(), st.sampled_from(TENANTS))
@settings(max_examples=300)
def test_nobody_loses_a_name_to_a_younger_one(clusters: dict[str, list[Json]], me: str) -> None:
    mine, theirs = _sides(clusters, me)
    for plain in mine:
        plain["metadata"]["creationTimestamp"] = "2025-01-01T00:00:00Z"
    for plain in theirs:
        plain["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    alone, together = built(mine, CLOSED), built([*mine, *theirs], CLOSED)
    after = owned(together, me)
    for place, value in owned(alone, me).items():
        if place.name == "default":
            continue
        # what led nowhere was disabled, and may go before it leads to the neighbour
        led_nowhere = None in reached(alone, place).values()
        assert after.get(place) == value or (led_nowhere and place not in after)


@given(pairs_of_clusters(), st.sampled_from(TENANTS))
@settings(max_examples=300)
def test_safe_names_never_meet(clusters: dict[str, list[Json]], me: str) -> None:
    mine, theirs = _sides(clusters, me)
    alone, together = built(mine, SAFE), built([*mine, *theirs], SAFE)
    findings = [one for found in together.findings.values() for one in found]
    assert not any(one.reason == "NameCollision" for one in findings)
    if not has_lost(together, me):
        assert owned(together, me) == owned(alone, me)
        assert findings_of(together, me) == findings_of(alone, me)


@pytest.mark.parametrize("kind", DEFAULTED)
def test_a_default_of_two_is_nobodys_and_never_the_others(kind: str) -> None:
    """As in Traefik both are left out; the built-in ones apply, and each object says so."""
    plain = [
        {
            "apiVersion": "traefik.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": "default", "namespace": namespace},
            "spec": {},
        }
        for namespace in TENANTS
    ]
    builder = built(plain, CLOSED)
    assert not any(len(contested) for contested in builder.sections.values())
    assert [one.reason for one in findings_of(builder, "a")] == ["DuplicateDefault"]


GRANTS = st.builds(
    lambda holder, guest, name, origin, target: {
        "apiVersion": "gateway.networking.k8s.io/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": {"name": name, "namespace": holder},
        "spec": {"from": [{**origin, "namespace": guest}], "to": [target]},
    },
    st.sampled_from(TENANTS),
    st.sampled_from(TENANTS),
    st.sampled_from(["one", "two"]),
    st.sampled_from(
        [
            {"group": "traefik.io", "kind": kind}
            for kind in ("IngressRoute", "IngressRouteTCP", "TraefikService", "Middleware")
        ]
    ),
    st.sampled_from(
        [
            {"group": "", "kind": "Service"},
            {"group": "", "kind": "Service", "name": "c"},
            *({"group": "traefik.io", "kind": kind} for kind in ("Middleware", "TraefikService", "IngressRoute")),
        ]
    ),
)
STEPS = st.tuples(st.booleans(), st.one_of(objects("a"), objects("a-b"), objects("a-b"), GRANTS))


@given(
    st.lists(objects("a"), max_size=5),
    st.lists(st.lists(STEPS, min_size=1, max_size=3), min_size=1, max_size=8),
    st.builds(TranslationOptions, allow_cross_namespace=st.booleans(), safe_naming=st.booleans()),
)
@settings(max_examples=200)
def test_step_by_step_equals_from_scratch(
    first: list[Json], batches: list[list[Any]], options: TranslationOptions
) -> None:
    store, builder = Store(), Builder(options)
    for plain in first:
        put(store, plain)
    for batch in batches:
        for is_put, plain in batch:
            key = put(store, plain)
            if not is_put:
                store.remove(key)
        builder.update(store, store.take_changed())
        assert builder.result(store) == build(store, options)
