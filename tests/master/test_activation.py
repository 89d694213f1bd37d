"""Sockets from systemd: taken once, matched by name, else by port."""

from __future__ import annotations

import os
import socket

import pytest

from config.static import EntryPoint
from master.activation import FIRST_DESCRIPTOR, bindings_of, take_descriptors
from master.sockets import BindError


def server() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def given(name: str, sock: socket.socket) -> tuple[str, int]:
    return name, sock.detach()


def test_the_variables_are_for_one_process_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    marked: list[tuple[int, bool]] = []
    monkeypatch.setattr(os, "set_inheritable", lambda number, value: marked.append((number, value)))
    environ = {"LISTEN_PID": "7", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "web:websecure", "HOME": "/"}
    taken = take_descriptors(environ, 7)
    assert taken == [("web", FIRST_DESCRIPTOR), ("websecure", FIRST_DESCRIPTOR + 1), ("", FIRST_DESCRIPTOR + 2)]
    assert environ == {"HOME": "/"}
    assert marked == [(3, False), (4, False), (5, False)]


@pytest.mark.parametrize(
    "environ", [{}, {"LISTEN_PID": "8", "LISTEN_FDS": "1"}, {"LISTEN_PID": "7", "LISTEN_FDS": "many"}]
)
def test_variables_of_others_count_as_none(environ: dict[str, str]) -> None:
    assert take_descriptors(environ, 7) == []
    assert environ == {}


def test_matching_by_name_and_by_port() -> None:
    named, by_port, foreign = server(), server(), server()
    port = by_port.getsockname()[1]
    entry_points = {"web": EntryPoint(address=":80"), "api": EntryPoint(address=f":{port}")}
    descriptors = [given("web", named), given("pointsman.socket", by_port), given("other", foreign)]
    bindings = {binding.name: binding for binding in bindings_of(descriptors, entry_points)}
    assert set(bindings) == {"web", "api"}
    assert all(binding.is_shared for binding in bindings.values())
    assert bindings["api"].sockets[0].getsockname()[1] == port
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptors[2][1])
    for binding in bindings.values():
        binding.close()


def test_two_sockets_for_one_entry_point_are_refused() -> None:
    descriptors = [given("web", server()), given("web", server())]
    with pytest.raises(BindError, match="more than one socket"):
        bindings_of(descriptors, {"web": EntryPoint(address=":80")})


@pytest.mark.parametrize(("kind", "address"), [(socket.SOCK_DGRAM, ":80"), (socket.SOCK_STREAM, ":80/udp")])
def test_a_socket_of_the_other_kind_belongs_to_no_entry_point(kind: int, address: str) -> None:
    sock = socket.socket(socket.AF_INET, kind)
    assert bindings_of([given("web", sock)], {"web": EntryPoint(address=address)}) == []


def test_datagram_sockets_by_name_and_by_port() -> None:
    named, by_port = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    by_port.bind(("127.0.0.1", 0))
    port = by_port.getsockname()[1]
    entry_points = {
        "dns": EntryPoint(address=":53/udp"),
        "log": EntryPoint(address=f":{port}/udp"),
        "web": EntryPoint(address=f":{port}"),
    }
    bindings = bindings_of([given("dns", named), given("pointsman.socket", by_port)], entry_points)
    assert [binding.name for binding in bindings] == ["dns", "log"]
    assert all(binding.is_datagram and binding.is_shared for binding in bindings)
    for binding in bindings:
        binding.close()
