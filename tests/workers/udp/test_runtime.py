"""What becomes of UDP routers, which one serves an entry point, and what a change rebuilds."""

from __future__ import annotations

import logging

import pytest

from config.http import WeightedEntry
from config.layer4 import UDPRouter, UDPService, WeightedServices
from tests.workers.udp.stage import Points, balancer_of
from workers.udp.runtime import NO_ROUTER, UDPRuntime

BALANCER = balancer_of("127.0.0.1:53")
POINTS = Points("log", "dns")


def runtime_of(routers: dict[str, UDPRouter], services: dict[str, UDPService] | None = None) -> UDPRuntime:
    return UDPRuntime().updated(
        {f"{name}@p": router for name, router in routers.items()},
        {f"{name}@p": one for name, one in (services or {"s": BALANCER}).items()},
        POINTS,
    )


def test_no_entry_point_named_means_all_for_udp() -> None:
    runtime = runtime_of({"r": UDPRouter(service="s")})
    assert runtime.routers["r@p"].using == ["dns", "log"]
    assert {name: table.router for name, table in runtime.tables.items()} == {"dns": "r@p", "log": "r@p"}


def test_an_unknown_entry_point_is_a_warning_beside_a_known_one() -> None:
    state = runtime_of({"r": UDPRouter(entry_points=["web", "dns", "web"], service="s")}).routers["r@p"]
    assert (state.status, state.errors) == ("warning", ['entryPoint "web" doesn\'t exist'])
    assert state.using == ["dns"]


def test_using_is_shown_as_it_was_written() -> None:
    state = runtime_of({"r": UDPRouter(entry_points=["log", "dns", "dns"], service="s")}).routers["r@p"]
    assert state.using == ["log", "dns", "dns"]


@pytest.mark.parametrize(
    ("router", "errors"),
    [
        (
            UDPRouter(entry_points=["web"], service="s"),
            ['entryPoint "web" doesn\'t exist', "no valid entryPoint for this router"],
        ),
        (UDPRouter(), ["the service is missing on the udp router"]),
        (UDPRouter(service="x"), ['the UDP service "x@p" does not exist']),
        (UDPRouter(service="s@q"), ['the UDP service "s@q" does not exist']),
    ],
)
def test_a_broken_router_is_disabled_and_serves_nothing(router: UDPRouter, errors: list[str]) -> None:
    runtime = runtime_of({"r": router})
    assert runtime.routers["r@p"].status == "disabled"
    assert runtime.routers["r@p"].errors == errors
    assert set(runtime.tables.values()) == {NO_ROUTER}
    assert NO_ROUTER.pick() is None


@pytest.mark.behaviour("PR-14")
def test_of_several_routers_the_last_by_name_that_can_be_built_serves(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        runtime = runtime_of(
            {
                "a-1": UDPRouter(entry_points=["dns"], service="s"),
                "a-0": UDPRouter(service="s"),
                "z": UDPRouter(entry_points=["dns"], service="missing"),
            }
        )
    assert runtime.tables["dns"].router == "a-1@p"
    assert runtime.tables["log"].router == "a-0@p"
    assert "entry point dns has 3 UDP routers; a-1@p serves it" in caplog.text
    assert "entry point log" not in caplog.text
    without = runtime.updated({"a-1@p": None}, {}, POINTS)
    assert without.tables["dns"].router == "a-0@p"


def test_nothing_changes_nothing() -> None:
    runtime = runtime_of({"r": UDPRouter(service="s")})
    assert runtime.updated({}, {}, POINTS) is runtime


def test_a_runtime_does_not_change_once_made() -> None:
    runtime = runtime_of({"r": UDPRouter(service="s")})
    table = runtime.tables["dns"]
    other = runtime.updated({"r@p": None}, {"s@p": None}, POINTS)
    assert (other.routers, other.services) == ({}, {})
    assert set(other.tables.values()) == {NO_ROUTER}
    assert runtime.tables["dns"] is table
    assert table.pick() == ("127.0.0.1", 53)


def test_only_what_a_change_touches_is_built_again() -> None:
    routers = {
        "r": UDPRouter(entry_points=["dns"], service="s"),
        "q": UDPRouter(entry_points=["log"], service="t"),
    }
    runtime = runtime_of(routers, {"s": BALANCER, "t": BALANCER})
    new = runtime.updated({}, {"s@p": balancer_of("127.0.0.2:53")}, POINTS)
    assert new.tables["dns"].pick() == ("127.0.0.2", 53)
    assert new.tables["log"] is runtime.tables["log"]
    assert new.routers["q@p"] is runtime.routers["q@p"]


def test_a_service_that_comes_later_completes_its_router() -> None:
    runtime = runtime_of({"r": UDPRouter(service="late")})
    assert runtime.routers["r@p"].status == "disabled"
    assert runtime.updated({}, {"late@p": BALANCER}, POINTS).routers["r@p"].status == "enabled"


def test_a_change_below_reaches_the_routers_above() -> None:
    def weighted(name: str) -> UDPService:
        return UDPService(weighted=WeightedServices(services=[WeightedEntry(name=name, weight=1)]))

    runtime = runtime_of({"r": UDPRouter(service="top")}, {"top": weighted("middle"), "middle": weighted("low")})
    assert runtime.routers["r@p"].errors == ['the UDP service "low@p" does not exist']
    new = runtime.updated({}, {"low@p": BALANCER}, POINTS)
    assert new.tables["dns"].pick() == ("127.0.0.1", 53)
    assert new.services["top@p"].status == "enabled"
    assert runtime.services["top@p"].status == "disabled"


def test_others_get_their_turn_between_routers() -> None:
    turns: list[str] = []
    routers = {f"r{number}@p": UDPRouter(service="s") for number in range(5)}
    UDPRuntime().updated(routers, {"s@p": BALANCER}, POINTS, lambda: turns.append("turn"))
    assert len(turns) == 5


def test_other_entry_points_attach_every_router_again() -> None:
    runtime = runtime_of({"r": UDPRouter(service="s"), "q": UDPRouter(entry_points=["log"], service="s")})
    new = runtime.updated({}, {}, Points("dns", "new"))
    assert new.routers["r@p"].using == ["dns", "new"]
    assert new.routers["q@p"].status == "disabled"
    assert new.tables.keys() == {"dns", "new"}
