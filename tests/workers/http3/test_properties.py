"""Whatever a client sends on its streams, in whatever order: it costs its own connection, and leaves nothing."""

from __future__ import annotations

import contextlib
from typing import Any

import gevent
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http3_client import Closed, Http3Client
from tests.playbook import respond
from tests.waiting import wait_until
from tests.workers.http3.stage import Http3Stage
from workers.http3 import frames

HEAD = b"\0\0\xd1\xd7\x50\x01a\xc1"  # GET https a /
blocks = st.one_of(st.just(HEAD), st.binary(max_size=40), st.binary(max_size=30).map(lambda data: b"\0\0" + data))
kinds = st.sampled_from([frames.HEADERS, frames.DATA, 2, 3, 4, 5, 7, 0xD, 0x21, 0x41, 1 << 20])
whole = st.builds(frames.frame, kinds, blocks)
pieces = st.lists(whole, max_size=4).map(b"".join)
starts = st.sampled_from([b"", frames.frame(frames.HEADERS, HEAD)])
requests = st.tuples(
    st.builds(bytes.__add__, starts, pieces), st.booleans(), st.sampled_from(["", "reset", "stop"])
)
others = st.tuples(st.sampled_from([0, 1, 2, 3, 0x21]), pieces, st.booleans())


@given(st.lists(st.one_of(requests, others), min_size=1, max_size=8))
@settings(max_examples=30)
def test_streams_of_any_content(sent: list[tuple[Any, ...]]) -> None:
    with Http3Stage(handler=respond()) as here:
        crashes: list[object] = []
        here.server.report_crash = crashes.append  # type: ignore[method-assign,assignment]
        client = here.client()
        client.handshake()
        for one in sent:
            with contextlib.suppress(RuntimeError, ValueError):  # the client itself has been told to stop
                _send(client, one)
        with contextlib.suppress(Closed, AssertionError):
            client.answer(client.begin())
        other = here.client()
        assert other.get().status == 200
        assert not crashes
        assert not here.tcp.log
        client.close()
        other.close()
        wait_until(lambda: not here.server.connections, what="both are gone", pause=gevent.sleep)
        assert here.tcp.server.active == 0


def _send(client: Http3Client, one: tuple[Any, ...]) -> None:
    first, second, third = one
    if isinstance(first, int):
        client.send_raw(frames.integer(first) + second, one_way=True, end=third)
        return
    stream_id = client.send_raw(first, end=second)
    if third == "reset":
        client.quic.reset_stream(stream_id, 0x10C)
    elif third == "stop":
        client.quic.stop_stream(stream_id, 0x10C)
    client.flush()
