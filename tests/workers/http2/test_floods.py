"""ADV-E: what a client may not do to us. Each ends with the error the RFC or common sense asks for; memory and
work stay bounded, and nothing is logged but what we did wrong (which is nothing)."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import hpack
import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from config.static import EntryPoint
from config.static_entrypoint import HTTP
from config.static_protocols import HTTP2
from tests.playbook import Stage, respond
from tests.waiting import wait_until
from tests.workers.http2.client import PREFACE, Rude, be_rude, converse, wait_for_end
from workers.exchange import Exchange
from workers.http2.carrier import CALM_BURST, MOST_QUEUED_BYTES
from workers.http2.codes import ErrorCode
from workers.http2.link import MOST_CONTINUATIONS
from workers.http2.serving import MOST_DECLINED, RESET_BURST


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Answers at once; nothing is to be logged."""
    with Stage(handler=respond()) as stage:
        yield stage
        assert not stage.log


def code_of(client: Rude) -> ErrorCode:
    return ErrorCode(client.goaway().error_code)


def send_until_end(client: Rude, data: bytes, times: int) -> None:
    """Send again and again, reading nothing until the server ends it or there is no more to say."""
    for _ in range(times):
        try:
            client.peer.send(data)
        except OSError:
            return


@pytest.mark.behaviour("ADV-E-1")
def test_rapid_reset() -> None:
    """CVE-2023-44487: opening and resetting must not buy more work than the limit of streams."""
    running, most = [0], [0]

    def handler(exchange: Exchange) -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        gevent.sleep(0.01)
        running[0] -= 1
        exchange.respond(200, (), b"ok")

    options = EntryPoint(address=":80", http2=HTTP2(max_concurrent_streams=20))
    with Stage(handler=handler, options=options) as stage:
        client = be_rude(stage)
        for number in range(1, 2 * RESET_BURST + 10, 2):
            client.send(client.headers(number), RstStreamFrame(number, error_code=8))
        assert code_of(client) is ErrorCode.ENHANCE_YOUR_CALM
        assert most[0] <= 20
        wait_until(lambda: stage.server.active == 0, pause=gevent.sleep)


def test_resets_beside_real_work_are_fine(stage: Stage) -> None:
    client = converse(stage)
    for _ in range(RESET_BURST + 50):
        assert client.get().status == 200
        stream = client.ask(method=b"POST", body=None)
        client.h2.reset_stream(stream, 8)
    assert client.get().status == 200


def test_streams_above_the_limit_are_refused() -> None:
    def handler(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.respond(200, (), b"ok")

    options = EntryPoint(address=":80", http2=HTTP2(max_concurrent_streams=2))
    with Stage(handler=handler, options=options) as stage:
        client = be_rude(stage)
        client.send(*[client.headers(number, method=b"POST", end=False) for number in (1, 3, 5)])
        assert client.reset(5) == ErrorCode.REFUSED_STREAM
        announced = next(frame for frame in client.frames if isinstance(frame, SettingsFrame))
        assert announced.settings[SettingsFrame.MAX_CONCURRENT_STREAMS] == 2
        client.send(DataFrame(5, b"late"), DataFrame(1, b"", flags=["END_STREAM"]))
        assert client.until(HeadersFrame).stream_id == 1
        client.send(client.headers(7))
        assert client.until(HeadersFrame).stream_id == 7


def test_a_flood_of_refused_streams() -> None:
    def handler(exchange: Exchange) -> None:
        exchange.read_body()

    options = EntryPoint(address=":80", http2=HTTP2(max_concurrent_streams=1))
    with Stage(handler=handler, options=options) as stage:
        client = be_rude(stage)
        client.send(client.headers(1, method=b"POST", end=False))
        client.send(*[client.headers(number) for number in range(3, 2 * RESET_BURST + 20, 2)])
        assert code_of(client) is ErrorCode.ENHANCE_YOUR_CALM


@pytest.mark.behaviour("ADV-E-3")
def test_continuations_without_end(stage: Stage) -> None:
    client = be_rude(stage)
    head = client.headers(1)
    head.flags.discard("END_HEADERS")
    client.send(head)
    send_until_end(client, ContinuationFrame(1, b"").serialize(), MOST_CONTINUATIONS + 1)
    assert code_of(client) is ErrorCode.ENHANCE_YOUR_CALM


@pytest.mark.behaviour("ADV-E-3")
def test_continuations_without_end_by_size() -> None:
    options = EntryPoint(address=":80", http=HTTP(max_header_bytes=20000))
    with Stage(handler=respond(), options=options) as stage:
        client = be_rude(stage)
        head = client.headers(1)
        head.flags.discard("END_HEADERS")
        client.send(head)
        send_until_end(client, ContinuationFrame(1, bytes(16000)).serialize(), 3)
        assert code_of(client) is ErrorCode.ENHANCE_YOUR_CALM


def test_a_block_of_some_continuations_is_served(stage: Stage) -> None:
    client = be_rude(stage)
    whole = client.headers(1, (b"x", b"y" * 3000))
    head = HeadersFrame(1, whole.data[:100], flags=["END_STREAM"])
    rest = [whole.data[start : start + 100] for start in range(100, len(whole.data), 100)]
    last = ContinuationFrame(1, rest.pop(), flags=["END_HEADERS"])
    client.send(head, *[ContinuationFrame(1, piece) for piece in rest], last)
    assert client.until(HeadersFrame).stream_id == 1


@pytest.mark.behaviour("ADV-E-4")
def test_hpack_bomb(stage: Stage) -> None:
    """One long field in the table, referred to for ever: 16 KiB that would become 60 MB."""
    client = be_rude(stage)
    client.send(client.headers(1, (b"x-bomb", b"y" * 4000)))
    client.send(HeadersFrame(3, b"\xbe" * 16000, flags=["END_HEADERS", "END_STREAM"]))
    assert code_of(client) is ErrorCode.ENHANCE_YOUR_CALM


@pytest.mark.behaviour("DP-6")
def test_header_list_above_the_limit_is_431_and_the_connection_goes_on() -> None:
    options = EntryPoint(address=":80", http=HTTP(max_header_bytes=8000))
    with Stage(handler=respond(), options=options) as stage:
        client = converse(stage)
        large = client.get(b"/", (b"x", b"y" * 12100))
        assert (large.status, large.body) == (431, b"431 Request Header Fields Too Large")
        assert client.get(b"/", (b"x", b"y" * 8000)).status == 200
        assert len(stage.table.requests) == 1


@pytest.mark.parametrize(
    "frame",
    [
        PingFrame(0, b"12345678").serialize(),
        SettingsFrame(0).serialize(),
        SettingsFrame(0, {4: 1}).serialize(),
        PriorityFrame(1, depends_on=0).serialize(),
        WindowUpdateFrame(0, 1).serialize(),
        b"\0\0\0\xee\0\0\0\0\0",
        b"\0\0\0\0\0\0\0\0\x01",
        RstStreamFrame(1, 8).serialize(),
    ],
    ids=["ping", "settings", "window", "priority", "update", "unknown", "empty", "reset"],
)
@pytest.mark.behaviour("ADV-E-2")
def test_frames_that_bring_nobody_anything(frame: bytes) -> None:
    def handler(exchange: Exchange) -> None:
        while exchange.read_body():
            pass
        exchange.respond(200, (), b"ok")

    with Stage(handler=handler) as stage:
        client = be_rude(stage)
        client.send(client.headers(1, method=b"POST", end=False))
        gevent.spawn(send_until_end, client, frame * 100, CALM_BURST // 100 + 2).join()
        assert code_of(client) is ErrorCode.ENHANCE_YOUR_CALM


def test_a_moderate_number_of_them_is_fine(stage: Stage) -> None:
    client = be_rude(stage)
    for _ in range(20):
        client.send(*[PingFrame(0, b"12345678")] * 50)
        assert client.is_alive()
    client.send(client.headers(1))
    assert client.until(HeadersFrame).stream_id == 1


@pytest.mark.behaviour("ADV-E-5")
def test_answers_that_are_not_read_are_not_kept_for_ever(stage: Stage) -> None:
    client = be_rude(stage)
    client.peer.socket.setsockopt(1, 8, 4096)
    assert client.is_alive()
    (connection,) = stage.server._connections
    most = 0
    for _ in range(CALM_BURST // 50):
        try:
            client.peer.send(PingFrame(0, b"12345678").serialize() * 50)
        except OSError:
            break
        gevent.sleep(0)
        most = max(most, connection.outbox.size)  # type: ignore[attr-defined]
    assert most <= MOST_QUEUED_BYTES + 4096
    client.peer.close()
    wait_until(lambda: not stage.server.open_connections, pause=gevent.sleep)


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


GET = hpack.Encoder().encode([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")])
PROTOCOL, SIZE, CLOSED = ErrorCode.PROTOCOL_ERROR, ErrorCode.FRAME_SIZE_ERROR, ErrorCode.STREAM_CLOSED
FLOW, COMPRESSION, CALM = ErrorCode.FLOW_CONTROL_ERROR, ErrorCode.COMPRESSION_ERROR, ErrorCode.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (_frame(0, 0, 1, b"x"), PROTOCOL),
        (_frame(0, 0, 0, b"x"), PROTOCOL),
        (_frame(1, 5, 0, GET), PROTOCOL),
        (_frame(1, 5, 2, GET), PROTOCOL),
        (_frame(1, 5, 5, GET) + _frame(1, 5, 3, GET), PROTOCOL),
        (_frame(1, 1, 1, GET) + _frame(6, 0, 0, bytes(8)), PROTOCOL),
        (_frame(1, 1, 1, GET) + _frame(9, 4, 3), PROTOCOL),
        (_frame(1, 1, 1, GET) + _frame(1, 4, 3, GET), PROTOCOL),
        (_frame(1, 5, 1, b"\x80"), COMPRESSION),
        (_frame(1, 5, 1, b"\xfe"), COMPRESSION),
        (_frame(1, 5, 1, b"\x40\x85abc"), COMPRESSION),
        (_frame(1, 5, 1, b"\x40"), COMPRESSION),
        (_frame(1, 5, 1, b"\xff\xff\xff\xff\xff\xff\xff"), COMPRESSION),
        (_frame(1, 5, 1, b"\x82\x20"), COMPRESSION),
        (_frame(1, 5, 1, b"\x3f\xe2\x1f"), COMPRESSION),
        (_frame(1, 5, 1, b"\x40\x01a\x82\xff\xff"), COMPRESSION),
        (_frame(1, 0xD, 1, b"\x09" + GET[:5]), PROTOCOL),
        (_frame(1, 0xD, 1), SIZE),
        (_frame(1, 0x25, 1, b"\0\0\0"), SIZE),
        (_frame(1, 0x25, 1, b"\0\0\0\x01\0" + GET), PROTOCOL),
        (_frame(2, 0, 0, bytes(5)), PROTOCOL),
        (_frame(2, 0, 1, bytes(4)), SIZE),
        (_frame(3, 0, 1, bytes(4)), PROTOCOL),
        (_frame(3, 0, 0, bytes(4)), PROTOCOL),
        (_frame(3, 0, 1, bytes(3)), SIZE),
        (_frame(4, 0, 1), PROTOCOL),
        (_frame(4, 0, 0, bytes(5)), SIZE),
        (_frame(4, 1, 0, bytes(6)), SIZE),
        (_frame(4, 1, 0) + _frame(4, 1, 0), PROTOCOL),
        (_frame(4, 0, 0, b"\0\x02\0\0\0\x02"), PROTOCOL),
        (_frame(4, 0, 0, b"\0\x04\x80\0\0\0"), FLOW),
        (_frame(4, 0, 0, b"\0\x05\0\0\x3f\xff"), PROTOCOL),
        (_frame(4, 0, 0, b"\0\x05\x01\0\0\0"), PROTOCOL),
        (_frame(5, 4, 1, bytes(4) + GET), PROTOCOL),
        (_frame(6, 0, 1, bytes(8)), PROTOCOL),
        (_frame(6, 0, 0, bytes(7)), SIZE),
        (_frame(7, 0, 1, bytes(8)), PROTOCOL),
        (_frame(7, 0, 0, bytes(7)), SIZE),
        (_frame(8, 0, 0, bytes(4)), PROTOCOL),
        (_frame(8, 0, 0, b"\x7f\xff\xff\xff"), FLOW),
        (_frame(8, 0, 1, b"\0\0\0\x01"), PROTOCOL),
        (_frame(8, 0, 0, bytes(3)), SIZE),
        (_frame(9, 4, 1, GET), PROTOCOL),
        (b"\0\x40\x01\0\0\0\0\0\x01", SIZE),
        (b"\xff\xff\xff\xee\0\0\0\0\0", SIZE),
    ],
)
@pytest.mark.behaviour("ADV-E-7")
def test_broken_rules_of_the_connection(data: bytes, code: ErrorCode, stage: Stage) -> None:
    client = be_rude(stage)
    client.send(data)
    assert code_of(client) is code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (_frame(0, 0, 1, b"late"), CLOSED),
        (_frame(1, 5, 1, GET), CLOSED),
    ],
)
def test_frames_for_a_stream_that_is_over(data: bytes, code: ErrorCode, stage: Stage) -> None:
    client = be_rude(stage)
    client.send(client.headers(1))
    client.until(DataFrame)
    client.send(data)
    if data[3] == 0:
        assert client.reset(1) == code
        assert client.is_alive()
    else:
        assert code_of(client) is code


@pytest.mark.parametrize("tail", [_frame(6, 0, 0, bytes(8)), _frame(4, 1, 0), _frame(1, 5, 1, GET), bytes(9)])
def test_settings_come_first(tail: bytes, stage: Stage) -> None:
    client = be_rude(stage, greets=False)
    client.send(PREFACE, tail)
    assert code_of(client) is ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize("greeting", [b"", PREFACE[:10], PREFACE, PREFACE + b"\0\0"])
def test_greetings_that_do_not_end(greeting: bytes, stage: Stage) -> None:
    client = be_rude(stage, greets=False)
    client.send(greeting)
    wait_for_end(stage, 61)
    while client.read() is not None:
        pass


def test_more_than_the_stream_may_send() -> None:
    def handler(exchange: Exchange) -> None:
        gevent.sleep(0.2)
        exchange.respond(200, (), b"ok")

    with Stage(handler=handler) as stage:
        client = be_rude(stage)
        client.send(client.headers(1, method=b"POST", end=False))
        client.send(*[DataFrame(1, bytes(16384))] * 33)
        assert client.reset(1) == ErrorCode.FLOW_CONTROL_ERROR
        assert client.is_alive()


def test_more_than_the_connection_may_send() -> None:
    def handler(exchange: Exchange) -> None:
        gevent.sleep(0.2)
        exchange.respond(200, (), b"ok")

    with Stage(handler=handler) as stage:
        client = be_rude(stage)
        for number in (1, 3, 5):
            client.send(client.headers(number, method=b"POST", end=False))
            client.send(*[DataFrame(number, bytes(16384))] * 32)
        assert code_of(client) is ErrorCode.FLOW_CONTROL_ERROR


def test_bytes_for_streams_that_are_over_do_not_eat_the_window(stage: Stage) -> None:
    """What is thrown away is given back, or a connection would starve."""
    client = be_rude(stage)
    for number in range(1, 9, 2):
        client.send(client.headers(number, method=b"POST", end=False))
        assert client.is_alive()
        stage.clock.advance(1.1)
        client.reset(number)
        client.send(*[DataFrame(number, bytes(16384))] * 24)
    assert client.is_alive()
    given = sum(frame.window_increment for frame in client.frames[2:] if isinstance(frame, WindowUpdateFrame))
    assert given >= 4 * 24 * 16384 - (1 << 18)


def test_padding_is_given_back(stage: Stage) -> None:
    client = be_rude(stage)
    client.send(client.headers(1, method=b"POST", end=False, path=b"/"))
    assert client.is_alive()
    stage.clock.advance(1.1)
    client.reset(1)
    padded = DataFrame(1, b"", pad_length=255)
    padded.flags.add("PADDED")
    client.send(*[padded] * 2000)
    assert client.is_alive()
    assert any(frame.stream_id == 0 for frame in client.frames[2:] if isinstance(frame, WindowUpdateFrame))


def test_bytes_behind_an_answer_do_not_eat_the_window_either(stage: Stage) -> None:
    client = be_rude(stage)
    for number in range(1, 9, 2):
        client.send(client.headers(number, method=b"POST", end=False))
        client.send(*[DataFrame(number, bytes(16384))] * 8)
        assert client.is_alive()
    given = sum(frame.window_increment for frame in client.frames[2:] if isinstance(frame, WindowUpdateFrame))
    assert given >= 4 * 8 * 16384 - (1 << 18)
    assert not any(isinstance(frame, RstStreamFrame) for frame in client.frames)


def test_answered_streams_whose_clients_go_on_are_few(stage: Stage) -> None:
    """ADV-E: beyond so many they are reset at once."""
    client = be_rude(stage)
    for number in range(1, 2 * (MOST_DECLINED + 10), 2):
        client.send(client.headers(number, method=b"POST", end=False))
        assert client.is_alive()
    assert client.is_alive()
    resets = [frame for frame in client.frames if isinstance(frame, RstStreamFrame)]
    assert len(resets) == 10
    assert {frame.error_code for frame in resets} == {0}
