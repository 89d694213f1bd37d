"""UDP services: addresses, weights, nesting, and the original's words for what is wrong."""

from __future__ import annotations

import logging
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.http import WeightedEntry
from config.layer4 import UDPLoadBalancer, UDPService, WeightedServices
from tests.workers.udp.stage import balancer_of
from workers.building import DEEPEST_NESTING, BuildError
from workers.udp.services import UDPServiceBuilder, UDPServiceState, UDPTarget
from workers.upstream.balancer import Nested


def weighted(**weights: int | None) -> UDPService:
    return UDPService(
        weighted=WeightedServices(services=[WeightedEntry(name=name, weight=one) for name, one in weights.items()])
    )


def built(name: str, **services: UDPService) -> Nested[UDPTarget]:
    states = {f"{key}@p": UDPServiceState(f"{key}@p", value) for key, value in services.items()}
    return UDPServiceBuilder(states, Random(1)).balancer(f"{name}@p")


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("10.0.0.1:53", ("10.0.0.1", 53)),
        ("[fd00::1]:53", ("fd00::1", 53)),
        ("dns.example:5353", ("dns.example", 5353)),
        (":53", ("localhost", 53)),
    ],
)
def test_addresses(address: str, target: tuple[str, int]) -> None:
    assert UDPTarget.of(address) == target


@pytest.mark.parametrize("address", ["10.0.0.1", "", "fd00::1:53", "a:0", "a:65536", "a:dns", "a:-1", "a:"])
def test_addresses_that_cannot_be_used_are_left_out(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        balancer = built("s", s=balancer_of(address, "10.0.0.1:53"))
    assert [balancer.pick() for _ in range(2)] == [("10.0.0.1", 53)] * 2
    assert f"UDP service s@p: server {address} is left out" in caplog.text


@given(st.text() | st.from_regex(r"\A\[?[0-9a-z:.]*\]?:[0-9]{0,6}\Z"))
def test_any_text_is_an_address_or_a_clear_error(text: str) -> None:
    try:
        target = UDPTarget.of(text)
    except ValueError:
        return
    assert target.host
    assert 0 < target.port < 65536


def test_servers_in_turn() -> None:
    balancer = built("s", s=balancer_of("a:1", "b:1", "c:1"))
    assert Counter(balancer.pick() for _ in range(9)) == Counter({("a", 1): 3, ("b", 1): 3, ("c", 1): 3})


def test_weights_and_nested_services() -> None:
    balancer = built(
        "top",
        top=weighted(inner=3, c=None, never=0),
        inner=weighted(a=2, b=1),
        a=balancer_of("a:1"),
        b=balancer_of("b:1"),
        c=balancer_of("c:1"),
        never=balancer_of("never:1"),
    )
    assert Counter(balancer.pick() for _ in range(12)) == Counter({("a", 1): 6, ("b", 1): 3, ("c", 1): 3})


def test_no_second_service_is_tried_for_one_without_servers() -> None:
    balancer = built("top", top=weighted(full=1, empty=1), full=balancer_of("a:1"), empty=balancer_of())
    assert Counter(balancer.pick() for _ in range(4)) == Counter({("a", 1): 2, None: 2})


@pytest.mark.parametrize("service", [balancer_of(), weighted(), weighted(a=0)])
def test_nothing_to_choose(service: UDPService) -> None:
    assert built("s", s=service, a=balancer_of("a:1")).pick() is None


def test_errors_in_the_words_of_the_original() -> None:
    both = UDPService(load_balancer=UDPLoadBalancer(), weighted=WeightedServices())
    for services, message in (
        ({}, 'the UDP service "s@p" does not exist'),
        ({"s": UDPService()}, 'the UDP service "s@p" does not have any type defined'),
        ({"s": weighted(a=1)}, 'the UDP service "a@p" does not exist'),
        (
            {"s": both},
            "cannot create service: multi-types service not supported, "
            "consider declaring two different pieces of service instead",
        ),
    ):
        with pytest.raises(BuildError) as raised:
            built("s", **services)
        assert str(raised.value) == message


def test_a_service_within_itself_is_an_error_of_all_that_contain_it() -> None:
    services = {"s": weighted(a=1), "a": weighted(b=1), "b": weighted(a=1)}
    states = {f"{key}@p": UDPServiceState(f"{key}@p", value) for key, value in services.items()}
    with pytest.raises(BuildError, match="recursion detected in a@p->b@p->a@p"):
        UDPServiceBuilder(states).balancer("s@p")
    assert {state.status for state in states.values()} == {"disabled"}


def test_services_nested_without_end_are_an_error_of_one_router_alone() -> None:
    depth = 2000
    services = {f"s{level}": weighted(**{f"s{level + 1}": 1}) for level in range(depth)}
    states = {f"{key}@p": UDPServiceState(f"{key}@p", value) for key, value in services.items()}
    with pytest.raises(BuildError, match=f"more than {DEEPEST_NESTING} services in each other"):
        UDPServiceBuilder(states).balancer("s0@p")


def test_an_error_of_a_child_is_its_parents_too() -> None:
    states = {
        "top@p": UDPServiceState("top@p", weighted(none=1)),
        "none@p": UDPServiceState("none@p", UDPService()),
        "unused@p": UDPServiceState("unused@p", UDPService()),
    }
    with pytest.raises(BuildError):
        UDPServiceBuilder(states).balancer("top@p")
    assert states["top@p"].errors == states["none@p"].errors
    assert states["unused@p"].status == "enabled", "nobody has asked for it"
