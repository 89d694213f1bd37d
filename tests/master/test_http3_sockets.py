"""The UDP twins of entry points with HTTP/3, and the ways between the workers that share one."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from config.static import EntryPoint
from config.static_protocols import HTTP3
from master import quic_steering
from master.relays import Relays
from master.sockets import BindError, Sockets


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    made = Sockets(2)
    yield made
    made.close()


def points(address: str) -> dict[str, EntryPoint]:
    return {"web": EntryPoint(address=address, http3=HTTP3())}


def test_a_twin_has_its_owner_s_port_in_every_lane(sockets: Sockets) -> None:
    before = sockets.has_twins
    assert sockets.update(points("127.0.0.1:0")) == ["web", "web/http3"]
    assert (before, sockets.has_twins) == (False, True)
    port = sockets.listeners(0)["web"].getsockname()[1]
    for lane in (0, 1):
        twin = sockets.listeners(lane)["web/http3"]
        assert twin.type == socket.SOCK_DGRAM
        assert twin.getsockname()[1] == port
    assert sockets.bindings["web/http3"].bound_address == f"127.0.0.1:{port}/udp"


def test_a_twin_comes_and_goes_with_the_option(sockets: Sockets, free_port: int) -> None:
    address = f"127.0.0.1:{free_port}"
    plain = {"web": EntryPoint(address=address)}
    sockets.update(plain)
    tcp = sockets.listeners(0)["web"]
    assert sockets.update(points(address)) == ["web/http3"]
    udp = sockets.listeners(0)["web/http3"]
    assert sockets.update(points(address)) == []
    assert sockets.listeners(0) == {"web": tcp, "web/http3": udp}
    assert sockets.update(plain) == []
    assert sockets.listeners(0) == {"web": tcp}
    assert udp.fileno() == -1


def test_a_taken_udp_port_is_refused_and_nothing_is_changed(
    sockets: Sockets, free_ports: Callable[[int], list[int]]
) -> None:
    first, second = free_ports(2)
    sockets.update(points(f"127.0.0.1:{first}"))
    before = sockets.listeners(0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", second))
        with pytest.raises(BindError, match=r"entry point web/http3: cannot listen at .*/udp"):
            sockets.update(points(f"127.0.0.1:{second}"))
    assert sockets.listeners(0) == before


def test_twins_are_steered_by_connection(sockets: Sockets, monkeypatch: pytest.MonkeyPatch) -> None:
    steered: list[int] = []
    monkeypatch.setattr(quic_steering, "steer_connections", lambda sock, lanes: steered.append(lanes))
    sockets.update(points("127.0.0.1:0"))
    sockets.open_lane()
    sockets.steer(2)
    assert steered == [2, 3, 2]


def test_a_way_leads_to_one_slot_and_keeps_messages_apart() -> None:
    relays = Relays()
    relays.open(4)
    relays.open(2)
    relays.open(5)
    assert sorted(relays.ways) == [0, 1, 2, 3, 4]
    relays.ways[3].entry.send(b"one")
    relays.ways[3].entry.send(b"two")
    assert [relays.ways[3].exit.recv(100), relays.ways[3].exit.recv(100)] == [b"one", b"two"]
    with pytest.raises(BlockingIOError):
        relays.ways[4].exit.recv(100)
    with pytest.raises(BlockingIOError):  # nobody reads: it is full some time, and nobody waits
        all(relays.ways[4].entry.send(bytes(1200)) for _ in range(100_000))
    relays.close()
    assert not relays.ways
