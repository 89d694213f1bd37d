"""Which sockets become UDP entry points, and how many sessions they may have."""

from __future__ import annotations

import logging
import resource
import socket
from collections.abc import Iterator

import pytest

from config.static_load import from_mapping
from workers.udp.entrypoint import MOST_SESSIONS
from workers.udp.servers import udp_servers

STATIC = from_mapping(
    {
        "entryPoints": {
            "web": {"address": ":80"},
            "dns": {"address": ":53/udp", "udp": {"timeout": "10s"}},
            "log": {"address": ":514/udp"},
        }
    }
)


@pytest.fixture
def sockets() -> Iterator[dict[str, socket.socket]]:
    kinds = {"web": socket.SOCK_STREAM, "dns": socket.SOCK_DGRAM, "log": socket.SOCK_DGRAM}
    made = {name: socket.socket(socket.AF_INET, kind) for name, kind in kinds.items()}
    yield made
    for sock in made.values():
        sock.close()


def test_those_for_udp_with_their_own_idle_time(sockets: dict[str, socket.socket]) -> None:
    servers = udp_servers(STATIC, sockets, logging.getLogger("udp"))
    assert servers.keys() == {"dns", "log"}
    assert servers["dns"].idle_ticks > 3 * servers["log"].idle_ticks
    sockets.pop("dns").close()
    sockets.pop("log").close()
    assert udp_servers(STATIC, sockets, logging.getLogger("udp")) == {}


def test_entry_points_know_each_other(sockets: dict[str, socket.socket]) -> None:
    sockets["dns"].bind(("127.0.0.1", 0))
    servers = udp_servers(STATIC, sockets, logging.getLogger("udp"))
    with socket.socket(type=socket.SOCK_DGRAM) as upstream:
        upstream.connect(sockets["dns"].getsockname())
        assert servers["log"].leads_back(upstream)


@pytest.mark.parametrize(("descriptors", "most"), [(1024, 256), (1 << 20, MOST_SESSIONS), (2, 1)])
def test_sessions_leave_half_of_the_descriptors_to_the_rest(
    sockets: dict[str, socket.socket], monkeypatch: pytest.MonkeyPatch, descriptors: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, descriptors))
    servers = udp_servers(STATIC, sockets, logging.getLogger("udp"))
    assert {server.sessions.limit for server in servers.values()} == {most}
