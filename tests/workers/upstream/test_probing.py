"""Active health checks against real sockets: what is asked, what is believed, and who asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gevent
import pytest

from config.http import HealthCheck
from tests.upstreams import Peer, Upstream
from tests.waiting import wait_until
from workers.building import BuildError
from workers.timers import current_wheel
from workers.upstream.candidate import Candidate
from workers.upstream.probing import CheckOptions, Prober, probe
from workers.upstream.transport import Transport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport(wheel=current_wheel(), dial_timeout_seconds=2)
    yield made
    made.close()


def answering(answers: dict[bytes, bytes], seen: list[bytes]) -> Callable[[Peer], None]:
    """A server that knows an answer for each path, and keeps the heads that came."""

    def serve(peer: Peer) -> None:
        while True:
            try:
                head = peer.read_head()
            except (AssertionError, OSError):
                return
            seen.append(head)
            peer.send(answers.get(head.split(b" ")[1], b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))

    return serve


def asked(transport: Transport, answers: dict[bytes, bytes], **check: object) -> tuple[str, list[bytes]]:
    seen: list[bytes] = []
    with Upstream(answering(answers, seen)) as upstream:
        options = CheckOptions.of(HealthCheck(timeout="2s", **check))  # type: ignore[arg-type]
        return probe(options, transport, Candidate(upstream.url)), seen


def status(code: int, *lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 %d X" % code, *lines, b"Content-Length: 0", b"", b""])


@pytest.mark.behaviour("DP-97")
@pytest.mark.parametrize(
    ("check", "problem"),
    [
        ({"path": "/ok"}, ""),
        ({"path": "/ok", "status": 204}, "status 200, wanted 204"),
        ({"path": "/none"}, ""),
        ({"path": "/bad"}, "status 500"),
        ({"path": "/moved"}, ""),
        ({"path": "/moved", "follow_redirects": False}, ""),
        ({"path": "/to-bad"}, "status 500"),
        ({"path": "/loop"}, "stopped after 10 redirects"),
        ({"path": "http://elsewhere/ok"}, "path 'http://elsewhere/ok' is an absolute URL; write a path"),
        ({"path": "/absent"}, "status 404"),
    ],
)
def test_verdicts(transport: Transport, check: dict[str, object], problem: str) -> None:
    answers = {
        b"/ok": OK,
        b"/none": status(204),
        b"/bad": status(500),
        b"/moved": status(302, b"Location: /ok"),
        b"/to-bad": status(302, b"Location: /bad"),
        b"/loop": status(302, b"Location: /loop"),
    }
    assert asked(transport, answers, **check)[0] == problem


def test_what_is_sent(transport: Transport) -> None:
    problem, seen = asked(
        transport,
        {b"/h?x=1": OK},
        path="/h?x=1",
        method="post",
        hostname="health.example",
        headers={"X-Probe": "1", "Host": "ignored"},
    )
    assert problem == ""
    lines = seen[0].split(b"\r\n")
    assert lines[:2] == [b"POST /h?x=1 HTTP/1.1", b"Host: health.example"]
    assert {b"X-Probe: 1", b"User-Agent: Go-http-client/1.1"} <= set(lines)
    assert b"ignored" not in seen[0]


def test_a_server_that_refuses_or_is_silent(transport: Transport) -> None:
    def silent(peer: Peer) -> None:
        peer.read_to_end()

    with Upstream(silent) as upstream:
        options = CheckOptions.of(HealthCheck(path="/", timeout="200ms"))
        assert "response_timeout" in probe(options, transport, Candidate(upstream.url))
    assert "unreachable" in probe(options, transport, Candidate(upstream.url))


def test_port_and_scheme_override_the_servers(transport: Transport) -> None:
    seen: list[bytes] = []
    with Upstream(answering({b"/h": OK}, seen)) as upstream:
        port = int(upstream.url.rpartition(":")[2])
        options = CheckOptions.of(HealthCheck(path="/h", port=port, scheme="http", timeout="2s"))
        assert probe(options, transport, Candidate("https://127.0.0.1:1")) == ""
        assert b"Host: 127.0.0.1:%d" % port in seen[0]


def test_defaults_and_nonsense() -> None:
    plain = CheckOptions.of(HealthCheck())
    assert (plain.interval_seconds, plain.unhealthy_interval_seconds, plain.timeout_seconds) == (30, 30, 5)
    own = CheckOptions.of(HealthCheck(interval="2s", timeout="-1s"))
    assert (own.interval_seconds, own.unhealthy_interval_seconds, own.timeout_seconds) == (2, 2, 5)
    assert CheckOptions.of(HealthCheck(interval="-1s", unhealthy_interval="7")).unhealthy_interval_seconds == 7
    with pytest.raises(BuildError, match="health check timeout: 'x' is not a duration"):
        CheckOptions.of(HealthCheck(timeout="x"))


def test_grpc_over_tls_is_refused(transport: Transport) -> None:
    options = CheckOptions.of(HealthCheck(mode="grpc", scheme="https"))
    assert "not over https" in probe(options, transport, Candidate("http://127.0.0.1:1"))


@pytest.mark.behaviour("DP-95")
def test_servers_are_asked_again_and_again(transport: Transport) -> None:
    answers, seen = {b"/h": status(500)}, list[bytes]()
    verdicts: list[bool] = []
    with Upstream(answering(answers, seen)) as upstream:
        candidate = Candidate(upstream.url)

        def write(url: str, passed: bool) -> None:
            assert url == upstream.url
            verdicts.append(passed)
            candidate.is_up = candidate.passed_check = passed

        options = CheckOptions.of(HealthCheck(path="/h", interval="20ms"))
        prober = Prober(options, transport, lambda: [candidate], lambda: True, write)
        try:
            wait_until(lambda: verdicts[-2:] == [False, False], pause=gevent.sleep)
            answers[b"/h"] = OK
            wait_until(lambda: verdicts[-2:] == [True, True], pause=gevent.sleep)
        finally:
            prober.stop()


def test_only_one_worker_asks(transport: Transport) -> None:
    turns: list[bool] = []

    def not_mine() -> bool:
        turns.append(True)
        return False

    def never(url: str, passed: bool) -> None:
        raise AssertionError(url)

    options = CheckOptions.of(HealthCheck(path="/h", interval="10ms"))
    prober = Prober(options, transport, lambda: [Candidate("http://127.0.0.1:1")], not_mine, never)
    wait_until(lambda: len(turns) > 5, pause=gevent.sleep)
    prober.stop()


def test_what_was_under_way_at_the_end_tells_nothing(transport: Transport) -> None:
    """Of a service that was replaced; its connection is closed like any other."""
    asked_for, ended = list[bytes](), list[bool]()

    def slow(peer: Peer) -> None:
        asked_for.append(peer.read_head())
        ended.append(peer.read_to_end() == b"")

    def never(url: str, passed: bool) -> None:
        raise AssertionError(url)

    with Upstream(slow) as upstream:
        options = CheckOptions.of(HealthCheck(path="/h", interval="10ms", timeout="300ms"))
        prober = Prober(options, transport, lambda: [Candidate(upstream.url)] * 2, lambda: True, never)
        wait_until(lambda: len(asked_for) == 1, pause=gevent.sleep)
        prober.stop()
        wait_until(lambda: ended == [True], pause=gevent.sleep)
    assert len(asked_for) == 1
