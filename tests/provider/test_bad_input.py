"""Objects that no sane person writes: each costs itself, with a finding, and not its neighbours.

Work is counted in what is read and written, not in seconds, so that a slow machine proves the same.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from provider.findings import LONGEST_MESSAGE
from provider.kube.watch import FetchPage, ListWatch, OpenWatch, Put
from provider.options import TranslationOptions
from provider.resources import traefik_middlewares as written
from provider.resources.kinds import INGRESS_ROUTE, KINDS, MIDDLEWARE, Kind, ObjectKey
from provider.resources.nesting import LARGEST_DEPTH
from provider.store import Store
from provider.translate.builder import Builder
from provider.translate.cycles import LARGEST_WALK
from tests.provider.support import Json, endpoints, middleware, route, rule, service
from tests.provider.translate.routes import custom

MEBIBYTE = 1 << 20
UNKNOWN_FIELD: Any = {"stripPrefix": {}, "x" * MEBIBYTE: 1}
WEB = {"name": "web", "port": 80}
NEIGHBOURS = [
    service("web"),
    endpoints("web", "10.1.0.1"),
    route("neighbour", rule("Host(`neighbour`)", WEB, middlewares=[{"name": "good"}])),
    middleware("good", stripPrefix={"prefixes": ["/x"]}),
]


class Stage:
    """A builder that has translated the objects beside the neighbours, which come out of it as ever."""

    def __init__(self, *objects: Json) -> None:
        self.store, self.builder = Store(), Builder(TranslationOptions())
        for plain in (*NEIGHBOURS, *objects):
            self.store.insert_json(KINDS[plain["kind"]], msgspec.json.encode(plain))
        self.builder.update(self.store, self.store.take_changed())
        self.findings = self.builder.result(self.store).findings
        assert not [finding for finding in self.findings if finding.name in ("neighbour", "good", "web")]
        assert "Host(`neighbour`)" in {router.rule for router in self.builder.routers.values()}

    @property
    def found(self) -> set[tuple[str, str]]:
        """(name, reason) of every finding."""
        return {(finding.name, finding.reason) for finding in self.findings}

    def reads(self, name: str, kind: str = "IngressRoute") -> int:
        """How many things the translation of one object asked for."""
        return len(self.builder.readers._reads[ObjectKey(kind, "default", name)])


@pytest.fixture(autouse=True)
def _nothing_is_thrown(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG):
        yield
    assert not [record for record in caplog.records if record.exc_info]


HUGE: dict[str, tuple[Json, str]] = {
    "rule": (route("big", rule("Host(`" + "a" * MEBIBYTE + "`)", WEB)), "InvalidRule"),
    "alternatives": (route("big", rule(" || ".join(["Host(`a`)"] * (MEBIBYTE // 13)), WEB)), "InvalidRule"),
    "parentheses": (route("big", rule("(" * MEBIBYTE, WEB)), "InvalidRule"),
    "name of a service": (
        route("big", rule("Host(`a`)", {"name": "x" * MEBIBYTE, "port": 80})),
        "ServiceNotFound",
    ),
    "name of a middleware": (
        route("big", rule("Host(`a`)", WEB, middlewares=[{"name": "x" * MEBIBYTE}])),
        "MiddlewareNotFound",
    ),
    "unknown field": (custom("Middleware", "big", **UNKNOWN_FIELD), "UnknownField"),
    "duration": (middleware("big", retry={"attempts": 1, "initialInterval": "1" * MEBIBYTE}), "InvalidDuration"),
}


@pytest.mark.parametrize("what", HUGE)
def test_a_mebibyte_in_one_field(what: str) -> None:
    plain, reason = HUGE[what]
    stage = Stage(plain)
    assert ("big", reason) in stage.found
    assert max(len(finding.message) for finding in stage.findings) <= LONGEST_MESSAGE + len(" ...")


def test_a_thousand_routes_in_one_object() -> None:
    routes = [rule(f"Host(`h{number}`)", WEB, middlewares=[{"name": "good"}]) for number in range(1000)]
    stage = Stage(route("many", *routes))
    assert len(stage.builder.routers) == 1001
    assert stage.findings == []
    assert stage.reads("many") == 2, "a Service and a Middleware"


def test_a_thousand_routes_that_lead_nowhere() -> None:
    routes = [
        rule(f"Host(`h{number}`)", {"name": f"s{number}", "port": 80}, middlewares=[{"name": f"m{number}"}])
        for number in range(1000)
    ]
    stage = Stage(route("many", *routes))
    assert {reason for _, reason in stage.found} == {"ServiceNotFound", "MiddlewareNotFound"}
    assert len(stage.findings) == 2000
    assert stage.reads("many") == 2001, "each of them, and the names there are"


def test_a_thousand_routes_of_one_rule() -> None:
    stage = Stage(route("many", *[rule("Host(`a`)", WEB)] * 1000))
    assert len(stage.builder.routers) == 2
    assert stage.found == {("many", "DuplicateRule")}


def nested(levels: int, opening: str = '{"a":', closing: str = "}") -> str:
    return opening * levels + "1" + closing * levels


def raw(kind: Kind, name: str, spec: str) -> str:
    return f'{{"kind":"{kind.name}","metadata":{{"name":"{name}","namespace":"default"}},"spec":{spec}}}'


DEEP = {
    "options of a plugin": (MIDDLEWARE, '{"plugin":{"x":%s}}'),
    "a field that is no mapping": (MIDDLEWARE, '{"stripPrefix":{"prefixes":%s}}'),
    "a field that does not exist": (INGRESS_ROUTE, '{"nonsense":%s}'),
    "routes": (INGRESS_ROUTE, '{"routes":%s}'),
}


@pytest.mark.parametrize("levels", [LARGEST_DEPTH, 900, 5000, 100_000])
@pytest.mark.parametrize("what", DEEP)
def test_deep_nesting_costs_the_object_and_not_the_list(what: str, levels: int) -> None:
    """The API server takes ten thousand levels where the schema leaves a field open."""
    kind, pattern = DEEP[what]
    deep = raw(kind, "deep", pattern % nested(levels))
    good = raw(kind, "good", '{"routes":[]}' if kind is INGRESS_ROUTE else '{"stripPrefix":{}}')
    machine = ListWatch(kind, "", random.Random(0))
    assert isinstance(machine.next(), FetchPage)
    snapshot = machine.page(f'{{"metadata":{{"resourceVersion":"1"}},"items":[{deep},{good}]}}'.encode())
    assert snapshot is not None
    assert isinstance(machine.next(), OpenWatch)
    change = machine.line(f'{{"type":"MODIFIED","object":{deep}}}'.encode())
    assert isinstance(change, Put)
    store, builder = Store(), Builder(TranslationOptions())
    store.replace(kind, "", snapshot.objects)
    builder.update(store, store.take_changed())
    findings = builder.result(store).findings
    assert not [finding for finding in findings if finding.name == "good"]
    assert store.get(kind.name, "default", "good") is not None
    if what != "a field that does not exist":
        assert [finding.name for finding in findings] == ["deep"]


def test_brackets_in_texts_are_not_nesting() -> None:
    text = '"' + '[{\\"' * 1000 + '"'
    machine = ListWatch(MIDDLEWARE, "", random.Random(0))
    machine.next()
    deep, plain = raw(MIDDLEWARE, "deep", nested(5000)), raw(MIDDLEWARE, "plain", f'{{"x":{text}}}')
    snapshot = machine.page(f'{{"metadata":{{"resourceVersion":"1"}},"items":[{deep},{plain}]}}'.encode())
    assert snapshot is not None
    assert snapshot.objects[1].spec == {"x": '[{"' * 1000}


def cycle_of(kind: str, count: int) -> list[Json]:
    objects = []
    for number in range(count):
        ahead: Json = {"name": f"c{(number + 1) % count}"}
        specs: dict[str, Json] = {
            "TraefikService": {"weighted": {"services": [{**ahead, "kind": "TraefikService"}]}},
            "Middleware": {"chain": {"middlewares": [ahead]}},
            "IngressRoute": {"parentRefs": [ahead], "routes": [rule(f"Host(`h{number}`)", WEB)]},
        }
        spec = specs[kind]
        objects.append(custom(kind, f"c{number}", **spec))
    return objects


REASON = {"TraefikService": "ServiceCycle", "Middleware": "MiddlewareCycle", "IngressRoute": "ParentCycle"}


@pytest.mark.parametrize("kind", REASON)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_each_object_of_a_cycle_says_so_until_it_is_opened(kind: str, count: int) -> None:
    objects = cycle_of(kind, count)
    stage = Stage(*objects)
    found = {one for one in stage.found if one[1] != "ParentHasService"}
    assert found == {(f"c{number}", REASON[kind]) for number in range(count)}
    finding = next(one for one in stage.findings if (one.name, one.reason) == ("c0", REASON[kind]))
    assert finding.message.endswith(" -> ".join(f"default/c{number % count}" for number in range(count + 1)))
    if count > 1:
        assert {one.reason for one in Stage(*objects[:-1]).findings} & set(REASON.values()) == set()


@pytest.mark.parametrize("kind", REASON)
def test_the_way_round_a_very_long_cycle_is_not_walked_to_its_end(kind: str) -> None:
    stage = Stage(*cycle_of(kind, 1000))
    assert REASON[kind] not in {reason for _, reason in stage.found}
    assert all(stage.reads(f"c{number}", kind) <= LARGEST_WALK + 4 for number in range(1000))


def _words(type_: inspect.Type, seen: set[type]) -> Iterator[str]:
    if isinstance(type_, inspect.StructType):
        if type_.cls not in seen:
            seen.add(type_.cls)
            for field in type_.fields:
                yield field.encode_name
                yield from _words(field.type, seen)
    elif isinstance(type_, inspect.UnionType):
        for one in type_.types:
            yield from _words(one, seen)
    elif isinstance(type_, inspect.ListType):
        yield from _words(type_.item_type, seen)


def words_of(kind: Kind) -> list[str]:
    """All names of fields that a kind's specification has, at any depth."""
    types = {"Middleware": written.MiddlewareSpec, "MiddlewareTCP": written.MiddlewareTCPSpec}
    return sorted(set(_words(inspect.type_info(types.get(kind.name, kind.type)), set())))


CUSTOM = [kind for kind in KINDS.values() if kind.routes or kind.name == "ReferenceGrant"]
TEXTS = st.sampled_from(
    ["", "a", "web", "good", "-1", "10m5", "1s", "a@b", "@", "a@kubernetescrd", "../x", "\x00", "é"]
)
NUMBERS = st.sampled_from([0, -1, 80, 1 << 31, 1 << 63, -(1 << 64), 1 << 200, 0.5, 1e308])


@st.composite
def specs(draw: st.DrawFn, words: list[str]) -> Any:
    leaves = st.one_of(st.none(), st.booleans(), TEXTS, NUMBERS)
    return draw(
        st.recursive(
            leaves,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(words), inner, max_size=4),
            max_leaves=12,
        )
    )


@pytest.mark.parametrize("kind", CUSTOM, ids=lambda kind: kind.name)
@settings(max_examples=60)
@given(st.data())
def test_nonsense_of_every_type_in_every_field(kind: Kind, data: st.DataObject) -> None:
    spec = data.draw(specs(words_of(kind)))
    stage = Stage({"kind": kind.name, "metadata": {"name": "bad", "namespace": "default"}, "spec": spec})
    assert {finding.name for finding in stage.findings} <= {"bad"}


@pytest.mark.parametrize("kind", CUSTOM, ids=lambda kind: kind.name)
@pytest.mark.parametrize("spec", [None, [], "x", 1, True], ids=repr)
def test_a_specification_that_is_no_mapping(kind: Kind, spec: Any) -> None:
    stage = Stage({"kind": kind.name, "metadata": {"name": "bad", "namespace": "default"}, "spec": spec})
    if spec is not None:
        assert stage.found == {("bad", "Malformed")}
