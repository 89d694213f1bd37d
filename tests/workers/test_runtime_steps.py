"""Changes of every kind, one after the other: what is served is what a fresh start would serve.

Compared are the tables and what their handlers are made of, down to servers and transports, so that nothing of a
former configuration can be left behind in one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.http import (
    Cookie,
    Failover,
    FailoverErrors,
    HealthCheck,
    HighestRandomWeight,
    Mirror,
    Mirroring,
    PassiveHealthCheck,
    Router,
    RouterTLS,
    Server,
    ServersTransport,
    Service,
    Spiffe,
    Sticky,
    WeightedEntry,
)
from config.middlewares import Chain, Middleware
from config.middlewares_paths import AddPrefix
from config.middlewares_responses import Errors
from config.middlewares_traffic import Retry
from config.tls import TLSOptions
from tests.workers.fakes import balancer, environment, router, servers, weighted
from tests.workers.shapes import Shapes
from workers import pacing
from workers.models import Model
from workers.runtime import Changes, Runtime
from workers.tls_state import TLSChanges
from workers.upstream.health import milliseconds

P = "@kubernetescrd"
NAMES = st.sampled_from("abcd")
LISTS = st.lists(NAMES, max_size=2)
ROUTER_NAMES = st.sampled_from(
    ["a", "b", "c", "web-a", "web-conflicted-a", "conflicted-a", "other-b", "web-web-a"]
)
CHECK = HealthCheck(path="/", interval="1h")
PASSIVE = PassiveHealthCheck(max_failed_attempts=1, failure_window="1s")
PARTS = ("routers", "services", "endpoints", "middlewares", "servers_transports")


def _maybe(*kinds: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One of them, or seldom none."""
    return st.integers(0, 4).flatmap(lambda number: st.one_of(*kinds) if number else st.none())


def _entries(names: list[str]) -> list[WeightedEntry]:
    return [WeightedEntry(name=name, weight=1) for name in names]


ROUTERS = _maybe(
    st.builds(
        router,
        st.sampled_from(["Host(`a`)", "Host(`a`) || Host(`b`)", "Host(`b`)", "Path(`/x`)", "Nope("]),
        NAMES,
        middlewares=LISTS,
        tls=st.sampled_from([None, None, RouterTLS(), RouterTLS(options="o"), RouterTLS(options="p")]),
        entry_points=st.sampled_from([[], ["web"], ["nope"], ["other", "web"]]),
    ),
    st.builds(router, st.just("PathPrefix(`/p`)"), st.just(""), middlewares=LISTS),
    st.builds(
        router,
        st.sampled_from(["Path(`/p/1`)", "Path(`/p/2`)"]),
        st.one_of(st.just(""), NAMES),
        parent_refs=st.lists(ROUTER_NAMES, min_size=1, max_size=2),
    ),
)
BALANCERS = st.builds(
    balancer,
    servers_transport=st.sampled_from(["", "t", "u"]),
    health_check=st.sampled_from([None, CHECK]),
    passive_health_check=st.sampled_from([None, PASSIVE]),
    strategy=st.sampled_from(["", "p2c", "x"]),
    sticky=st.sampled_from([None, Sticky(cookie=Cookie(name="c"))]),
)
COMPOSED = st.one_of(
    st.builds(weighted, NAMES, NAMES),
    LISTS.map(lambda names: Service(highest_random_weight=HighestRandomWeight(services=_entries(names)))),
    st.builds(
        lambda main, mirror: Service(mirroring=Mirroring(service=main, mirrors=[Mirror(name=mirror, percent=9)])),
        NAMES,
        NAMES,
    ),
    st.builds(
        lambda main, fallback, errors: Service(failover=Failover(service=main, fallback=fallback, errors=errors)),
        NAMES,
        NAMES,
        st.sampled_from([None, FailoverErrors(status=["500"])]),
    ),
)
SERVICES = _maybe(
    st.builds(
        lambda service, names: msgspec.structs.replace(service, middlewares=names),
        st.one_of(BALANCERS, COMPOSED),
        st.one_of(st.just([]), LISTS),
    )
)
ENDPOINTS: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.just([]), st.builds(servers, st.integers(1, 3), st.integers(4, 5)), st.just([Server(url="x")])
)
MIDDLEWARES = _maybe(
    st.sampled_from(["/a", "/b", ""]).map(lambda prefix: Middleware(add_prefix=AddPrefix(prefix=prefix))),
    NAMES.map(lambda name: Middleware(errors=Errors(status=["500"], service=name, query="/"))),
    LISTS.map(lambda names: Middleware(chain=Chain(middlewares=names))),
    st.sampled_from([Middleware(), Middleware(retry=Retry(attempts=2))]),
)
TRANSPORTS: st.SearchStrategy[Any] = st.sampled_from(
    [None, ServersTransport(), ServersTransport(disable_http2=True), ServersTransport(spiffe=Spiffe())]
)
OPTIONS = st.dictionaries(
    st.sampled_from(["o" + P, "p" + P, "default"]),
    st.sampled_from([None, TLSOptions(), TLSOptions(sni_strict=True), TLSOptions(cipher_suites=["nope"])]),
    max_size=2,
)


def _changes(most: int, least: int = 0) -> st.SearchStrategy[Changes]:
    def some(values: st.SearchStrategy[Any], names: st.SearchStrategy[str] = NAMES) -> st.SearchStrategy[Any]:
        full = st.dictionaries(names.map(lambda name: name + P), values, min_size=least, max_size=most)
        return full if least else st.one_of(st.just({}), full)

    return st.builds(
        Changes,
        routers=some(ROUTERS, ROUTER_NAMES),
        services=some(SERVICES),
        endpoints=some(ENDPOINTS),
        middlewares=some(MIDDLEWARES),
        servers_transports=st.dictionaries(st.sampled_from(["t" + P, "u" + P]), TRANSPORTS, max_size=2),
        tls=st.builds(TLSChanges, options=OPTIONS),
    )


STEPS = st.lists(st.one_of(_changes(4, least=2), _changes(2), _changes(2)), min_size=2, max_size=6)
MODELS = st.sampled_from([{}, {"web": Model(tls=RouterTLS(options="default"))}])


def seen(made: Runtime) -> dict[str, Any]:
    """What can be told apart from outside; of error texts (rings depend on who asks first) only the presence."""
    shapes = Shapes({id(one): f"transport {name}" for name, one in made.transports.items()})
    tables = [
        {
            name: {one.name: shapes.of(one) for one in sorted(table, key=lambda one: one.name)}
            for name, table in both.items()
        }
        for both in (made.tables, made.secure_tables)
    ]
    routers = {
        name: (
            one.status,
            one.using,
            one.tls_option,
            one.fall,
            one.services,
            one.middlewares,
            len(one.errors) > 0,
        )
        for name, one in made.routers.items()
    }
    middlewares = {name: one.config for name, one in made.middlewares.items()}
    options = {name: [one.option_name(host) for host in "abc"] for name, one in made.tls_tables.items()}
    services = {name: (one.config, one.servers) for name, one in made.services.items()}
    return {
        "tables": tables,
        "routers": routers,
        "services": services,
        "middlewares": middlewares,
        "options": options,
        "children": made.children,
        "endpoints": made.endpoints.copy(),
        "checked": made.checked,
    }


def add(total: Changes, step: Changes) -> None:
    for part in PARTS:
        getattr(total, part).update(getattr(step, part))
    total.tls.options.update(step.tls.options)


def without_those_never_there(total: Changes, step: Changes) -> Changes:
    """A generation only takes away what there is."""

    def real(new: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in new.items() if value is not None or known.get(name) is not None}

    return Changes(
        **{part: real(getattr(step, part), getattr(total, part)) for part in PARTS},
        tls=TLSChanges(options=real(step.tls.options, total.tls.options)),
    )


def none_of(total: Changes) -> Changes:
    gone = {part: dict.fromkeys(getattr(total, part)) for part in PARTS}
    return Changes(**gone, tls=TLSChanges(options=dict.fromkeys(total.tls.options)))


@given(STEPS, MODELS)
@settings(max_examples=100)
def test_every_step_ends_where_a_fresh_start_does(steps: list[Changes], models: dict[str, Model]) -> None:
    where = environment(models=models)
    current, total = Runtime(where), Changes()
    for number, given_step in enumerate(steps):
        step = without_those_never_there(total, given_step)
        current = current.updated(number, step, lambda: None)
        add(total, step)
        fresh = Runtime(environment(models=models)).updated(0, total, lambda: None)
        assert seen(current) == seen(fresh)
        assert current.monitors.keys() >= fresh.monitors.keys()
        assert len(where.health._watched) == len(current.monitors)
    empty = current.updated(99, none_of(total), lambda: None)
    assert not where.health._watched
    assert not any((empty.routers, empty.services, empty.middlewares, empty.endpoints, empty.checked))


class Ours(Exception):
    """Something that nobody thought of."""


def _failing_at(call: int) -> Callable[[], None]:
    left = [call]

    def pause() -> None:
        left[0] -= 1
        if not left[0]:
            raise Ours

    return pause


@given(STEPS, st.lists(st.integers(1, 60), min_size=6, max_size=6))
@settings(max_examples=60)
def test_a_change_that_fails_has_touched_nothing(steps: list[Changes], fails_at: list[int]) -> None:
    where = environment()
    current, total = Runtime(where), Changes()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pacing, "ITEMS_AT_ONCE", 1)
        for number, (step, call) in enumerate(zip(steps, fails_at, strict=False)):
            before, watched = seen(current), len(where.health._watched)
            try:
                current = current.updated(number, step, _failing_at(call))
            except Ours:
                assert seen(current) == before
                assert len(where.health._watched) == watched
                current = current.updated(number, step, lambda: None)
            add(total, step)
            assert seen(current) == seen(Runtime(environment()).updated(0, total, lambda: None))


def start(routers: dict[str, Router], services: dict[str, Service], **more: Any) -> Runtime:
    where = more.pop("where", environment())
    changes = Changes(
        routers={name + P: one for name, one in routers.items()},
        services={name + P: one for name, one in services.items()},
        endpoints={name + P: servers(1) for name in services},
        **more,
    )
    return Runtime(where).updated(1, changes, lambda: None)


def test_a_child_that_leaves_its_parent_is_not_served_behind_it_any_more() -> None:
    child = router("Path(`/p`)", parent_refs=["root"])
    made = start({"root": router(service=""), "child": child}, {"s": balancer()})
    assert made.routers["root" + P].status == "enabled"
    alone = made.updated(2, Changes(routers={"child" + P: router("Path(`/other`)")}), lambda: None)
    assert alone.routers["root" + P].status == "disabled"
    assert [len(alone.tables[name]) for name in ("web", "other")] == [1, 1]
    second = router(service="")
    moved = Changes(
        routers={"second" + P: second, "child" + P: router("Path(`/p`)", parent_refs=["second"])},
    )
    after = made.updated(2, moved, lambda: None)
    assert [after.routers[name + P].status for name in ("root", "second")] == ["disabled", "enabled"]


def test_a_parent_that_is_not_there_takes_nobodys_copy_with_it() -> None:
    """The copy of `a` for an entry point is called as the child says that its parent is."""
    where = environment(models={"web": Model()})
    made = start({"a": router()}, {"s": balancer()}, where=where)
    assert sorted(made.routers) == ["a" + P, f"web-a{P}"]
    orphan = Changes(routers={"child" + P: router("Path(`/p`)", parent_refs=["web-a"])})
    after = made.updated(2, orphan, lambda: None)
    assert sorted(after.routers) == ["a" + P, "child" + P, f"web-a{P}"]
    assert len(after.tables["web"]) == 1


def test_servers_are_watched_once_a_missing_option_has_come() -> None:
    where = environment()
    routers = {"r": router(tls=RouterTLS(options="o"))}
    made = start(routers, {"s": balancer(health_check=CHECK)}, where=where)
    assert not where.health._watched
    made.updated(2, Changes(tls=TLSChanges(options={"o" + P: TLSOptions()})), lambda: None)
    assert len(where.health._watched) == 1


def test_a_middleware_is_not_blamed_for_what_a_service_could_not_do_before() -> None:
    pages = {"m" + P: Middleware(errors=Errors(status=["500"], service="late", query="/"))}
    service = msgspec.structs.replace(balancer(), middlewares=["m"])
    made = start({"r": router()}, {"s": service}, middlewares=pages)
    assert made.middlewares["m" + P].status == "disabled"
    late = Changes(services={"late" + P: balancer()})
    after = made.updated(2, late, lambda: None)
    assert after.routers["r" + P].status == "enabled"
    assert after.middlewares["m" + P].status == "enabled"
    again = after.updated(3, Changes(services={"late" + P: None}), lambda: None)
    assert again.middlewares["m" + P].status == "disabled"
    gone = again.updated(4, Changes(routers={"r" + P: None}, services={"s" + P: None}), lambda: None)
    assert gone.middlewares["m" + P].status == "enabled"


def test_nothing_is_kept_for_servers_that_nobody_watches() -> None:
    """Other servers for a service that no router leads to, one of whose servers is shunned."""
    where = environment()
    made = start({"r": router()}, {"s": balancer(passive_health_check=PASSIVE)}, where=where)
    state = made.services["s" + P]
    assert state.monitor is not None
    assert state.balanced is not None
    (candidate,) = state.balanced.balancer.candidates
    state.monitor._ledger.shun(candidate.name, milliseconds() + 3_600_000)
    assert not candidate.is_up
    assert len(where.health._shunning) == 1
    unused = made.updated(2, Changes(routers={"r" + P: None}), lambda: None)
    more = unused.updated(3, Changes(endpoints={"s" + P: servers(1, 2)}), lambda: None)
    assert not where.health._shunning
    more.updated(4, Changes(routers={"r" + P: router()}), lambda: None)
    assert [one.is_up for one in state.balanced.balancer.candidates] == [False, True], "it is known all the same"
    more.updated(5, Changes(services={"s" + P: None}), lambda: None)
