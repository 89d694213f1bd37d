"""First bytes that are nearly TLS, PostgreSQL or a PROXY header: never a crash, never a wrong server."""

from __future__ import annotations

import contextlib

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.static import EntryPoint
from config.static_protocols import ProxyProtocol
from tests.playbook import Stage
from tests.upstreams import Peer, Upstream
from tests.waiting import wait_until
from tests.workers.tcp.staging import https, router, runtime, service, stage
from tests.workers.tcp.test_served import GSSENC_REQUEST, SSL_REQUEST, hello
from workers.proxy_protocol import Endpoint, write

HELLO = hello("a.test")
V1 = b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"
V2 = write(2, Endpoint("1.2.3.4", 1), Endpoint("5.6.7.8", 2))
BEGINNINGS = st.sampled_from([HELLO, SSL_REQUEST, GSSENC_REQUEST, SSL_REQUEST + HELLO, V1 + HELLO, V2 + HELLO, V2])
CHANGES = st.lists(st.tuples(st.integers(0, 250), st.integers(0, 255)), max_size=3)


def mutated(data: bytes, changes: list[tuple[int, int]], cut: int) -> bytes:
    copy = bytearray(data)
    for place, value in changes:
        copy[place % len(copy)] = value
    return bytes(copy[: len(copy) - cut])


def play(here: Stage, first: bytes) -> None:
    """Open with these bytes and end; the connection must end too."""
    client = here.client()
    with contextlib.suppress(OSError):
        client.send(first)
        client.half_close()
        client.read_to_end()
    client.close()
    wait_until(lambda: not here.server.open_connections, pause=gevent.sleep)
    assert here.server.active == 0


@pytest.mark.parametrize("proxied", [False, True])
def test_any_mutation_ends_and_none_crashes(proxied: bool) -> None:
    heard: list[bytes] = []

    def script(peer: Peer) -> None:
        with contextlib.suppress(OSError):
            first = peer.read_some()
            if first.startswith(SSL_REQUEST):
                peer.send(b"S")
            heard.append(first + peer.read_to_end())

    policy = ProxyProtocol(insecure=True) if proxied else None
    options = EntryPoint(address=":80", proxy_protocol=policy)
    routers = {"pass": router("HostSNI(`a.test`)", tls="pass"), "end": router("HostSNI(`b.test`)", tls="end")}
    with Upstream(script) as server:
        running = runtime(routers, {"s": service(server.port)})
        with stage(running, tls_table=https("c.test"), options=options) as here:

            @settings(max_examples=80)
            @given(BEGINNINGS, CHANGES, st.integers(0, 40))
            def examples(data: bytes, changes: list[tuple[int, int]], cut: int) -> None:
                heard.clear()
                first = mutated(data, changes, min(cut, len(data) - 1))
                play(here, first)
                assert not any("Traceback" in line for line in here.log)
                for words in heard:
                    assert words in first, "only what the client sent"

            examples()


@pytest.mark.parametrize("size", [1, 5, 40, 200])
def test_hello_in_pieces_and_records_reaches_the_server_untouched(size: int) -> None:
    """Cut into TLS records as well as into segments."""
    heard: list[bytes] = []

    def script(peer: Peer) -> None:
        heard.append(peer.read_exactly(len(first)))

    body = HELLO[5:]
    first = b"".join(
        b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece
        for start in range(0, len(body), size)
        if (piece := body[start : start + size])
    )
    with Upstream(script) as server:
        running = runtime({"p": router("HostSNI(`a.test`)", tls="pass")}, {"s": service(server.port)})
        with stage(running) as here:
            client = here.client()
            for start in range(0, len(first), 97):
                client.send(first[start : start + 97])
                gevent.sleep(0)
            wait_until(lambda: heard, pause=gevent.sleep)
            assert heard == [first]
