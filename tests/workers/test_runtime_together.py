"""Changes that come in one generation although they concern different things: none may be lost for another."""

from __future__ import annotations

import pytest
from msgspec import structs

from config.http import ServersTransport, Service
from config.middlewares import Middleware
from config.middlewares_paths import AddPrefix
from config.middlewares_traffic import CircuitBreaker, RateLimit, Redis
from tests.workers.fakes import balancer, environment, router, servers
from workers.middlewares import BUILDERS
from workers.runtime import Changes, Runtime

P = "@kubernetescrd"


def with_middleware(name: str) -> Service:
    service = balancer(servers_transport="t")
    return structs.replace(service, middlewares=[name])


def start() -> Runtime:
    changes = Changes(
        routers={"r" + P: router(service="s")},
        services={"s" + P: balancer(servers_transport="t")},
        endpoints={"s" + P: servers(1)},
        servers_transports={"t" + P: ServersTransport()},
    )
    return Runtime(environment()).updated(1, changes, lambda: None)


def served(made: Runtime) -> list[str]:
    handler = made.services["s" + P].balanced
    assert handler is not None
    return [one.name for one in handler.balancer.candidates]


def test_new_servers_together_with_a_new_transport() -> None:
    changes = Changes(
        servers_transports={"t" + P: ServersTransport(disable_http2=True)}, endpoints={"s" + P: servers(2)}
    )
    assert served(start().updated(2, changes, lambda: None)) == ["http://127.0.0.1:2"]


def test_new_servers_together_with_a_new_middleware_of_the_service() -> None:
    before = start().updated(
        2,
        Changes(
            services={"s" + P: with_middleware("m")},
            middlewares={"m" + P: Middleware(add_prefix=AddPrefix(prefix="/a"))},
        ),
        lambda: None,
    )
    changes = Changes(
        middlewares={"m" + P: Middleware(add_prefix=AddPrefix(prefix="/b"))}, endpoints={"s" + P: servers(2)}
    )
    assert served(before.updated(3, changes, lambda: None)) == ["http://127.0.0.1:2"]


def test_a_service_without_its_middleware_stays_out_of_service_when_its_servers_change() -> None:
    def with_servers(port: int) -> Changes:
        return Changes(endpoints={"s" + P: servers(port)})

    def with_rule(rule: str) -> Changes:
        return Changes(routers={"r" + P: router(service="s", rule=rule)})

    missing = Changes(services={"s" + P: with_middleware("m")})
    made = start().updated(2, missing, lambda: None)
    errors = made.services["s" + P].errors
    assert errors == ['middleware "m@kubernetescrd" does not exist']
    made = made.updated(3, with_servers(2), lambda: None)
    assert made.services["s" + P].errors == errors
    made = made.updated(4, with_rule("Path(`/new`)"), lambda: None)
    assert made.routers["r" + P].errors == errors


@pytest.mark.parametrize(
    "broken",
    [
        Middleware(rate_limit=RateLimit(average=1, period="often")),
        Middleware(rate_limit=RateLimit(average=1, redis=Redis(read_timeout="long"))),
        Middleware(circuit_breaker=CircuitBreaker(expression="RequestThreshold() > 1", check_period="often")),
    ],
    ids=["period", "redis", "breaker"],
)
def test_a_middleware_with_an_unreadable_duration_disables_its_routers_and_holds_up_nobody(
    broken: Middleware,
) -> None:
    changes = Changes(
        routers={
            "r" + P: structs.replace(router(service="s"), middlewares=["m"]),
            "other" + P: router(service="s", rule="Path(`/other`)"),
        },
        middlewares={"m" + P: broken},
    )
    made = start().updated(2, changes, lambda: None)
    assert made.routers["r" + P].route is None
    assert "is not a duration" in made.routers["r" + P].errors[0]
    assert made.routers["other" + P].route is not None


def test_a_middleware_whose_builder_fails_in_a_way_nobody_thought_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(options: object, context: object) -> None:
        raise ZeroDivisionError("what now")

    monkeypatch.setitem(BUILDERS, "addPrefix", fail)
    changes = Changes(
        routers={"r" + P: structs.replace(router(service="s"), middlewares=["m"])},
        middlewares={"m" + P: Middleware(add_prefix=AddPrefix(prefix="/a"))},
    )
    made = start().updated(2, changes, lambda: None)
    assert made.routers["r" + P].route is None
    assert made.routers["r" + P].errors == ['middleware "m@kubernetescrd": what now']
