"""Servers transports of the dynamic configuration: who gets them, who is built again when they change."""

from __future__ import annotations

from config.http import ServersTransport, Spiffe
from tests.workers.fakes import balancer, environment, router, servers
from workers.runtime import Changes, Runtime

P = "@kubernetescrd"


def start() -> Runtime:
    changes = Changes(
        routers={"own" + P: router(service="own"), "other" + P: router(service="other")},
        services={"own" + P: balancer(servers_transport="t"), "other" + P: balancer()},
        endpoints={"own" + P: servers(1), "other" + P: servers(2)},
    )
    return Runtime(environment()).updated(1, changes, lambda: None)


def changed(before: Runtime, config: ServersTransport | None) -> Runtime:
    return before.updated(2, Changes(servers_transports={"t" + P: config}), lambda: None)


def errors(made: Runtime, name: str) -> list[str]:
    return made.routers[name + P].errors


def test_a_transport_that_appears_heals_those_who_name_it_and_nobody_else() -> None:
    missing = start()
    assert errors(missing, "own") == [
        "error building proxy for server URL http://127.0.0.1:1: getting RoundTripper: "
        "servers transport not found t@kubernetescrd"
    ]
    healed = changed(missing, ServersTransport())
    assert not errors(healed, "own")
    assert healed.routers["other" + P] is missing.routers["other" + P]
    handler = healed.services["own" + P].balanced
    assert handler is not None
    assert handler._transport is healed.transports["t" + P]
    assert errors(changed(healed, None), "own") == errors(missing, "own")


def test_a_transport_that_cannot_be_used_disables_those_who_name_it() -> None:
    broken = changed(start(), ServersTransport(spiffe=Spiffe()))
    assert errors(broken, "own")[0].startswith(
        "error building proxy for server URL http://127.0.0.1:1: getting RoundTripper: "
        "servers transport t@kubernetescrd cannot be used: spiffe: "
    )
    assert not errors(broken, "other")
    assert not errors(changed(broken, ServersTransport()), "own")


def test_what_a_change_replaces_is_closed_and_the_rest_lives_on() -> None:
    before = changed(start(), ServersTransport())
    former = before.transports["t" + P]
    after = changed(before, ServersTransport(disable_http2=True))
    assert after.transports["t" + P] is not former
    assert former._closed
    default = "default@internal"
    assert after.transports[default] is before.transports[default]
    assert not after.transports[default]._closed
