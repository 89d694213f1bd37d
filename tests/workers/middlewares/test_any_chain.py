"""Any three middlewares, any request: one answer, framed as it says, and nothing left behind.

Chains and conversations are drawn with a fixed seed. What the server does is told by a header that no middleware
here touches, so the same conversation may come through whole, refused, redirected, compressed or replaced; what
must hold for all of them is checked.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import gevent
import pytest
from h2.events import ConnectionTerminated
from h2.exceptions import ProtocolError

from config.cells import ALL_ROWS
from config.middlewares_auth import BasicAuth, DigestAuth, ForwardAuth, PassTLSClientCert
from config.middlewares_paths import (
    AddPrefix,
    EncodedCharacters,
    RedirectRegex,
    RedirectScheme,
    ReplacePath,
    ReplacePathRegex,
    StripPrefix,
    StripPrefixRegex,
)
from config.middlewares_responses import Compress, ContentType, Errors, GrpcWeb, Headers
from config.middlewares_source import IPAllowList, IPStrategy, SourceCriterion
from config.middlewares_traffic import Buffering, CircuitBreaker, InFlightReq, RateLimit, Retry
from tests.playbook import Client, Stage
from tests.upstreams import Peer, Upstream, body_of
from tests.waiting import wait_until
from tests.workers.http2.client import Conversation, converse
from tests.workers.middlewares.around import context, service
from workers.exchange import Exchange, Handler
from workers.middlewares import BUILDERS
from workers.shared import SharedState
from workers.wrapping import WrappedExchange

SEED: Final = 20260
CHAINS: Final = 40
CONVERSATIONS: Final = 5
LONG: Final = b"some text of a server " * 400
BODY: Final = bytes(range(256)) * 40

Maker = Callable[[str], Any]
"""Makes the options of one instance; gets the URL of the auth server."""
KINDS: Final[dict[str, list[Maker]]] = {
    "addPrefix": [lambda _: AddPrefix(prefix="/api")],
    "basicAuth": [
        lambda _: BasicAuth(users=["test:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M="], header_field="X-User"),
    ],
    "buffering": [
        lambda _: Buffering(mem_request_body_bytes=100, mem_response_body_bytes=100),
        lambda _: Buffering(max_request_body_bytes=1000, max_response_body_bytes=5000),
        lambda _: Buffering(retry_expression="IsNetworkError() && Attempts() <= 2"),
    ],
    "circuitBreaker": [lambda _: CircuitBreaker(expression="NetworkErrorRatio() > 0.9")],
    "compress": [
        lambda _: Compress(encodings=["gzip", "br", "zstd"]),
        lambda _: Compress(encodings=["zstd"], default_encoding="zstd", min_response_body_bytes=1),
    ],
    "contentType": [lambda _: ContentType()],
    "digestAuth": [lambda _: DigestAuth(users=["test:traefik:a2688e031edb4be6a3797f3882655c05"])],
    "encodedCharacters": [lambda _: EncodedCharacters()],
    "errors": [
        lambda _: Errors(status=["400-599"], query="/{status}", service="page"),
        lambda _: Errors(status=["200-299"], status_rewrites={"200-299": 204}, service="page"),
    ],
    "forwardAuth": [
        lambda auth: ForwardAuth(address=auth, add_auth_cookies_to_response=["sid"]),
        lambda auth: ForwardAuth(address=auth, forward_body=True, preserve_request_method=True),
        lambda auth: ForwardAuth(address=auth, forward_body=True, max_body_size=1000),
    ],
    "grpcWeb": [lambda _: GrpcWeb(allow_origins=["*"])],
    "headers": [
        lambda _: Headers(custom_response_headers={"X-A": "b", "Server": ""}, frame_deny=True),
        lambda _: Headers(access_control_allow_methods=["GET"], access_control_allow_origin_list=["*"]),
        lambda _: Headers(custom_response_headers={"Connection": "close"}),
        lambda _: Headers(custom_request_headers={"Host": "b.example", "X-A": ""}),
        lambda _: Headers(allowed_hosts=["c.example"]),
    ],
    "inFlightReq": [
        lambda _: InFlightReq(amount=1),
        lambda _: InFlightReq(amount=0, source_criterion=SourceCriterion(request_host=True)),
    ],
    "ipAllowList": [
        lambda _: IPAllowList(source_range=["127.0.0.1"]),
        lambda _: IPAllowList(source_range=["127.0.0.1"], ip_strategy=IPStrategy(depth=1), reject_status_code=404),
    ],
    "passTLSClientCert": [lambda _: PassTLSClientCert(pem=True)],
    "rateLimit": [lambda _: RateLimit(average=5, burst=4)],
    "redirectRegex": [lambda _: RedirectRegex(regex="^http://[^/]+/x(.*)$", replacement="/y$1")],
    "redirectScheme": [lambda _: RedirectScheme(scheme="http", port="81"), lambda _: RedirectScheme(scheme="ws")],
    "replacePath": [lambda _: ReplacePath(path="/r")],
    "replacePathRegex": [lambda _: ReplacePathRegex(regex="^/(.)", replacement="/$1$1")],
    "retry": [
        lambda _: Retry(attempts=3, status=["500-599"], retry_non_idempotent_method=True),
        lambda _: Retry(attempts=2, status=["503"], max_request_body_bytes=1000, initial_interval="1ms"),
        lambda _: Retry(attempts=2),
    ],
    "stripPrefix": [lambda _: StripPrefix(prefixes=["/x"])],
    "stripPrefixRegex": [lambda _: StripPrefixRegex(regex=["/[a-z]"])],
}
BODILESS: Final = (204, 304)


def answers() -> dict[bytes, bytes]:
    """What the server sends, by name; after those in UNFINISHED it hangs up."""
    event = b"data: one\n\n"
    length = b"Content-Length: %d\r\n\r\n"
    return {
        b"long": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + length % len(LONG) + LONG,
        b"short": b"HTTP/1.1 200 OK\r\n" + length % 2 + b"ok",
        b"empty": b"HTTP/1.1 200 OK\r\n" + length % 0,
        b"chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"trailers": b"HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0\r\nX-T: v\r\n\r\n",
        b"events": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n%b\r\n" % (len(event), event) * 3
        + b"0\r\n\r\n",
        b"busy": b"HTTP/1.1 503 Busy\r\nX-Busy: 1\r\n" + length % 4 + b"busy",
        b"none": b"HTTP/1.1 204 No Content\r\n\r\n",
        b"same": b'HTTP/1.1 304 Not Modified\r\nEtag: "x"\r\n\r\n',
        b"part": b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-1999/9000\r\n" + length % 2000 + LONG[:2000],
        b"hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n" + length % 2 + b"ok",
        b"cut": b"HTTP/1.1 200 OK\r\n" + length % 9000 + LONG[:5000],
        b"cut-chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"cut-head": b"HTTP/1.1 200 OK\r\nTransf",
        b"silent": b"",
    }


ANSWERS: Final = answers()
UNFINISHED: Final = (b"cut", b"cut-chunks", b"cut-head", b"silent")


def play(peer: Peer) -> None:
    """The server, and the one with pages."""
    while data := peer.read_some():
        peer.unread = data
        head = peer.read_head()
        told = {name.lower(): value for name, _, value in (one.partition(b": ") for one in head.split(b"\r\n"))}
        if b"upgrade" in told:
            peer.send(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            while data := peer.read_some():
                peer.send(data)
            return
        if b"expect" in told:
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body_of(head, peer)
        wanted = told.get(b"x-play", b"short")
        whole = ANSWERS[wanted]
        before, end, after = whole.partition(b"\r\n\r\n")
        peer.send(before + end if head.startswith(b"HEAD ") and end and wanted != b"hints" else whole)
        if wanted in UNFINISHED or (head.startswith(b"HEAD ") and after.startswith(b"HTTP/")):
            return


def allow(peer: Peer) -> None:
    """The auth server: it takes everybody but those who ask to be refused."""
    while data := peer.read_some():
        peer.unread = data
        head = peer.read_head()
        if b"Expect: " in head:
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body_of(head, peer)
        status = b"302 Found\r\nLocation: /login" if b"X-Refuse: 1" in head else b"200 OK"
        peer.send(b"HTTP/1.1 %b\r\nSet-Cookie: sid=1\r\nContent-Length: 0\r\n\r\n" % status)


def requests(chance: random.Random) -> tuple[bytes, bytes, bytes, bool]:
    """(method, head lines, body, is it an upgrade)."""
    method = chance.choice([b"GET", b"GET", b"HEAD", b"OPTIONS", b"POST", b"POST", b"PUT"])
    lines = [b"X-Play: " + chance.choice(list(ANSWERS))]
    if chance.random() < 0.7:
        lines.append(b"Authorization: Basic dGVzdDp0ZXN0")
    if chance.random() < 0.5:
        lines.append(b"Accept-Encoding: " + chance.choice([b"gzip", b"br", b"*", b"gzip, br"]))
    if chance.random() < 0.2:
        lines.append(b"X-Refuse: 1")
    if method == b"OPTIONS":
        lines += [b"Origin: http://o", b"Access-Control-Request-Method: GET"]
        if chance.random() < 0.5:
            lines.append(b"Access-Control-Request-Headers: x-grpc-web")
    body = b""
    if method in (b"POST", b"PUT"):
        body = chance.choice([b"", b"x", BODY, BODY * 20])
        if chance.random() < 0.2:
            lines.append(b"Content-Type: application/grpc-web")
    return method, b"\r\n".join(lines), body, method == b"GET" and chance.random() < 0.25


class Ground:
    """A stage with one chain in front of the server."""

    def __init__(self, makers: Sequence[tuple[str, Maker]], pages: str, auth: str) -> None:
        self.stage = Stage(play)
        self.shared = SharedState.private()
        around = context(self.stage.transport, self.shared, {"page": service(pages, self.stage.transport)})
        self.chain = [(name, make(auth)) for name, make in makers]
        handler = self.stage.table.handler
        assert handler is not None
        for name, options in reversed(self.chain):
            handler = BUILDERS[name](options, around)(handler)
        self.answers: list[Answers] = []
        self.stage.table.handler = self.counted(handler)

    def counted(self, handler: Handler) -> Handler:
        def count(exchange: Exchange) -> None:
            seen = Answers(exchange)
            self.answers.append(seen)
            try:
                handler(exchange)
            finally:
                seen.running = False

        return count

    @property
    def gauges(self) -> int:
        """All slots of limits in use, as long as there are few."""
        cells = self.shared._cells
        counts = bytes(cells.gauge_counts[: cells.used_slots * ALL_ROWS])
        return len(counts) - counts.count(0)


class Answers:
    """How often one exchange was answered."""

    def __init__(self, exchange: Exchange) -> None:
        self.heads = 0
        self.running = True
        self.exchange = exchange
        exchange.add_hook(self._head)

    def _head(self, _exchange: Exchange, _head: object) -> None:
        self.heads += 1


def speak_http1(chance: random.Random, client: Client) -> bool:
    """One conversation; is the connection still open?"""
    method, lines, body, upgrades = requests(chance)
    start = method + b" /x/path?q=1 HTTP/1.1\r\nHost: a.example\r\n" + lines + b"\r\n"
    if upgrades:
        client.send(start + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    elif body and chance.random() < 0.3:
        client.send(start + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
    elif body and chance.random() < 0.5:
        framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        client.send(start + b"Transfer-Encoding: chunked\r\n\r\n" + framed)
        body = b""
    else:
        client.send(start + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        body = b""
    return read_answer(client, method, body, upgrades)


def read_answer(client: Client, method: bytes, body: bytes, upgrades: bool) -> bool:
    """Read what comes, strictly. `body`: sent when a 100 comes."""
    while True:
        try:
            more = client.socket.recv(65536) if not client.unread else client.unread
        except ConnectionResetError:
            return False
        client.unread = more
        if not more:
            return False
        head = client.head()
        if head.status >= 200 or head.status == 101:
            break
        if head.status == 100 and body:
            client.send(body)
            body = b""
    if head.status == 101:
        assert upgrades
        client.send(b"ping")
        assert client.read_exactly(4) == b"ping"
        return False
    closes = head[b"connection"] == b"close"
    assert not body or closes, "the body was not asked for: what follows would be read as a request"
    length, coding = head[b"content-length"], head[b"transfer-encoding"]
    assert length is None or coding is None
    try:
        if method == b"HEAD" or head.status in BODILESS:
            assert head.status != 204 or (length, coding) == (None, None)
        elif coding is not None:
            client.chunks()
        elif length is not None:
            client.read_exactly(int(length))
        else:
            raise AssertionError("a body without an end")
    except (AssertionError, ValueError) as error:
        if "ended" not in str(error) and "invalid literal" not in str(error):
            raise
        client.unread = b""
        assert client.is_closed()
        return False
    if closes:
        assert client.is_closed()
    return not closes


def speak_http2(chance: random.Random, client: Conversation) -> bool:
    """One conversation; may the connection be used again?"""
    try:
        ask_http2(chance, client)
    except ProtocolError as error:
        # the client's library takes nothing more once it has read a GOAWAY, streams under way included
        if "in state ConnectionState.CLOSED" not in str(error):
            raise
        return False
    return not any(isinstance(event, ConnectionTerminated) for event in client.seen)


def ask_http2(chance: random.Random, client: Conversation) -> None:
    method, lines, body, _ = requests(chance)
    fields = [(name.lower(), value) for name, _, value in (one.partition(b": ") for one in lines.split(b"\r\n"))]
    if body and chance.random() < 0.3:
        fields.append((b"content-length", b"%d" % len(body)))
    stream = client.ask(b"/x/path?q=1", *fields, method=method, body=None if body else b"")
    sent = 0
    while sent < len(body) and not client.answers[stream].is_over:
        room = min(client.h2.local_flow_control_window(stream), client.h2.max_outbound_frame_size)
        if room <= 0:
            client.read()
            continue
        piece = body[sent : sent + room]
        sent += len(piece)
        client.data(stream, piece, end=sent == len(body))
    answer = client.answer(stream)
    length = answer[b"content-length"]
    if answer.error_code is None and length is not None and method != b"HEAD" and answer.status not in BODILESS:
        assert int(length) == len(answer.body)


def descriptors() -> int:
    """Sockets and temporary files of this process."""
    links = []
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            links.append(os.readlink(path))
    return sum(link.startswith("socket:") or "/pointsman-" in link for link in links)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[str, str]]:
    with Upstream(play) as pages, Upstream(allow) as auth:
        yield pages.url, auth.url


@pytest.mark.parametrize("number", range(CHAINS))
def test_any_chain(number: int, servers: tuple[str, str]) -> None:
    chance = random.Random(SEED + number)
    before = descriptors()
    makers = [(name, chance.choice(KINDS[name])) for name in chance.choices(list(KINDS), k=3)]
    ground = Ground(makers, *servers)
    with ground.stage as stage:
        client = stage.client()
        client.socket.settimeout(4)
        for _ in range(CONVERSATIONS):
            if not speak_http1(chance, client):
                client.close()
                client = stage.client()
        client.close()
        streams = converse(stage)
        for _ in range(CONVERSATIONS // 2):
            if not speak_http2(chance, streams):
                streams.peer.close()
                streams = converse(stage)
        wait_until(lambda: not any(one.running for one in ground.answers), pause=gevent.sleep)
        for one in ground.answers:
            assert one.heads <= 1, (ground.chain, one.exchange.request)
        assert not ground.gauges
        assert not stage.log, ground.chain
    wait_until(lambda: descriptors() <= before, what=f"no descriptor left of {ground.chain}", pause=gevent.sleep)


STOPS_UPGRADES: Final = {
    ("digestAuth", 0): 401,
    ("headers", 4): 500,
    ("inFlightReq", 1): 429,
    ("ipAllowList", 1): 404,
    ("redirectRegex", 0): 302,
    ("redirectScheme", 0): 302,
    ("redirectScheme", 1): 302,
}
"""What answers by itself, by kind and which of its options."""


@pytest.mark.parametrize(("name", "which"), [(name, which) for name in KINDS for which in range(len(KINDS[name]))])
def test_upgrades_pass_or_are_refused(name: str, which: int, servers: tuple[str, str]) -> None:
    ground = Ground([(name, KINDS[name][which])], *servers)
    with ground.stage as stage:
        client = stage.client()
        client.send(
            b"GET /x/ HTTP/1.1\r\nHost: a.example\r\nAuthorization: Basic dGVzdDp0ZXN0\r\n"
            b"Accept-Encoding: zstd\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        head = client.head()
        assert head.status == STOPS_UPGRADES.get((name, which), 101)
        if head.status == 101:
            assert head[b"vary"] == (b"Accept-Encoding" if name == "compress" else None)
            client.send(b"ping")
            assert client.read_exactly(4) == b"ping"
            assert ground.gauges == (name == "inFlightReq")
            client.close()
        wait_until(lambda: not ground.answers[0].running, pause=gevent.sleep)
        assert ground.answers[0].heads == (head.status != 101)
        assert not ground.gauges


def test_nobody_splices_past_a_middleware() -> None:
    """What passes in the kernel is seen by nobody: an exchange around another one must say that it does not."""
    import_module("workers.services")  # and with it all handlers there are
    found = [WrappedExchange]
    for one in found:
        found += one.__subclasses__()
    assert len(found) > 10
    for one in found:
        assert one.splice_response is Exchange.splice_response
        assert one.splice_request is Exchange.splice_request
