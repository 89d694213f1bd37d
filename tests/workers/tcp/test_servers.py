"""Servers that want TLS, names that have to be resolved, and what happens when either side leaves at any point."""

from __future__ import annotations

import contextlib
import socket as plain_socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import ssl

from config import static
from config.layer4 import TCPLoadBalancer, TCPServer, TCPService
from config.tls import Certificate
from tests.playbook import Client
from tests.tls.pki import Authority, Pair
from tests.upstreams import Peer, Upstream
from tests.waiting import wait_until
from tests.workers.secure import authority, client_context
from tests.workers.tcp.staging import environment, router, runtime, service, stage, transport
from tests.workers.tcp.test_served import echoing, hello, server_context
from workers.tcp.dialing import TCPTransport
from workers.tcp.runtime import TCPChanges, TCPRuntime
from workers.tls_state import TLSState

PAIR = authority().issue("server.test", common_name="server.test")
ROOT = authority().pem
FOREIGN = Authority("foreign").pem


def answers(tls: dict[str, Any] | None, *, wants_certificate: bool = False) -> bool:
    """Does a TLS server behind a transport with this TLS part hear the client, and is it heard?"""

    def script(peer: Peer) -> None:
        context = server_context(PAIR)
        if wants_certificate:
            context.load_verify_locations(cadata=ROOT)
            context.verify_mode = ssl.CERT_REQUIRED
        with contextlib.suppress(OSError):
            peer.socket = context.wrap_socket(peer.socket, server_side=True)
            echoing(peer)

    with Upstream(script) as server:
        running = runtime(
            {"r": router()},
            {"s": service(server.port, is_tls=True, servers_transport="t")},
            transports={"t": transport(tls=tls)},
        )
        assert not running.routers["r@file"].errors
        with stage(running) as here:
            client = here.client()
            client.send(b"hello")
            with contextlib.suppress(ConnectionResetError):
                return bool(client.socket.recv(5) == b"hello")
    return False


def listening(peer: Peer) -> None:
    """Hear everything and say nothing."""
    peer.read_to_end()


def own(pair: Pair) -> list[Certificate]:
    return [Certificate(cert_file=pair.chain.decode(), key_file=pair.key.decode())]


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        ({"insecure_skip_verify": True}, True),
        ({"server_name": "server.test", "root_cas": [ROOT]}, True),
        ({"server_name": "other.test", "root_cas": [ROOT]}, False),
        ({"server_name": "server.test", "root_cas": [FOREIGN]}, False),
        ({"server_name": "server.test"}, False),
        ({"root_cas": [ROOT]}, False),
        ({}, False),
        (None, False),
        ({"insecure_skip_verify": True, "root_cas": [ROOT], "peer_cert_uri": "spiffe://a/b"}, False),
    ],
)
def test_server_is_verified_as_the_transport_says(tls: dict[str, Any] | None, expected: bool) -> None:
    """Without a name to verify there is no connection: the address is not one."""
    assert answers(tls) is expected


def test_server_is_shown_our_certificate() -> None:
    pair = authority().issue("client.test", common_name="client.test", usage="client")
    base: dict[str, Any] = {"server_name": "server.test", "root_cas": [ROOT]}
    assert answers(base | {"certificates": own(pair)}, wants_certificate=True)
    assert not answers(base, wants_certificate=True)


def test_context_is_made_once_and_kept_over_reloads() -> None:
    running = runtime({"r": router()}, {"s": service(1)}, transports={"t": transport(tls={})})
    kept = running._transports.find("t@file")
    changes = TCPChanges(services={"s@file": service(2)}, transports={"u@file": transport()})
    new = running.updated(changes, TLSState(), set(), lambda: None)
    assert new._transports.find("t@file") is kept


def test_names_are_resolved() -> None:
    with Upstream(echoing) as server:
        servers = [TCPServer(address=f"localhost:{server.port}")]
        running = runtime({"r": router()}, {"s": TCPService(load_balancer=TCPLoadBalancer(servers=servers))})
        with stage(running) as here:
            client = here.client()
            client.send(b"hello")
            assert client.read_exactly(5) == b"hello"


def test_name_that_is_none_closes() -> None:
    servers = [TCPServer(address="nowhere.invalid:1")]
    running = runtime({"r": router()}, {"s": TCPService(load_balancer=TCPLoadBalancer(servers=servers))})
    with stage(running) as here:
        assert here.client().is_closed()


@pytest.mark.parametrize(("text", "expected"), [("7s", 7), ("0s", 15), ("", 15), ("-1s", 0), ("200ms", 1)])
def test_keep_alive_of_connections_to_servers(text: str, expected: int) -> None:
    sock = plain_socket.socket()
    sock.setsockopt(plain_socket.SOL_SOCKET, plain_socket.SO_KEEPALIVE, 1)
    with sock:
        TCPTransport(transport(dial_keep_alive=text))._set_keep_alive(sock)
        assert sock.getsockopt(plain_socket.SOL_SOCKET, plain_socket.SO_KEEPALIVE) == bool(expected)
        if expected:
            assert sock.getsockopt(plain_socket.IPPROTO_TCP, plain_socket.TCP_KEEPIDLE) == expected
            assert sock.getsockopt(plain_socket.IPPROTO_TCP, plain_socket.TCP_KEEPINTVL) == expected


def test_dial_timeout_closes_the_client() -> None:
    """A listener whose queue is full does not answer."""
    with plain_socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [plain_socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        running = runtime(
            {"r": router()},
            {"s": service(address[1], servers_transport="t")},
            transports={"t": transport(dial_timeout="2s")},
        )
        with stage(running) as here:
            client = here.client()
            assert client.hears_nothing(0.05)
            here.clock.advance(3)
            assert client.is_closed()
        for one in waiting:
            one.close()


def half_hello(client: Client) -> None:
    client.send(hello("a")[:30])


def whole_hello(client: Client) -> None:
    client.send(hello("a"))


def shaken(client: Client) -> None:
    client.socket = client_context().wrap_socket(client.socket, server_hostname="a")


LEAVING = {"reset": lambda client: client.reset(), "close": lambda client: client.close()}


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
@pytest.mark.parametrize("phase", [half_hello, whole_hello, shaken])
def test_client_that_leaves_ends_everything(
    phase: Callable[[Client], None], leave: Callable[[Client], None]
) -> None:
    left: list[bool] = []

    def script(peer: Peer) -> None:
        with contextlib.suppress(OSError):
            peer.read_to_end()
        left.append(True)

    with Upstream(script) as server:
        running = runtime({"r": router("HostSNI(`a`)", tls="end")}, {"s": service(server.port)})
        with stage(running) as here:
            client = here.client()
            phase(client)
            if phase is not half_hello:
                wait_until(lambda: server.connections, pause=gevent.sleep)
            leave(client)
            wait_until(lambda: not here.server.open_connections, pause=gevent.sleep)
            assert here.server.active == 0
            wait_until(lambda: len(left) == server.connections, pause=gevent.sleep)


@pytest.mark.parametrize("leave", ["reset", "close"])
@pytest.mark.parametrize("is_tls", [False, True])
def test_server_that_leaves_at_once_ends_the_client(leave: str, is_tls: bool) -> None:
    with Upstream(lambda peer: getattr(peer, leave)()) as server:
        running = runtime(
            {"r": router()},
            {"s": service(server.port, is_tls=is_tls, servers_transport="t")},
            transports={"t": transport(tls={"insecure_skip_verify": True})},
        )
        with stage(running) as here:
            assert here.client().is_closed()
            here.clock.advance(1)  # the client may go on for the termination delay
            wait_until(lambda: not here.server.active, pause=gevent.sleep)


@pytest.mark.parametrize("phase", [half_hello, whole_hello, shaken])
def test_abort_cuts_at_every_point(phase: Callable[[Client], None]) -> None:
    with Upstream(listening) as server:
        running = runtime({"r": router("HostSNI(`a`)", tls="end")}, {"s": service(server.port)})
        with stage(running) as here:
            client = here.client()
            phase(client)
            if phase is not half_hello:
                wait_until(lambda: server.connections, pause=gevent.sleep)
            here.server.stop_accepting()
            here.server.close_idle()
            if phase is shaken:
                assert not here.server.is_settled
            here.server.abort()
            with contextlib.suppress(ssl.SSLError):
                client.is_closed()
            wait_until(lambda: not here.server.open_connections, pause=gevent.sleep)


def test_abort_while_a_server_is_dialled() -> None:
    with plain_socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [plain_socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        with stage(runtime({"r": router()}, {"s": service(full.getsockname()[1])})) as here:
            client = here.client()
            wait_until(lambda: here.server.active, pause=gevent.sleep)
            here.server.abort()
            assert client.is_closed()
            here.clock.advance(31)
            here.clock.advance(1)
            wait_until(lambda: not here.server.active, pause=gevent.sleep)
        for one in waiting:
            one.close()


def test_handshake_that_is_never_finished_is_bounded() -> None:
    with Upstream(listening) as server:
        running = runtime({"r": router("HostSNI(`a`)", tls="end")}, {"s": service(server.port)})
        with stage(running) as here:
            client = here.client()
            client.send(hello("a"))
            wait_until(lambda: server.connections, pause=gevent.sleep)
            here.clock.advance(61)
            here.clock.advance(1)
            wait_until(lambda: not here.server.active, pause=gevent.sleep)


def default_transport(tmp_path: Path, **tls: Any) -> TCPRuntime:
    options = static.TCPServersTransport(dial_timeout_seconds=7, tls=static.TCPServersTransportTLS(**tls))
    services = {"s": service(1), "named": service(1, servers_transport="t")}
    routers = {"r": router(), "named": router(service="named")}
    return runtime(routers, services, transports={"t": transport()}, where=environment(transport=options))


def test_default_transport_is_the_static_one(tmp_path: Path) -> None:
    file = tmp_path / "root.pem"
    file.write_text(ROOT)
    running = default_transport(tmp_path, insecure_skip_verify=True, root_cas=[str(file), FOREIGN])
    made = running._transports.find("default@internal")
    assert (made.config.dial_timeout, made.config.dial_keep_alive, made.delay_seconds) == ("7s", "15s", 0)
    assert made.config.tls is not None
    assert made.config.tls.root_cas == [ROOT, FOREIGN]
    assert made.config.tls.insecure_skip_verify


def test_default_transport_that_cannot_be_made_is_said_where_it_is_missing(tmp_path: Path) -> None:
    running = default_transport(tmp_path, root_cas=[str(tmp_path / "absent")])
    assert running.routers["r@file"].errors[0].startswith("tcpServersTransport.tls.rootCAs[0]: ")
    assert running.routers["named@file"].status == "enabled"
