"""Endpoints change without a translation wherever nothing else can come of it, and the result is the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.http import Server
from provider.options import TranslationOptions
from provider.pipelines import Pipelines
from provider.resources.decode import from_plain, key_of
from provider.resources.kinds import KINDS, SERVICE, ObjectKey
from provider.store import Store
from provider.translate.guard import Guard
from provider.translate.pools import Pool, Pools, named_pools
from tests.provider.support import Json, endpoints, middleware, route, rule, service

WEB = (service("web"), endpoints("web", "10.1.0.1"))


class Follower:
    """A store, what the providers make of it step by step, and which objects they translated for it."""

    def __init__(self, *objects: Json, **options: Any) -> None:
        self.options = TranslationOptions(**options)
        self.store, self.pipelines = Store(), self._pipelines()
        self.translated: list[ObjectKey] = []
        run = self.pipelines.builders[0]._guard.run
        self.pipelines.builders[0]._guard = Watched(run, self.translated)
        self.apply(*objects)

    def apply(self, *objects: Json, gone: tuple[Json, ...] = ()) -> list[str]:
        """Names of the objects that had to be translated. Asserts that all is as if built from nothing."""
        self.translated.clear()
        for plain in (*objects, *gone):
            kind = KINDS[plain["kind"]]
            resource = from_plain(kind, plain)
            if plain in gone:
                self.store.remove(key_of(kind, resource))
            else:
                self.store.insert(kind, resource)
        self.pipelines.update(self.store, self.store.take_changed())
        self._compare()
        return sorted(key.name for key in self.translated)

    def _compare(self) -> None:
        whole = self._pipelines()
        (builder,) = whole.builders
        whole.sections.update(builder, builder.build_all(self.store))
        assert self.pipelines.findings() == whole.findings()
        assert self.pipelines.sections.encoded == whole.sections.encoded
        assert self.pipelines.builders[0].result(self.store) == builder.result(self.store)

    def _pipelines(self) -> Pipelines:
        return Pipelines({"kubernetescrd": self.options})

    def urls(self) -> list[str]:
        """Of all servers of all services, in order of their names."""
        services = self.pipelines.builders[0].services
        balancers = [services[name].load_balancer for name in sorted(services)]
        return [server.url for one in balancers if one is not None for server in one.servers]


class Watched(Guard):
    def __init__(self, run: Callable[..., Any], translated: list[ObjectKey]) -> None:
        super().__init__()
        self._run, self._translated = run, translated

    def run(self, key: ObjectKey, *rest: Any) -> Any:
        self._translated.append(key)
        return self._run(key, *rest)


def to(name: str, *references: Json, host: str = "a", **more: Any) -> Json:
    return route(name, rule(f"Host(`{host}`)", *(references or ({"name": "web", "port": 80},)), **more))


def test_other_endpoints_translate_nothing() -> None:
    follower = Follower(*WEB, to("r"))
    assert follower.apply(endpoints("web", "10.1.0.2", "10.1.0.3")) == []
    assert follower.urls() == ["http://10.1.0.2:8080", "http://10.1.0.3:8080"]
    follower.pipelines.sections.take_changed_servers()
    assert follower.apply(endpoints("web", "10.1.0.2")) == []
    (name,) = follower.pipelines.sections.take_changed_servers()
    assert name.endswith("@kubernetescrd")


def test_a_terminating_endpoint_is_fenced() -> None:
    follower, piece = Follower(*WEB, to("r")), endpoints("web", "10.1.0.1")
    piece["endpoints"][0]["conditions"] = {"ready": False, "serving": True, "terminating": True}
    assert follower.apply(piece) == []
    (value,) = follower.pipelines.builders[0].services.values()
    assert value.load_balancer is not None
    assert value.load_balancer.servers == [Server(url="http://10.1.0.1:8080", fenced=True)]


@pytest.mark.parametrize("allowed", [False, True])
def test_the_last_endpoint_and_the_first_are_for_the_translator(allowed: bool) -> None:
    follower = Follower(*WEB, to("r"), allow_empty_services=allowed)
    assert follower.apply(endpoints("web")) == ["r"]
    assert (len(follower.pipelines.findings()) > 0) is not allowed
    assert follower.apply(endpoints("web", "10.1.0.9")) == ["r"]
    assert follower.apply(endpoints("web", "10.1.0.8")) == []
    assert follower.apply(gone=(endpoints("web", "10.1.0.8"),)) == ["r"]


def test_another_port_of_the_service_is_for_the_translator() -> None:
    follower = Follower(*WEB, to("r", {"name": "web", "port": 80, "scheme": "h2c"}))
    assert follower.apply(endpoints("web", "10.1.0.1", port=9090)) == []
    assert follower.urls() == ["h2c://10.1.0.1:9090"]
    assert follower.apply(service("web", 80, 443), endpoints("web", "10.1.0.2")) == ["r"]


def test_all_children_of_a_weighted_service_follow() -> None:
    api = (service("api"), endpoints("api", "10.2.0.1"))
    both = to("r", {"name": "web", "port": 80}, {"name": "api", "port": 80})
    follower = Follower(*WEB, *api, both)
    assert follower.apply(endpoints("web", "10.1.0.5"), endpoints("api", "10.2.0.5")) == []
    assert follower.urls() == ["http://10.2.0.5:8080", "http://10.1.0.5:8080"]


def test_a_name_with_two_claims_is_for_the_translator() -> None:
    """Children are named after Service and port alone, so two routes give the same one."""
    web, api = {"name": "web", "port": 80}, {"name": "api", "port": 80}
    follower = Follower(
        *WEB, service("api"), endpoints("api", "10.2.0.1"), to("r", web, api), to("s", web, api, host="b")
    )
    assert follower.apply(endpoints("web", "10.1.0.5")) == ["r", "s"]
    assert follower.apply(gone=(to("s", web, api, host="b"),)) == []
    assert follower.apply(endpoints("web", "10.1.0.6")) == []


def test_one_service_twice_in_an_object() -> None:
    twice = to("r", {"name": "web", "port": 80}, {"name": "web", "port": 80, "scheme": "h2c"})
    follower = Follower(*WEB, twice)
    assert follower.apply(endpoints("web", "10.1.0.2")) == ["r"]
    two_routes = route(
        "r", *(rule(f"Host(`{host}`)", {"name": "web", "port": 80}) for host in ("a", "b")), namespace="default"
    )
    assert follower.apply(two_routes) == ["r"]
    assert follower.apply(endpoints("web", "10.1.0.3")) == []
    assert follower.urls() == ["http://10.1.0.3:8080"] * 2


def test_layer_4_reads_endpoints_in_its_own_way() -> None:
    tcp = {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRouteTCP",
        "metadata": {"name": "t", "namespace": "default"},
        "spec": {"routes": [{"match": "HostSNI(`*`)", "services": [{"name": "web", "port": 80}]}]},
    }
    follower = Follower(*WEB, to("r"), tcp)
    assert follower.apply(endpoints("web", "10.1.0.2")) == ["t"]


def test_a_change_of_endpoints_and_of_the_route_at_once() -> None:
    follower = Follower(*WEB, to("r"), middleware("m", compress={}))
    changed = to("r", middlewares=[{"name": "m"}])
    assert follower.apply(endpoints("web", "10.1.0.2"), changed) == ["r"]
    assert follower.apply(endpoints("web", "10.1.0.3"), service("web", 80, 81)) == ["r"]
    assert follower.urls() == ["http://10.1.0.3:8080"]


def test_endpoints_and_another_claim_at_once() -> None:
    """What the light way encoded is not what counts when a name gets another owner in the same build."""
    web, api = {"name": "web", "port": 80}, {"name": "api", "port": 80}
    more = {**web, "passHostHeader": False}
    follower = Follower(*WEB, service("api"), endpoints("api", "10.2.0.1"), to("a", web, api))
    rival = to("z", {**more, "scheme": "h2c"}, api, host="z")
    assert follower.apply(endpoints("web", "10.1.0.2"), rival) == ["z"]
    assert "h2c://10.1.0.2:8080" in follower.urls()


def test_addresses_that_cannot_be_encoded_are_told() -> None:
    follower = Follower(*WEB, to("r"))
    assert follower.apply(endpoints("web", "10.1.0.\ud800")) == ["r"]
    assert {one.reason for one in follower.pipelines.findings()} == {"InternalError"}
    assert follower.apply(endpoints("web", "10.1.0.2")) == ["r"]
    assert follower.pipelines.findings() == []


def test_pools_of_an_object_are_exchanged_as_a_whole() -> None:
    pools, reader = Pools(), ObjectKey("IngressRoute", "n", "r")
    one, other = Pool("n", "one", "", "http"), Pool("n", "other", "", "http")
    pools.replace(reader, {one.key: (("x", one),)})
    assert pools.of(one.key, reader) == (("x", one),)
    pools.replace(reader, {other.key: (("y", other),)})
    assert pools.of(one.key, reader) == ()
    pools.replace(reader, {})
    assert pools.of(other.key, reader) == ()
    assert not pools._named
    assert not pools._services


def test_what_reads_endpoints_more_often_than_it_has_pools_has_none() -> None:
    assert named_pools([], {ObjectKey(SERVICE.name, "n", "s"): 1}, {}) == {}


ADDRESSES = st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2", "fd00::1"]), max_size=2)
REFERENCES = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["x", "y"]), "port": st.just(80)},
        optional={"scheme": st.just("h2c"), "weight": st.just(2), "passHostHeader": st.just(False)},
    ),
    min_size=1,
    max_size=2,
)


@st.composite
def steps(draw: st.DrawFn) -> Json:
    kind = draw(st.sampled_from(["EndpointSlice"] * 5 + ["IngressRoute", "Service"]))
    name = draw(st.sampled_from(["x", "y"]))
    if kind == "IngressRoute":
        return route(
            name, *(rule(f"Host(`{one}`)", *draw(REFERENCES)) for one in draw(st.sets(HOSTS, min_size=1)))
        )
    if kind == "Service":
        return service(name, *draw(st.sampled_from([(80,), (80, 81)])))
    piece = endpoints(draw(st.sampled_from([name, f"{name}-2"])), *draw(ADDRESSES), of=name)
    for one in piece["endpoints"]:
        one["conditions"] = draw(st.sampled_from([{}, {"serving": False}, {"serving": True, "terminating": True}]))
    return piece


HOSTS = st.sampled_from(["a", "b"])
BASE = (
    *(made for name in ("x", "y") for made in (service(name), endpoints(name, "10.0.0.9"))),
    route("x", rule("Host(`a`)", {"name": "x", "port": 80})),
    route("y", rule("Host(`a`)", {"name": "x", "port": 80}, {"name": "y", "port": 80})),
)


@given(st.booleans(), st.lists(st.lists(steps(), min_size=1, max_size=3), min_size=1, max_size=8))
@settings(max_examples=80, deadline=None)
def test_step_by_step_is_as_from_nothing(empty: bool, batches: list[list[Json]]) -> None:
    follower = Follower(*BASE, allow_empty_services=empty)
    for batch in batches:
        follower.apply(*batch)
