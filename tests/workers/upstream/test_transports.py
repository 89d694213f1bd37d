"""The book of transports: what survives a change, what is closed, and what cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from config import static
from config.http import ServersTransport, Spiffe
from tests.playbook import Clock
from tests.upstreams import Peer, Upstream
from tests.workers.upstream.connections import connection_to
from workers.building import BuildError
from workers.upstream.transport import UpstreamServer
from workers.upstream.transports import DEFAULT_TRANSPORT, TransportBook

A, B = "a@kubernetescrd", "b@kubernetescrd"


@pytest.fixture
def book() -> Iterator[TransportBook]:
    clock = Clock()
    yield TransportBook.first(static.ServersTransport(), clock.wheel)
    clock.wheel.close()


def silent(peer: Peer) -> None:
    peer.read_to_end()


def test_what_did_not_change_keeps_its_connections(book: TransportBook) -> None:
    one, names = book.updated({A: ServersTransport(), B: ServersTransport()})
    assert names == {A, B}
    assert sorted(one) == [A, B, DEFAULT_TRANSPORT]
    with Upstream(silent) as upstream:
        server = UpstreamServer(upstream.url)
        idle = {name: connection_to(one[name], server) for name in one}
        for connection in idle.values():
            connection.pool.put(connection)
        two, names = one.updated({A: ServersTransport(server_name="x"), B: None})
        assert names == {A, B}
        assert two[A] is not one[A]
        assert two[DEFAULT_TRANSPORT] is book[DEFAULT_TRANSPORT]
        assert not any(connection.stream.closed for connection in idle.values()), "not in force yet"
        two.retire()
        assert {name for name in idle if idle[name].stream.closed} == {A, B}
        two.close()
        assert idle[DEFAULT_TRANSPORT].stream.closed


def test_no_change_is_the_same_book(book: TransportBook) -> None:
    assert book.updated({}) == (book, set())


def test_names_that_lead_nowhere(book: TransportBook) -> None:
    with pytest.raises(BuildError, match=r"^servers transport not found a@kubernetescrd$"):
        book.find(A)
    broken, names = book.updated({A: ServersTransport(spiffe=Spiffe())})
    assert names == {A}
    assert A not in broken
    with pytest.raises(BuildError, match=r"^servers transport a@kubernetescrd cannot be used: spiffe: "):
        broken.find(A)
    mended, _ = broken.updated({A: ServersTransport()})
    assert mended.find(A) is mended[A]
    assert not mended.errors
    gone, _ = broken.updated({A: None})
    with pytest.raises(BuildError, match="not found"):
        gone.find(A)


def test_default_transport_that_cannot_be_made(tmp_path: Path) -> None:
    clock = Clock()
    options = static.ServersTransport(root_cas=[str(tmp_path / "none.pem")])
    book = TransportBook.first(options, clock.wheel)
    with pytest.raises(BuildError, match=r"default@internal cannot be used: serversTransport\.rootCAs\[0\]"):
        book.find(DEFAULT_TRANSPORT)
    assert book.own._alone.settings.root_ca_pems == (), "trusts nobody"
    clock.wheel.close()
