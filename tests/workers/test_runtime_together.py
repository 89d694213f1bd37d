"""Changes that come in one generation although they concern different things: none may be lost for another."""

from __future__ import annotations

from config.http import ServersTransport
from config.middlewares import AddPrefix, Middleware
from tests.workers.fakes import balancer, environment, router, servers
from workers.runtime import Changes, Runtime

P = "@kubernetescrd"


def start(**members: object) -> Runtime:
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
