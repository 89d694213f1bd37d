"""Every client has its lane, and keeps it when the number of lanes changes, as far as that is possible."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from config.control_page import SLOT_COUNT
from master.datagrams import datagram_socket
from master.flow_steering import program, steer_flows
from tests.master.flows import lanes_of

CLIENTS = 200
Group = Callable[[int, str], list[socket.socket]]


@pytest.fixture
def group() -> Iterator[Group]:
    """`group(3, "::1")` gives three sockets on one port."""
    opened: list[socket.socket] = []

    def make(count: int, host: str = "127.0.0.1") -> list[socket.socket]:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        port = 0
        for _ in range(count):
            opened.append(datagram_socket(family, (host, port), None, is_probe=False))
            port = opened[-1].getsockname()[1]
        return opened[-count:]

    yield make
    for sock in opened:
        sock.close()


@pytest.fixture
def clients() -> Iterator[Callable[[str], list[socket.socket]]]:
    opened: list[socket.socket] = []

    def make(host: str) -> list[socket.socket]:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        for _ in range(CLIENTS):
            opened.append(socket.socket(family, socket.SOCK_DGRAM))
            opened[-1].bind((host, 0))
        return opened[-CLIENTS:]

    yield make
    for sock in opened:
        sock.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_client_keeps_its_lane_and_lanes_share_the_clients(
    group: Group, clients: Callable[[str], list[socket.socket]], host: str
) -> None:
    lanes, mine = group(4, host), clients(host)
    address = lanes[0].getsockname()
    steer_flows(lanes[0], 4)
    first = lanes_of(mine, address, lanes)
    assert lanes_of(mine, address, lanes) == first
    assert min(Counter(first).values()) > CLIENTS / 4 / 3
    assert set(first) == {0, 1, 2, 3}


def test_both_families_of_one_socket_are_spread(
    group: Group, clients: Callable[[str], list[socket.socket]]
) -> None:
    lanes = group(2, "::")
    steer_flows(lanes[0], 2)
    port = lanes[0].getsockname()[1]
    for host in ("127.0.0.1", "::1"):
        assert set(lanes_of(clients(host), (host, port), lanes)) == {0, 1}


def test_one_lane_more_moves_its_share_only(group: Group, clients: Callable[[str], list[socket.socket]]) -> None:
    lanes, mine = group(8, "127.0.0.1"), clients("127.0.0.1")
    address = lanes[0].getsockname()
    before: list[int] = []
    for count in range(1, 9):
        steer_flows(lanes[0], count)
        now = lanes_of(mine, address, lanes)
        moved = [new for old, new in zip(before, now, strict=False) if old != new]
        assert set(moved) <= {count - 1}, "only to the new lane"
        assert len(moved) < 2.2 * CLIENTS / count
        before = now
    assert set(before) == set(range(8))
    for count in range(7, 0, -1):
        steer_flows(lanes[0], count)
        now = lanes_of(mine, address, lanes)
        assert all(old in (count, new) for old, new in zip(before, now, strict=True)), "and back"
        before = now


def test_addresses_count_as_well_as_ports(group: Group) -> None:
    """Clients behind different addresses with one source port are spread too."""
    lanes = group(2, "0.0.0.0")
    steer_flows(lanes[0], 2)
    mine: list[socket.socket] = []
    for number in range(64):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        client.bind((f"127.0.1.{number + 1}", mine[0].getsockname()[1] if mine else 0))
        mine.append(client)
    assert set(lanes_of(mine, ("127.0.0.1", lanes[0].getsockname()[1]), lanes)) == {0, 1}
    for client in mine:
        client.close()


def test_as_many_lanes_as_there_can_be_fit(group: Group) -> None:
    steer_flows(group(1, "127.0.0.1")[0], SLOT_COUNT)
    with pytest.raises(ValueError, match="cannot be steered"):
        program(1000, 0)
