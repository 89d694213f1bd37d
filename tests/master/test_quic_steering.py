"""Packets of QUIC go to the worker that their connection id names, and first packets to one for each client."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from config.control_page import SLOT_COUNT
from master.datagrams import datagram_socket
from master.flow_steering import steer_flows
from master.quic_steering import connection_program, steer_connections
from tests.waiting import wait_until
from workers.http3.identifiers import Identifiers

LANES = 4


@pytest.fixture(params=["127.0.0.1", "::1"])
def lanes(request: pytest.FixtureRequest) -> Iterator[list[socket.socket]]:
    """Sockets of one port, for each lane one."""
    host = request.param
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = [datagram_socket(family, (host, 0), None, is_probe=False)]
    port = opened[0].getsockname()[1]
    opened += [datagram_socket(family, (host, port), None, is_probe=False) for _ in range(LANES - 1)]
    yield opened
    for sock in opened:
        sock.close()


def lane_of(packet: bytes, lanes: list[socket.socket]) -> int:
    """Where a packet from a new port arrives."""

    def found() -> list[int]:
        taken = []
        for lane, sock in enumerate(lanes):
            try:
                assert sock.recv(2000) == packet
            except BlockingIOError:
                continue
            taken.append(lane)
        return taken

    with socket.socket(lanes[0].family, socket.SOCK_DGRAM) as client:
        client.sendto(packet, lanes[0].getsockname())
        (lane,) = wait_until(found, what="the packet arrives")
    return lane


def short(lane: int) -> bytes:
    return b"\x41" + Identifiers(lane, 9, b"").make() + os.urandom(30)


def long() -> bytes:
    return b"\xc1" + os.urandom(100)


def test_a_connection_stays_where_it_is_wherever_its_client_goes(lanes: list[socket.socket]) -> None:
    steer_connections(lanes[0], LANES)
    for lane in range(LANES):
        assert {lane_of(short(lane), lanes) for _ in range(10)} == {lane}
    assert {lane_of(long(), lanes) for _ in range(60)} == set(range(LANES))


def test_a_lane_out_of_use_gets_nothing(lanes: list[socket.socket]) -> None:
    steer_connections(lanes[0], 2)
    assert {lane_of(short(3), lanes) for _ in range(40)} == {0, 1}
    assert {lane_of(long(), lanes) for _ in range(40)} == {0, 1}
    assert lane_of(b"\x41", lanes) in (0, 1)


def test_a_first_packet_goes_where_the_same_client_s_flow_would(lanes: list[socket.socket]) -> None:
    with socket.socket(lanes[0].family, socket.SOCK_DGRAM) as client:
        found = []
        for steer in (steer_connections, steer_flows):
            steer(lanes[0], LANES)
            client.sendto(long(), lanes[0].getsockname())

            def arrived() -> list[int]:
                taken = []
                for lane, sock in enumerate(lanes):
                    try:
                        sock.recv(2000)
                    except BlockingIOError:
                        continue
                    taken.append(lane)
                return taken

            found += wait_until(arrived, what="the packet arrives")
        assert found[0] == found[1]


def test_as_many_lanes_as_there_can_be_workers() -> None:
    assert len(connection_program(SLOT_COUNT, 1)) <= 4096
