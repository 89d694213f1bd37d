"""Laws of a connection whatever a client sends: it goes on or ends with a GOAWAY, and nothing else happens."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import hpack
import pytest
from hyperframe.frame import GoAwayFrame, HeadersFrame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.playbook import Stage
from tests.waiting import wait_until
from tests.workers.http2.client import be_rude
from workers.exchange import Exchange
from workers.http2.codes import ErrorCode

GET = hpack.Encoder().encode([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")])
POST = hpack.Encoder().encode([(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")])


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


STREAMS = st.sampled_from([0, 1, 1, 3, 3, 5, 2, 7, 1 << 31, (1 << 31) - 1])
FLAGS = st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x2D, 255])
PAYLOADS = st.one_of(
    st.just(b""), st.just(GET), st.just(POST), st.just(bytes(4)), st.just(bytes(8)), st.binary(max_size=24)
)
ANY = st.builds(frame, st.integers(0, 11), FLAGS, STREAMS, PAYLOADS)
SENSIBLE = st.one_of(
    st.builds(
        frame, st.just(1), st.sampled_from([4, 5]), st.sampled_from([1, 3, 5, 7]), st.sampled_from([GET, POST])
    ),
    st.builds(frame, st.just(0), st.sampled_from([0, 1]), st.sampled_from([1, 3, 5, 7]), st.binary(max_size=9)),
    st.builds(frame, st.just(3), st.just(0), st.sampled_from([1, 3, 5]), st.just(bytes(4))),
    st.builds(frame, st.just(8), st.just(0), st.sampled_from([0, 1, 3]), st.just(b"\0\0\1\0")),
    st.just(frame(6, 0, 0, bytes(8))),
    st.just(frame(4, 0, 0, b"\0\4\0\0\0\5")),
    st.just(frame(4, 0, 0, b"\0\4\0\1\0\0")),
)
SEQUENCES = st.lists(st.one_of(SENSIBLE, SENSIBLE, ANY), max_size=12)


def handler(exchange: Exchange) -> None:
    size = 0
    while piece := exchange.read_body():
        size += len(piece)
    exchange.respond(200, (), b"%d bytes" % size)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(handler=handler) as stage:
        yield stage


@settings(deadline=None, max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=SEQUENCES, cut=st.integers(1, 40), tail=st.binary(max_size=12))
def test_any_frames(stage: Stage, sequence: list[bytes], cut: int, tail: bytes) -> None:
    client = be_rude(stage)
    data = b"".join(sequence) + tail
    for start in range(0, len(data), cut):
        client.send(data[start : start + cut])
    client.peer.half_close()
    while client.read() is not None:
        pass
    goaways = [found for found in client.frames if isinstance(found, GoAwayFrame)]
    assert len(goaways) <= 2
    for goaway in goaways:
        assert ErrorCode(goaway.error_code) is not ErrorCode.INTERNAL_ERROR
    client.peer.close()
    wait_until(lambda: not stage.server.active and not stage.server.open_connections, pause=gevent.sleep)
    assert not stage.log
    answered = [found.stream_id for found in client.frames if isinstance(found, HeadersFrame)]
    assert len(answered) == len(set(answered))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    requests=st.lists(st.binary(max_size=50), min_size=1, max_size=6),
    cuts=st.lists(st.integers(1, 60), min_size=1),
)
def test_pieces_make_no_difference(stage: Stage, requests: list[bytes], cuts: list[int]) -> None:
    """However the bytes are cut, every request has its answer with its own length."""
    client = be_rude(stage)
    data = b"".join(
        frame(1, 4, 2 * number + 1, POST if number else GET) + frame(0, 1, 2 * number + 1, body)
        for number, body in enumerate(requests)
    )
    position = 0
    while position < len(data):
        for cut in cuts:
            client.send(data[position : position + cut])
            position += cut
            gevent.sleep(0)
    bodies: dict[int, bytes] = {}
    while len(bodies) < len(requests):
        found = client.read()
        assert found is not None
        if found.type == 0:
            bodies[found.stream_id] = found.data  # type: ignore[attr-defined]
    assert bodies == {2 * number + 1: b"%d bytes" % len(body) for number, body in enumerate(requests)}
    client.peer.close()
    wait_until(lambda: not stage.server.open_connections, pause=gevent.sleep)
