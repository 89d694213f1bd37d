"""Services made of services: weights, failover with and without looking at answers, mirrors."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import pytest

from config.http import Cookie
from tests.playbook import Client, Stage
from tests.waiting import wait_until
from workers.errors import UNREACHABLE, ProxyError
from workers.exchange import Exchange, Handler
from workers.middlewares.statuses import parse_range
from workers.upstream.composed import (
    Child,
    ErrorFailoverHandler,
    FailoverHandler,
    RendezvousHandler,
    WeightedHandler,
)
from workers.upstream.mirroring import Mirror, MirroringHandler, wait_for_mirrors


class Service:
    """A service that answers by itself, and keeps the requests that reached it."""

    def __init__(self, name: str, status: int = 200, fails: bool = False) -> None:
        self.name = name
        self.status = status
        self.fails = fails
        self.requests: list[tuple[bytes, bytes, bytes]] = []

    def __call__(self, exchange: Exchange) -> None:
        body = exchange.take_body()
        while not exchange.body_complete:
            body += exchange.read_body()
        self.requests.append((exchange.request.method, exchange.request.target, body))
        if self.fails:
            raise ProxyError(UNREACHABLE)
        exchange.respond(self.status, [(b"X-From", self.name.encode())], self.name.encode())


def post(client: Client, body: bytes) -> int:
    client.send(b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    return client.response().status


def chosen(handler: Handler, count: int) -> list[bytes]:
    with Stage(handler=handler) as stage:
        client = stage.client()
        return [client.get().body for _ in range(count)]


@pytest.mark.behaviour("DP-88")
def test_weighted() -> None:
    children = [Child("a", Service("a"), 3), Child("b", Service("b"), 1), Child("c", Service("c"), 0)]
    picked = chosen(WeightedHandler("w@p", children), 8)
    assert [picked[:4].count(b"a"), picked[:4].count(b"b"), picked.count(b"a"), picked.count(b"c")] == [3, 1, 6, 0]


def test_nothing_has_weight() -> None:
    children = [Child("a", Service("a"), 0)]
    for handler in (WeightedHandler("w@p", children), RendezvousHandler(children)):
        assert chosen(handler, 1) == [b"no available server\n"]


@pytest.mark.behaviour("DP-94")
def test_a_cookie_at_every_level() -> None:
    inner = WeightedHandler("i@p", [Child("x", Service("x"), 1)], Cookie(name="inner"))
    outer = WeightedHandler("o@p", [Child("i", inner, 1), Child("j", Service("j"), 0)], Cookie(name="outer"))
    with Stage(handler=outer) as stage:
        client = stage.client()
        told = [value for name, value in client.get().headers if name == b"Set-Cookie"]
        assert [line.partition(b"=")[0] for line in told] == [b"outer", b"inner"]
        back = b"Cookie: " + b"; ".join(line.partition(b";")[0] for line in told)
        assert client.get(b"/", back)[b"set-cookie"] is None


def test_clients_stay_with_their_service() -> None:
    children = [Child(name, Service(name), 1) for name in "abc"]
    assert len(set(chosen(RendezvousHandler(children), 5))) == 1


@pytest.mark.behaviour("DP-101")
def test_failover() -> None:
    state = [True]
    handler = FailoverHandler(Service("main"), Service("fallback"), lambda: state[0])
    with Stage(handler=handler) as stage:
        client = stage.client()
        assert client.get().body == b"main"
        state[0] = False
        assert client.get().body == b"fallback"
        state[0] = True
        assert client.get().body == b"main"


def failover(main: Service, fallback: Service, limit: int | None = None, up: bool = True) -> Handler:
    return ErrorFailoverHandler(main, fallback, [parse_range("500-599")], limit, lambda: up)


@pytest.mark.behaviour("DP-101")
@pytest.mark.parametrize("main", [Service("main", 503), Service("main", fails=True)])
def test_an_answer_that_is_listed_is_dropped_and_the_request_sent_again(main: Service) -> None:
    main.requests.clear()
    fallback = Service("fallback")
    with Stage(handler=failover(main, fallback)) as stage:
        client = stage.client()
        client.send(b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
        response = client.response()
        assert (response.body, response[b"x-from"]) == (b"fallback", b"fallback")
        assert main.requests == fallback.requests == [(b"POST", b"/p", b"body")]


def test_other_answers_pass() -> None:
    fallback = Service("fallback")
    assert chosen(failover(Service("main", 404), fallback), 1) == [b"main"]
    assert not fallback.requests


def test_a_main_service_that_is_down_is_not_asked() -> None:
    main = Service("main")
    assert chosen(failover(main, Service("fallback"), up=False), 1) == [b"fallback"]
    assert not main.requests


@pytest.mark.behaviour("DP-101")
def test_a_body_above_the_limit_is_refused() -> None:
    main = Service("main")
    with Stage(handler=failover(main, Service("fallback"), limit=4)) as stage:
        client = stage.client()
        assert post(client, b"four") == 200
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n")
        assert client.response().body == b"Request body too large\n"
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde")
        refused = client.response()
        assert (refused.status, len(main.requests)) == (413, 1)


def test_both_fail() -> None:
    assert chosen(failover(Service("main", 500), Service("fallback", 500)), 1) == [b"fallback"]


def mirrored(
    percent: int, count: int, *, mirror: Service | None = None, fails: bool = False, **options: object
) -> tuple[Service, list[int], Callable[[Client], int] | None]:
    """The mirror, and the numbers (from 1) of the requests that it got."""
    copy = mirror or Service("mirror", fails=fails)
    settings = {"with_body": True, "limit_bytes": -1} | options
    handler = MirroringHandler(Service("main"), [Mirror("m", copy, percent)], **settings)  # type: ignore[arg-type]
    numbers: list[int] = []
    with Stage(handler=handler) as stage:
        client = stage.client()
        for number in range(1, count + 1):
            before = len(copy.requests)
            assert client.get(b"/%d" % number).body == b"main"
            wait_until(lambda: handler._under_way == 0, pause=gevent.sleep)
            if len(copy.requests) > before:
                numbers.append(number)
    return copy, numbers, None


@pytest.mark.behaviour("DP-99")
@pytest.mark.parametrize(
    ("percent", "expected"), [(10, [1, 11]), (50, [1, 3, 5, 7, 9, 11]), (0, []), (100, list(range(1, 13)))]
)
def test_a_share_of_the_requests_is_mirrored(percent: int, expected: list[int]) -> None:
    assert mirrored(percent, 12)[1] == expected


@pytest.mark.behaviour("DP-100")
def test_nobody_notices_a_dead_mirror() -> None:
    assert mirrored(100, 3, fails=True)[1] == [1, 2, 3]


@pytest.mark.behaviour("DP-100")
@pytest.mark.parametrize(("body", "copies"), [(b"12345678", 1), (b"123456789", 0)])
def test_large_bodies_are_not_mirrored(body: bytes, copies: int) -> None:
    main, copy = Service("main"), Service("mirror")
    handler = MirroringHandler(main, [Mirror("m", copy, 100)], with_body=True, limit_bytes=8)
    with Stage(handler=handler) as stage:
        client = stage.client()
        chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        for framed in (
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
            b"Transfer-Encoding: chunked\r\n\r\n" + chunk,
        ):
            client.send(b"POST /p HTTP/1.1\r\nHost: a\r\n" + framed)
            assert client.response().body == b"main"
        wait_until(lambda: handler._under_way == 0, pause=gevent.sleep)
    assert main.requests == [(b"POST", b"/p", body)] * 2
    assert copy.requests == [(b"POST", b"/p", body)] * 2 * copies


def test_without_bodies() -> None:
    main, copy = Service("main"), Service("mirror")
    handler = MirroringHandler(main, [Mirror("m", copy, 100)], with_body=False, limit_bytes=-1)
    with Stage(handler=handler) as stage:
        assert post(stage.client(), b"body") == 200
        wait_until(lambda: bool(copy.requests), pause=gevent.sleep)
    assert (main.requests[0][2], copy.requests[0][2]) == (b"body", b"")


@pytest.mark.parametrize("body", [b"", b"12345678"])
def test_a_failure_of_the_main_service_is_mirrored(body: bytes) -> None:
    main, copy = Service("main", fails=True), Service("mirror")
    handler = MirroringHandler(main, [Mirror("m", copy, 100)], with_body=True, limit_bytes=-1)
    with Stage(handler=handler) as stage:
        assert post(stage.client(), body) == 502
        wait_until(lambda: copy.requests == [(b"POST", b"/p", body)], pause=gevent.sleep)
    assert handler._under_way == 0


def test_the_main_answer_does_not_wait_for_mirrors() -> None:
    release = gevent.event.Event()

    def slow(exchange: Exchange) -> None:
        release.wait(5)
        exchange.respond(200, (), b"")

    handler = MirroringHandler(Service("main"), [Mirror("m", slow, 100)], with_body=True, limit_bytes=-1)
    with Stage(handler=handler) as stage:
        assert stage.client().get().body == b"main"
        assert handler._under_way == 1
        assert not wait_for_mirrors(0.01)
        release.set()
        assert wait_for_mirrors(5)
        assert handler._under_way == 0
