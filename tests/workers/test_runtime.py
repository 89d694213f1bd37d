"""Routers and services compiled, disabled, and changed at a cost that follows the change."""

from __future__ import annotations

import contextlib
import gc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.http import (
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
    Service,
    WeightedEntry,
)
from config.middlewares import Middleware
from config.middlewares_traffic import RateLimit
from config.static_entrypoint import EncodedCharacters
from config.tls import TLSOptions
from tests.workers.fakes import FakeExchange, balancer, environment, router, servers, weighted
from workers.environment import Environment
from workers.models import Model, encoded_character_check
from workers.proxy import ServiceHandler
from workers.routers import RouterState
from workers.runtime import Changes, Runtime
from workers.tls_state import TLSChanges

P = "@kubernetescrd"
_NO_CHECK = (
    "cannot register g as updater for s@kubernetescrd: healthCheck not enabled in config for this WRR service"
)
_BAD_CODES = (
    "error creating failover service s@kubernetescrd: creating HTTP code ranges: "
    'strconv.Atoi: parsing "x": invalid syntax'
)


def runtime(
    routers: dict[str, Router | None] | None = None,
    services: dict[str, Service | None] | None = None,
    endpoints: dict[str, list[Server] | None] | None = None,
    where: Environment | None = None,
) -> Runtime:
    changes = Changes(
        routers={name + P: one for name, one in (routers or {}).items()},
        services={name + P: one for name, one in (services or {}).items()},
        endpoints={name + P: one for name, one in (endpoints or {}).items()},
    )
    return Runtime(where or environment()).updated(1, changes, lambda: None)


def state_of(config: Router, **members: Any) -> RouterState:
    services = members.pop("services", {"s": balancer()})
    return runtime({"r": config}, services, {"s": servers(1)}, **members).routers["r" + P]


def test_a_good_router_is_mounted_where_it_belongs() -> None:
    made = runtime({"r": router(entry_points=["web"])}, {"s": balancer()}, {"s": servers(1)})
    assert made.routers["r" + P].status == "enabled"
    assert [len(made.tables["web"]), len(made.tables["other"])] == [1, 0]


@pytest.mark.parametrize(
    ("config", "status", "errors"),
    [
        (router(entry_points=["web", "nope"]), "warning", ['entryPoint "nope" doesn\'t exist']),
        (
            router(entry_points=["nope"]),
            "disabled",
            ['entryPoint "nope" doesn\'t exist', "no valid entryPoint for this router"],
        ),
        (router(service="x"), "disabled", ['the service "x@kubernetescrd" does not exist']),
        (router(service="x@file"), "disabled", ['the service "x@file" does not exist']),
        (router(service="x@internal"), "disabled", ["unknown internal service x@internal"]),
        (router(middlewares=["m", "n"]), "disabled", ['middleware "n@kubernetescrd" does not exist']),
        (
            router(service=""),
            "disabled",
            ["router has no service and no child routers", "router must have either a service or child routers"],
        ),
        (
            router(priority=2**63 - 1),
            "disabled",
            ["the router priority 9223372036854775807 exceeds the max user-defined priority 9223372036854774807"],
        ),
        (
            router(tls=RouterTLS(options="o")),
            "disabled",
            ["building router handler: unknown TLS options: o@kubernetescrd"],
        ),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_and_never_served(config: Router, status: str, errors: list[str]) -> None:
    made = runtime({"r": config}, {"s": balancer()}, {"s": servers(1)})
    state = made.routers["r" + P]
    assert (state.status, state.errors) == (status, errors)
    assert len(made.tables["web"]) == (status == "warning")


def test_a_rule_error_names_the_rule() -> None:
    assert state_of(router("Host(")).errors[0].startswith("error while parsing rule Host(: ")


def test_parents_are_not_mounted() -> None:
    assert state_of(router(parent_refs=["p"])).status == "disabled"


def secure(rule: str = "Host(`a`)", option: str = "", **members: Any) -> Router:
    return router(
        rule, tls=RouterTLS(options=option), entry_points=members.pop("entry_points", ["web"]), **members
    )


def with_options(routers: dict[str, Router], where: Environment | None = None, **options: TLSOptions) -> Runtime:
    changes = Changes(
        routers={name + P: one for name, one in routers.items()},
        services={"s" + P: balancer()},
        endpoints={"s" + P: servers(1)},
        tls=TLSChanges(options={name if name == "default" else name + P: one for name, one in options.items()}),
    )
    return Runtime(where or environment()).updated(1, changes, lambda: None)


def described(made: Runtime) -> dict[str, tuple[str, list[str]]]:
    return {name.removesuffix(P): (one.status, one.errors) for name, one in made.routers.items()}


QUARREL = (
    "router's TLSOptions configuration is conflicting with other routers on the same entrypoint and host, "
    "default TLS options will be used instead"
)


@pytest.mark.behaviour("DP-109")
def test_a_quarrel_over_options_makes_copies_with_the_default() -> None:
    made = with_options(
        {
            "c1": secure("Host(`c`) && Path(`/1`)", "strict", entry_points=["web", "other"]),
            "c2": secure("Host(`c`) && Path(`/2`)"),
            "alone": secure("Host(`alone`)", "strict"),
            "hostless": secure("PathPrefix(`/`)", "strict"),
            "not": secure("!Host(`n`)", "strict"),
            "unread": secure("Host(`c`", "strict"),
        },
        strict=TLSOptions(),
    )
    found = described(made)
    assert len(found.pop("unread")[1]) == 2
    assert found == {
        "c1": ("enabled", []),
        "web-conflicted-c1": ("warning", [QUARREL]),
        "web-conflicted-c2": ("enabled", []),
        "alone": ("enabled", []),
        "web-conflicted-hostless": (
            "warning",
            ["no domain found in rule PathPrefix(`/`), the TLS option strict@kubernetescrd cannot be applied"],
        ),
        "web-conflicted-not": (
            "warning",
            ["no domain found in rule !Host(`n`), the TLS option strict@kubernetescrd cannot be applied"],
        ),
    }
    assert made.routers["c1" + P].using == ["other"]
    names = [[made.tls_tables[one].option_name(host) for host in ("c", "alone", "n")] for one in ("web", "other")]
    assert names == [["default", "strict" + P, "default"], ["strict" + P, "default", "default"]]


def test_a_quarrel_disables_where_that_is_asked_for() -> None:
    model = Model()
    where = environment(strict_tls_options=True, models={"web": model, "other": model})
    routers = {
        "c1": secure("Host(`c`) && Path(`/1`)", "strict", entry_points=["web", "other"]),
        "c2": secure("Host(`c`) && Path(`/2`)", service="nope"),
        "hostless": secure("Path(`/`)", "strict"),
    }
    short = QUARREL.partition(", ")[0]
    hostless = "no domain found in rule Path(`/`), the TLS option strict@kubernetescrd cannot be applied"
    assert described(with_options(routers, where, strict=TLSOptions())) == {
        "other-c1": ("enabled", []),
        "web-conflicted-web-c1": ("disabled", [short]),
        "web-conflicted-c2": ("disabled", [short]),
        "web-conflicted-hostless": ("disabled", [short, hostless]),
    }


@pytest.mark.behaviour("DP-110")
def test_an_option_that_cannot_be_used_disables_and_one_that_is_mended_enables() -> None:
    routers = {"u": secure("Host(`u`)", "gone"), "b": secure("Host(`b`)", "broken"), "ok": secure("Host(`ok`)")}
    made = with_options(routers, broken=TLSOptions(cipher_suites=["NOPE"]))
    found = described(made)
    assert found["u"] == ("disabled", ["building router handler: unknown TLS options: gone@kubernetescrd"])
    assert found["b"][1][0].startswith("building router handler: building TLS config: cipherSuites[0]: unknown")
    assert found["ok"] == ("enabled", [])
    assert len(made.secure_tables["web"]) == 1
    mended = TLSChanges(options={"gone" + P: TLSOptions(), "broken" + P: TLSOptions()})
    second = made.updated(2, Changes(tls=mended), lambda: None)
    assert {status for status, _ in described(second).values()} == {"enabled"}
    assert second.routers["ok" + P] is made.routers["ok" + P]


def test_a_broken_default_option_disables_those_that_need_it() -> None:
    routers = {"d": secure("Host(`d`)"), "o": secure("Host(`o`)", "o")}
    found = described(with_options(routers, default=TLSOptions(curve_preferences=["x"]), o=TLSOptions()))
    assert {name: status for name, (status, _) in found.items()} == {"d": "disabled", "o": "enabled"}


def test_an_entry_point_gives_its_tls_to_routers_without() -> None:
    where = environment(models={"web": Model(tls=RouterTLS(options="strict" + P))})
    made = with_options(
        {"plain": router(entry_points=[]), "own": secure("Host(`own`)")}, where, strict=TLSOptions()
    )
    assert {name.removesuffix(P): one.tls_option for name, one in made.routers.items() if one.config.tls} == {
        "web-plain": "strict" + P,
        "own": "default",
    }
    assert [len(made.secure_tables["web"]), len(made.tables["web"]), len(made.tables["other"])] == [2, 0, 1]


@pytest.mark.behaviour("DP-49")
def test_a_router_with_tls_never_answers_plaintext() -> None:
    made = runtime({"r": router(tls=RouterTLS())}, {"s": balancer()}, {"s": servers(1)})
    assert made.routers["r" + P].status == "enabled"
    assert not len(made.tables["web"])


@pytest.mark.parametrize(
    ("service", "error"),
    [
        (Service(), 'the service "s@kubernetescrd" does not have any type defined'),
        (balancer(strategy="x"), 'unsupported load-balancer strategy "x"'),
        (Service(failover=Failover()), 'the service "@kubernetescrd" does not exist'),
        (Service(failover=Failover(service="g", fallback="g")), _NO_CHECK),
        (Service(failover=Failover(service="g", fallback="g", errors=FailoverErrors(status=["x"]))), _BAD_CODES),
        (Service(mirroring=Mirroring(service="gone")), 'the service "gone@kubernetescrd" does not exist'),
        (
            Service(mirroring=Mirroring(service="g", mirrors=[Mirror(name="g", percent=101)])),
            "percent must be between 0 and 100",
        ),
        (
            Service(highest_random_weight=HighestRandomWeight(services=[WeightedEntry(name="gone")])),
            'the service "gone@kubernetescrd" does not exist',
        ),
        (
            balancer(health_check=HealthCheck(interval="x")),
            "health check interval: 'x' is not a duration; write a number",
        ),
        (
            balancer(servers_transport="t"),
            "error building proxy for server URL http://127.0.0.1:1: getting RoundTripper: "
            "servers transport not found t@kubernetescrd",
        ),
        (weighted("x"), 'building HTTP service "x": the service "x@kubernetescrd" does not exist'),
        (
            weighted("s"),
            'building HTTP service "s": could not instantiate service s@kubernetescrd: recursion detected in '
            "service:s@kubernetescrd->service:s@kubernetescrd",
        ),
    ],
    ids=str,
)
def test_a_broken_service_disables_its_routers(service: Service, error: str) -> None:
    errors = state_of(router(), services={"s": service, "g": balancer()}).errors
    assert [one[: len(error)] for one in errors] == [error]


@pytest.mark.parametrize("url", ["ftp://a", "http://a:x", "a:80", "", "http://"])
def test_a_server_that_cannot_be_used_disables_the_service(url: str) -> None:
    made = runtime({"r": router()}, {"s": balancer()}, {"s": [Server(url=url)]})
    assert made.routers["r" + P].status == "disabled"
    assert made.routers["r" + P].errors[0].startswith(f"error parsing server URL {url}: ")


def test_a_broken_service_that_nobody_uses_is_not_looked_at() -> None:
    assert runtime(services={"s": balancer(strategy="x")}).services["s" + P].errors == []


def test_servers_are_exchanged_without_touching_a_router() -> None:
    first = runtime({"r": router()}, {"s": balancer()}, {"s": servers(1)})
    second = first.updated(2, Changes(endpoints={"s" + P: servers(2, 3)}), lambda: None)
    assert second.routers["r" + P] is first.routers["r" + P]
    assert second.tables["web"] is first.tables["web"]
    handler: Any = second.services["s" + P].handler
    exchange = FakeExchange()
    assert {handler.balancer.pick(exchange).port for _ in range(4)} == {2, 3}


def test_a_service_that_appears_heals_its_router() -> None:
    first = runtime({"r": router(), "w": router(service="w")}, {"w": weighted("s")})
    assert {one.status for one in first.routers.values()} == {"disabled"}
    heal = Changes(services={"s" + P: balancer()}, endpoints={"s" + P: servers(1)})
    second = first.updated(2, heal, lambda: None)
    assert {one.status for one in second.routers.values()} == {"enabled"}
    assert {one.status for one in first.routers.values()} == {"disabled"}, "the running one stays as it was"
    third = second.updated(3, Changes(services={"s" + P: None}), lambda: None)
    assert {one.status for one in third.routers.values()} == {"disabled"}
    assert not len(third.tables["web"])


@pytest.mark.behaviour("OP-32")
def test_an_entry_point_with_a_model_gets_its_own_copy() -> None:
    model = Model(encoded_character_check(EncodedCharacters(allow_encoded_slash=False)))
    where = environment(models={"web": model})
    made = runtime({"r": router()}, {"s": balancer()}, {"s": servers(1)}, where)
    assert {name: one.using for name, one in made.routers.items()} == {"r" + P: ["other"], f"web-r{P}": ["web"]}
    gone = made.updated(2, Changes(routers={"r" + P: None}), lambda: None)
    assert not gone.routers
    assert not len(gone.tables["web"])
    alone = runtime({"r": router(entry_points=["web"])}, {"s": balancer()}, {"s": servers(1)}, where)
    assert list(alone.routers) == ["r" + P]


@pytest.mark.parametrize("fails", [False, True])
def test_new_servers_are_asked_when_the_new_routes_are_and_not_before(fails: bool) -> None:
    first = runtime({"r": router()}, {"s": balancer()}, {"s": servers(1)})
    handler = first.services["s" + P].handler
    assert isinstance(handler, ServiceHandler)
    before, seen = handler.balancer, []

    def pause() -> None:
        seen.append(handler.balancer)
        if fails:
            raise KeyError("ours")

    changes = Changes(routers={"r" + P: router("Host(`b`)")}, endpoints={"s" + P: servers(2)})
    with pytest.raises(KeyError) if fails else contextlib.nullcontext():
        first.updated(2, changes, pause)
    assert set(seen) == {before}, "a request meets the old servers while routers are compiled"
    assert (handler.balancer is before) == fails, "nothing of a generation that fails is in force"


NAMES = st.sampled_from("abc")
ROUTERS = st.one_of(
    st.none(),
    st.builds(
        router,
        st.sampled_from(["Host(`a`)", "Host(`a`) || Host(`b`)", "Host(`b`)", "Path(`/x`)", "Nope("]),
        NAMES,
        tls=st.sampled_from([None, None, RouterTLS(), RouterTLS(options="o"), RouterTLS(options="p")]),
        entry_points=st.sampled_from([[], ["web"], ["nope"], ["other", "web"]]),
    ),
)
SERVICES = st.one_of(
    st.none(), st.just(balancer()), st.builds(weighted, NAMES, NAMES), st.just(balancer(strategy="x"))
)
ENDPOINTS: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.just([]), st.builds(servers, st.integers(1, 3)), st.just([Server(url="x")])
)


def _qualified(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(NAMES.map(lambda name: name + P), values, max_size=3)


OPTIONS = st.dictionaries(
    st.sampled_from(["o" + P, "p" + P, "default"]),
    st.sampled_from([None, TLSOptions(), TLSOptions(sni_strict=True), TLSOptions(cipher_suites=["nope"])]),
    max_size=2,
)
CHANGES = st.builds(
    Changes,
    routers=_qualified(ROUTERS),
    services=_qualified(SERVICES),
    endpoints=_qualified(ENDPOINTS),
    tls=st.builds(TLSChanges, options=OPTIONS),
)


@given(st.lists(CHANGES, max_size=6), st.booleans())
def test_step_by_step_ends_where_a_fresh_start_does(steps: list[Changes], has_model: bool) -> None:
    models = {"web": Model(tls=RouterTLS(options="default"))} if has_model else {}
    where = environment(models=models)
    current, total = Runtime(where), Changes()
    for number, step in enumerate(steps):
        current = current.updated(number, step, lambda: None)
        for mine, theirs in (
            (total.routers, step.routers),
            (total.services, step.services),
            (total.endpoints, step.endpoints),
            (total.tls.options, step.tls.options),
        ):
            mine.update(theirs)  # type: ignore[arg-type]
    assert _seen(current) == _seen(Runtime(where).updated(0, total, lambda: None))


def _seen(made: Runtime) -> object:
    """What can be told apart from outside; of error texts (cycles depend on who asks first) only the presence."""
    tables = [
        {name: sorted((route.name, route.rule) for route in table) for name, table in both.items()}
        for both in (made.tables, made.secure_tables)
    ]
    routers = {
        name: (one.status, one.using, one.priority, one.tls_option, one.fall, len(one.errors) > 0)
        for name, one in made.routers.items()
    }
    options = {
        name: [(table.option_name(host), table.option_name(host) in made.tls.settings) for host in "abc"]
        for name, table in made.tls_tables.items()
    }
    services = {name: (one.config, one.servers) for name, one in made.services.items()}
    return tables, routers, options, services


def test_new_servers_do_not_heal_a_service_without_its_middleware() -> None:
    service = msgspec.structs.replace(balancer(), middlewares=["absent"])
    first = runtime({"a": router()}, {"s": service}, {"s": servers(1)})
    second = first.updated(2, Changes(endpoints={"s" + P: servers(2)}), lambda: None)
    third = second.updated(3, Changes(routers={"b" + P: router("Host(`b`)")}), lambda: None)
    missing = [f'middleware "absent{P}" does not exist']
    assert third.services["s" + P].errors == missing
    assert [third.routers[name + P].errors for name in "ab"] == [missing, missing]
    assert {name for name, one in third.routers.items() if one.route is not None} == set()


def test_servers_that_go_are_chosen_until_the_others_are_there() -> None:
    """Building the next configuration lets requests run: they must not see half of it."""
    first = runtime({"a": router()}, {"s": balancer()}, {"s": servers(1, 2)})
    balanced = first.services["s" + P].balanced
    assert balanced is not None
    before = balanced.balancer
    gone = [Server(url=one.url, fenced=True, weight=0) for one in servers(1, 2)]
    seen: list[bool] = []

    def pause() -> None:
        if balanced.balancer is before:
            seen.append(before.is_up and before.pick(FakeExchange()) is not None)

    first.updated(2, Changes(endpoints={"s" + P: gone}, routers={"b" + P: router("Host(`b`)")}), pause)
    assert seen
    assert all(seen)
    assert not balanced.balancer.is_up
    assert balanced.balancer.pick(FakeExchange()) is None


def test_a_service_that_nothing_can_reach_is_not_watched() -> None:
    check = HealthCheck(path="/", interval="1h")
    where = environment()
    broken = msgspec.structs.replace(balancer(health_check=check), middlewares=["absent"])
    first = runtime({"a": router()}, {"s": broken}, {"s": servers(1)}, where)
    assert not where.health._watched
    whole = balancer(health_check=check)
    second = first.updated(2, Changes(services={"s" + P: whole}), lambda: None)
    assert len(where.health._watched) == 1
    second.updated(3, Changes(services={"s" + P: None}), lambda: None)
    assert not where.health._watched


def test_servers_are_watched_while_some_router_leads_to_them() -> None:
    """As in the original: what no router uses is not asked how it is."""
    where = environment()
    checked = balancer(health_check=HealthCheck(path="/", interval="1h"))
    parts: dict[str, Service | None] = {"s": checked, "w": weighted("s"), "t": balancer()}
    made = runtime({"r": router(service="s")}, parts, {"s": servers(1)}, where)

    def watched_with(service: str) -> int:
        nonlocal made
        changes = Changes(routers={"r" + P: router(service=service)})
        made = made.updated(made.number + 1, changes, lambda: None)
        return len(where.health._watched)

    watched = len(where.health._watched)
    monitor = made.services["s" + P].monitor
    assert [watched, *map(watched_with, ("t", "w", "t", "s"))] == [1, 0, 1, 0, 1]
    assert made.services["s" + P].monitor is monitor, "nothing was built again for that"
    other = made.updated(9, Changes(endpoints={"s" + P: servers(2)}), lambda: None)
    assert other.monitors is made.monitors
    other.updated(10, Changes(routers={"r" + P: None}), lambda: None)
    assert not where.health._watched


def test_what_a_change_replaces_is_freed_without_the_collector() -> None:
    """Configuration forms no cycles: it is frozen where the collector does not look (config/collecting.py)."""
    checked = balancer(passive_health_check=PassiveHealthCheck(max_failed_attempts=1, failure_window="1s"))
    limit = Middleware(rate_limit=RateLimit(average=1, period="1s", burst=1))
    made = runtime({"r": router(service="w")}, {"s": balancer(), "w": weighted("s")}, {"s": servers(1)})
    steps = [
        Changes(endpoints={"s" + P: servers(2, 3)}),
        Changes(middlewares={"m" + P: limit}, routers={"r" + P: router("Path(`/x`)", "w", middlewares=["m"])}),
        Changes(services={"s" + P: checked}),
        Changes(services={"s" + P: balancer(strategy="p2c")}),
        Changes(services={"w" + P: weighted("s", "s")}),
        Changes(middlewares={"m" + P: None}),
        Changes(routers={"r" + P: None}, services={"s" + P: None, "w" + P: None}, endpoints={"s" + P: None}),
    ]
    found = []
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for number, changes in enumerate(steps):
            made = made.updated(number, changes, lambda: None)
        gc.collect()
        found = [one for one in gc.garbage if type(one).__module__.startswith(("workers.", "config."))]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not found


def test_copies_for_entry_points_have_budgets_of_their_own() -> None:
    """Where an entry point has a say in its routers each has a copy there, and each copy its own middlewares."""
    limit = Middleware(rate_limit=RateLimit(average=1, period="1h", burst=2))
    where = environment(models={"web": Model()})
    changes = Changes(
        routers={"a" + P: router(middlewares=["limit"])},
        services={"s" + P: weighted()},
        middlewares={"limit" + P: limit},
    )
    made = Runtime(where).updated(1, changes, lambda: None)
    assert sorted(made.routers) == ["a" + P, "web-a" + P]

    def statuses(name: str) -> list[int]:
        exchanges = [from_peer() for _ in range(4)]
        route = made.routers[name].route
        assert route is not None
        for exchange in exchanges:
            route.handler(exchange)
        return [exchange.status for exchange in exchanges]

    assert statuses("web-a" + P) == [503, 503, 429, 429]  # the service has nobody
    assert statuses("a" + P) == [503, 503, 429, 429]


def from_peer() -> FakeExchange:
    exchange = FakeExchange()
    exchange.request.client = type("Peer", (), {"ip": "10.1.2.3"})()
    return exchange
