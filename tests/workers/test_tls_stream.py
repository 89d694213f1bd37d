"""Streams through TLS: what a plain stream promises, kept over OpenSSL, and ends that cannot be mistaken."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import gevent.socket
import pytest
from gevent import get_hub, ssl
from greenlet import greenlet

from tests.playbook import Clock
from tests.waiting import wait_until
from tests.workers.secure import TLS12, TLS13, client_context, engine, table
from tls.hello import ClientHello
from tls.openssl import RECORD_BYTES
from workers.stream import StreamBroken, StreamCancelled, StreamTimeout
from workers.tls_stream import TLSStream

ENGINE = engine()
TABLE = table()


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    yield clock
    clock.wheel.close()


class Ends:
    """Both ends of a connection: ours, and a client of gevent's ssl."""

    def __init__(self, clock: Clock, version: ssl.TLSVersion) -> None:
        here, there = socket.socketpair()
        here.setblocking(False)
        self.clock = clock
        self.stream = TLSStream(here, clock.wheel, ENGINE.connect(TABLE.select(ClientHello("")), here))
        self.raw = gevent.socket.socket(fileno=there.detach())
        self.client: Any = None
        self._context = client_context(only=version)

    def shake(self) -> Ends:
        client = gevent.spawn(self._context.wrap_socket, self.raw, suppress_ragged_eofs=False)
        shaken = in_greenlet(self.stream.handshake)
        self.client = client.get(timeout=10)
        assert wait_for(shaken) is None
        return self

    def close(self) -> None:
        self.stream.close()
        for one in (self.client, self.raw):
            if one is not None:
                one.close()


@pytest.fixture(params=[TLS12, TLS13], ids=["TLS12", "TLS13"])
def ends(clock: Clock, request: pytest.FixtureRequest) -> Iterator[Ends]:
    both = Ends(clock, request.param).shake()
    yield both
    both.close()


@pytest.fixture
def unshaken(clock: Clock) -> Iterator[Ends]:
    both = Ends(clock, TLS13)
    yield both
    both.close()


def in_greenlet(function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Run at once in a bare greenlet; the list gets the result or the exception."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(function(*arguments))
        except Exception as error:
            outcome.append(error)

    get_hub().loop.run_callback(greenlet(run, get_hub()).switch)
    gevent.sleep(0)
    return outcome


def wait_for(outcome: list[Any]) -> Any:
    wait_until(lambda: outcome, pause=gevent.sleep)
    return outcome[0]


def read_to_end(client: Any) -> None:
    while client.recv(1 << 20):
        pass


def test_bytes_both_ways(ends: Ends) -> None:
    ends.client.sendall(b"question")
    assert wait_for(in_greenlet(ends.stream.read)) == b"question"
    ends.stream.write(b"answer")
    ends.stream.write(b"")
    assert ends.client.recv(100) == b"answer"


def test_a_read_waits(ends: Ends) -> None:
    read = in_greenlet(ends.stream.read)
    gevent.sleep(0.02)
    assert not read
    ends.client.sendall(b"x")
    assert wait_for(read) == b"x"


def test_small_reads_of_a_record_need_no_further_event(ends: Ends) -> None:
    ends.client.sendall(b"abcde")
    assert [wait_for(in_greenlet(ends.stream.read, 2)) for _ in range(3)] == [b"ab", b"cd", b"e"]


def test_full_records_are_taken_together(ends: Ends) -> None:
    data = bytes(range(256)) * (3 * RECORD_BYTES // 256) + b"end"
    gevent.spawn(ends.client.sendall, data)
    wait_until(lambda: len(ends.stream.peek(1 << 20) or b"") > len(data), pause=gevent.sleep)
    assert wait_for(in_greenlet(ends.stream.read)) == data


def test_a_large_write_waits_for_its_reader(ends: Ends) -> None:
    data = bytes(3_000_000)
    written = in_greenlet(ends.stream.write, data)
    gevent.sleep(0.02)
    assert not written
    got = 0
    while got < len(data):
        got += len(ends.client.recv(1 << 20))
    assert wait_for(written) is None
    ends.stream.write(b"and on")
    assert ends.client.recv(10) == b"and on"


def test_reader_and_writer_at_once(ends: Ends) -> None:
    """The writer is parked on a full socket while the reader gets bytes."""
    written = in_greenlet(ends.stream.write, bytes(3_000_000))
    ends.client.sendall(b"meanwhile")
    assert wait_for(in_greenlet(ends.stream.read)) == b"meanwhile"
    assert not written
    left = 3_000_000
    while left:
        left -= len(ends.client.recv(1 << 20))
    assert wait_for(written) is None


def test_close_notify_is_the_end(ends: Ends) -> None:
    ends.client.sendall(b"last")
    gevent.spawn(ends.client.unwrap)
    assert wait_for(in_greenlet(ends.stream.read)) == b"last"
    assert [wait_for(in_greenlet(ends.stream.read)) for _ in range(2)] == [b"", b""]


def test_an_end_without_close_notify_is_an_error(ends: Ends) -> None:
    ends.raw.close()
    ends.client.close()
    assert isinstance(wait_for(in_greenlet(ends.stream.read)), StreamBroken)
    assert isinstance(wait_for(in_greenlet(ends.stream.read)), StreamBroken)


def test_our_close_is_an_end_to_the_client(ends: Ends) -> None:
    ends.stream.write(b"bye")
    ends.stream.close()
    ends.stream.close()
    assert ends.client.recv(10) == b"bye"
    assert ends.client.recv(10) == b""


def test_our_reset_is_none(ends: Ends) -> None:
    ends.stream.write(b"half")
    ends.stream.reset()
    ends.stream.close()
    assert ends.client.recv(10) == b"half"
    with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
        ends.client.recv(10)


def test_after_the_end_of_reading_comes_what_has_arrived_and_the_end(ends: Ends) -> None:
    read = in_greenlet(ends.stream.read)
    ends.stream.stop_reading()
    assert wait_for(read) == b""
    ends.client.sendall(b"late")
    wait_until(lambda: ends.stream.peek(100), pause=gevent.sleep)
    assert [wait_for(in_greenlet(ends.stream.read)) for _ in range(2)] == [b"late", b""]
    ends.stream.close()
    assert ends.client.recv(10) == b"", "a proper end, no alert"


def test_reading_goes_on_after_the_end_of_writing(ends: Ends) -> None:
    ends.stream.shutdown_write()
    assert ends.client.recv(10) == b""
    ends.client.sendall(b"still here")
    assert wait_for(in_greenlet(ends.stream.read)) == b"still here"


def test_a_close_under_a_stalled_write_says_nothing_wrong(ends: Ends) -> None:
    """A record that was begun cannot be followed by a farewell."""
    written = in_greenlet(ends.stream.write, bytes(3_000_000))
    gevent.sleep(0.02)
    ends.stream.close()
    assert isinstance(wait_for(written), StreamBroken)
    with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
        read_to_end(ends.client)


def test_nothing_reaches_openssl_after_the_close(ends: Ends) -> None:
    """Its descriptor's number belongs to another socket by then."""
    number = ends.stream.fileno()
    ends.stream.close()
    here, there = socket.socketpair()
    assert number in (here.fileno(), there.fileno())
    with here, there:
        for one in (here, there):
            one.setblocking(False)
        for call in (lambda: ends.stream.write(b"secret"), ends.stream.read):
            with pytest.raises(StreamBroken):
                call()
        assert ends.stream.at_end()
        for one in (here, there):
            with pytest.raises(BlockingIOError):
                one.recv(10)


def test_deadlines(ends: Ends) -> None:
    stream = ends.stream
    stream.set_read_deadline(stream.wheel.tick + 5)
    stream.set_write_deadline(stream.wheel.tick + 5)
    read, written = in_greenlet(stream.read), in_greenlet(stream.write, bytes(3_000_000))
    gevent.sleep(0.02)
    ends.clock.advance(1.0)
    assert isinstance(wait_for(read), StreamTimeout)
    assert isinstance(wait_for(written), StreamTimeout)


def test_a_read_can_be_cancelled_and_taken_up_again(ends: Ends) -> None:
    read = in_greenlet(ends.stream.read)
    ends.stream.cancel_read()
    assert isinstance(wait_for(read), StreamCancelled)
    ends.client.sendall(b"x")
    assert wait_for(in_greenlet(ends.stream.read)) == b"x"


def test_the_end_is_seen_without_reading(ends: Ends) -> None:
    assert not ends.stream.at_end()
    stirred: list[bool] = []
    ends.stream.on_unexpected = lambda: stirred.append(ends.stream.at_end())
    gevent.spawn(ends.client.unwrap)
    wait_until(lambda: any(stirred), pause=gevent.sleep)


def test_a_look_for_the_end_loses_no_byte(ends: Ends) -> None:
    ends.client.sendall(b"pipelined")
    wait_until(lambda: ends.stream.ready, pause=gevent.sleep)
    assert not ends.stream.at_end()
    assert wait_for(in_greenlet(ends.stream.read)) == b"pipelined"


def test_a_handshake_has_a_deadline(unshaken: Ends) -> None:
    unshaken.stream.set_read_deadline(unshaken.stream.wheel.tick + 5)
    shaken = in_greenlet(unshaken.stream.handshake)
    unshaken.clock.advance(1.0)
    assert isinstance(wait_for(shaken), StreamTimeout)


def test_a_failed_handshake_leaves_no_error_for_the_next_connection(clock: Clock, unshaken: Ends) -> None:
    shaken = in_greenlet(unshaken.stream.handshake)
    unshaken.raw.sendall(b"\x16\x03\x01\x00\x04\x01\x00\x00\x00")
    assert type(wait_for(shaken)).__name__ == "Error"
    unshaken.stream.close()
    good = Ends(clock, TLS13).shake()
    read = in_greenlet(good.stream.read)
    good.client.sendall(b"fine")
    assert wait_for(read) == b"fine"
    good.close()
