"""Binding, keeping and exchanging the sockets of entry points."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest

from config.static import EntryPoint
from master import flow_steering
from master.bound import listening_socket
from master.sockets import BindError, Binding, Sockets, format_address
from tests.master.flows import lanes_of


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    made = Sockets(2)
    yield made
    made.close()


def points(**addresses: str) -> dict[str, EntryPoint]:
    return {name: EntryPoint(address=address) for name, address in addresses.items()}


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_each_lane_has_its_socket_on_the_same_port(sockets: Sockets) -> None:
    assert sockets.update(points(web="127.0.0.1:0", api="127.0.0.1:0")) == ["web", "api"]
    first, second = sockets.listeners(0), sockets.listeners(1)
    assert set(first) == {"web", "api"}
    assert first["web"] is not second["web"]
    assert first["web"].getsockname() == second["web"].getsockname()
    assert sockets.bindings["web"].bound_address == format_address(first["web"].getsockname())
    assert first["web"].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    assert first["web"].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert not first["web"].getblocking()


def test_no_host_means_both_families(sockets: Sockets) -> None:
    sockets.update(points(web=":0"))
    port = sockets.listeners(0)["web"].getsockname()[1]
    for host in ("127.0.0.1", "::1") if socket.has_ipv6 else ("127.0.0.1",):
        socket.create_connection((host, port)).close()


@pytest.mark.parametrize("address", ["[::1]:0", "localhost:0", "0.0.0.0:0"])
def test_hosts(sockets: Sockets, address: str) -> None:
    sockets.update(points(web=address))
    listener = sockets.listeners(0)["web"]
    assert listener.family == (socket.AF_INET6 if "::" in address else socket.AF_INET)


def test_a_udp_entry_point_has_a_socket_in_each_lane(sockets: Sockets) -> None:
    sockets.update(points(web="127.0.0.1:0", dns="127.0.0.1:0/udp"))
    first, second = (sockets.listeners(lane)["dns"] for lane in range(2))
    assert first is not second
    assert first.getsockname() == second.getsockname()
    assert {first.type, second.type} == {socket.SOCK_DGRAM}
    assert not first.getblocking()
    assert sockets.bindings["dns"].bound_address.endswith("/udp")


def test_tcp_and_udp_may_have_one_port(sockets: Sockets, free_port: int) -> None:
    sockets.update(points(web=f"127.0.0.1:{free_port}", dns=f"127.0.0.1:{free_port}/udp"))
    assert {sock.getsockname()[1] for sock in sockets.all_sockets()} == {free_port}


@pytest.mark.parametrize("option", [socket.SO_REUSEADDR, socket.SO_REUSEPORT])
def test_a_taken_udp_port_is_refused(sockets: Sockets, option: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.setsockopt(socket.SOL_SOCKET, option, 1)
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(BindError, match="Address already in use"):
            sockets.update(points(dns=f"127.0.0.1:{taken.getsockname()[1]}/udp"))


def test_a_udp_entry_point_without_host_takes_both_families(sockets: Sockets) -> None:
    sockets.update(points(dns=":0/udp"))
    port = sockets.listeners(0)["dns"].getsockname()[1]
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", (host, port))
    received = 0
    for sock in sockets.all_sockets():
        with contextlib.suppress(BlockingIOError):
            while sock.recv(10):
                received += 1
    assert received == 2


def test_an_entry_point_that_changes_its_protocol_is_bound_anew(sockets: Sockets, free_port: int) -> None:
    sockets.update(points(dns=f"127.0.0.1:{free_port}"))
    assert sockets.update(points(dns=f"127.0.0.1:{free_port}/udp")) == ["dns"]
    assert sockets.listeners(0)["dns"].type == socket.SOCK_DGRAM
    assert not is_open(free_port)


@pytest.mark.parametrize(("reuse_port", "calls"), [(False, [2, 3, 2]), (True, [])])
def test_a_udp_port_that_others_may_have_is_left_to_the_kernel(
    sockets: Sockets, monkeypatch: pytest.MonkeyPatch, reuse_port: bool, calls: list[int]
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(flow_steering, "steer_flows", lambda _, count: seen.append(count))
    sockets.update({"dns": EntryPoint(address="127.0.0.1:0/udp", reuse_port=reuse_port)})
    sockets.open_lane()
    sockets.steer(2)
    assert seen == calls


def test_the_number_of_lanes_moves_few_udp_clients(sockets: Sockets) -> None:
    sockets.update(points(dns="127.0.0.1:0/udp"))
    address = sockets.listeners(0)["dns"].getsockname()
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(120)]

    def lanes() -> list[int]:
        return lanes_of(clients, address, [sockets.listeners(lane)["dns"] for lane in range(sockets.lane_count)])

    two = lanes()
    sockets.open_lane()
    three = lanes()
    assert {lane for before, lane in zip(two, three, strict=True) if lane != before} == {2}
    sockets.steer(2)
    assert lanes() == two, "a lane that is about to close gets nothing"
    sockets.close_last_lane()
    assert lanes() == two
    for client in clients:
        client.close()


def test_a_taken_port_is_refused_even_if_it_could_be_shared(sockets: Sockets) -> None:
    with listening_socket("127.0.0.1", 0) as taken:
        address = format_address(taken.getsockname())
        with pytest.raises(BindError) as raised:
            sockets.update(points(web=address))
        assert str(raised.value).startswith(f"entry point web: cannot listen at {address}: Address already in use")
        sockets.update({"web": EntryPoint(address=address, reuse_port=True)})
    assert sockets.bindings


def test_two_entry_points_on_one_port_are_refused(sockets: Sockets, free_port: int) -> None:
    with pytest.raises(BindError, match="entry point b"):
        sockets.update(points(a=f"127.0.0.1:{free_port}", b=f"127.0.0.1:{free_port}"))
    assert not sockets.bindings
    assert not is_open(free_port)


def test_an_unknown_host_is_named(sockets: Sockets) -> None:
    with pytest.raises(BindError, match=r"entry point web: cannot listen at 192\.0\.2\.1:80"):
        sockets.update(points(web="192.0.2.1:80"))


def test_update_keeps_what_did_not_change(sockets: Sockets, free_ports: Callable[[int], list[int]]) -> None:
    one, two = (f"127.0.0.1:{port}" for port in free_ports(2))
    sockets.update(points(web=one, gone=two))
    kept = sockets.listeners(0)["web"]
    assert sockets.update(points(web=one, new="127.0.0.1:0")) == ["new"]
    assert sockets.listeners(0)["web"] is kept
    assert not is_open(int(two.rpartition(":")[2]))


def test_a_renamed_entry_point_keeps_its_sockets(sockets: Sockets, free_port: int) -> None:
    sockets.update(points(web=f"127.0.0.1:{free_port}"))
    kept = sockets.listeners(0)["web"]
    assert sockets.update(points(other=f"127.0.0.1:{free_port}")) == []
    assert sockets.listeners(0)["other"] is kept
    assert sockets.bindings["other"].name == "other"


def test_a_failing_update_changes_nothing(sockets: Sockets, free_ports: Callable[[int], list[int]]) -> None:
    one, two = free_ports(2)
    sockets.update(points(web=f"127.0.0.1:{one}"))
    with listening_socket("127.0.0.1", 0) as taken:
        busy = taken.getsockname()[1]
        with pytest.raises(BindError):
            sockets.update(points(new=f"127.0.0.1:{two}", busy=f"127.0.0.1:{busy}"))
    assert list(sockets.bindings) == ["web"]
    assert is_open(one)
    assert not is_open(two)


def test_lanes_open_and_close_at_the_end(sockets: Sockets) -> None:
    sockets.update(points(web="127.0.0.1:0"))
    sockets.open_lane()
    assert len({id(sockets.listeners(lane)["web"]) for lane in range(3)}) == 3
    sockets.steer(2)
    third = sockets.listeners(2)["web"]
    sockets.close_last_lane()
    assert third.fileno() == -1
    assert sockets.lane_count == 2
    sockets.open_lane()
    assert sockets.lane_count == 3


def test_a_shared_socket_serves_every_lane(sockets: Sockets) -> None:
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        sockets.adopt(Binding("web", "127.0.0.1:0", [theirs], is_shared=True))
        sockets.update(points(web="127.0.0.1:0"))
        sockets.open_lane()
        assert {sockets.listeners(lane)["web"] for lane in range(3)} == {theirs}
        sockets.steer(2)
        sockets.close_last_lane()
        assert sockets.listeners(1)["web"] is theirs


def test_adopted_sockets_are_cut_or_filled_up_to_the_lanes(sockets: Sockets) -> None:
    first = listening_socket("127.0.0.1", 0)
    port = first.getsockname()[1]
    inherited = [first, *(listening_socket("127.0.0.1", port) for _ in range(2))]
    sockets.adopt(Binding("web", "127.0.0.1:0", inherited.copy()))
    assert inherited[2].fileno() == -1
    sockets.lane_count = 4
    sockets.update(points(web="127.0.0.1:0"))
    ports = {sockets.listeners(lane)["web"].getsockname()[1] for lane in range(4)}
    assert ports == {port}


def test_a_worker_keeps_its_own_lane_only(sockets: Sockets) -> None:
    sockets.update(points(web="127.0.0.1:0", api="127.0.0.1:0"))
    everything = list(sockets.all_sockets())
    mine = sockets.keep_lane(1)
    assert [sock for sock in everything if sock.fileno() >= 0] == list(mine.values())
