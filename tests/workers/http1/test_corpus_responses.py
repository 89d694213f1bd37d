"""The corpus of hostile responses: never two responses for one request, never a connection used with bytes left.

ADV-D: the request that follows gets the good answer to it, on a new connection wherever there is doubt.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import gevent
import pytest

from tests.corpus.answers import Answered, answers_in
from tests.corpus.cases import ResponseCase, response_cases
from tests.corpus.strict import Record, Seen, attend, plain_answer
from tests.playbook import Client, Stage
from tests.upstreams import Peer
from workers.http1 import client as http1_client
from workers.http1 import heads, late_head, responses

PARSERS: dict[str, Callable[[bytes], object]] = {
    "compiled": responses.parse_response,
    "uncompiled": responses.parse_response_uncompiled,
    "slow": responses.parse_response_slowly,
}
if not heads.is_compiled:
    del PARSERS["compiled"]
CASES = response_cases()
NEXT = b"GET /next HTTP/1.1\r\nHost: corpus\r\nConnection: close\r\n\r\n"


class Hostile:
    """A stage whose server answers `/answer` as `case` says."""

    def __init__(self) -> None:
        self.record = Record()
        self.case = CASES[0]
        self.pieces = 1
        self.stage = Stage(self._script)

    def _script(self, peer: Peer) -> None:
        def answer(seen: Seen) -> tuple[bytes, bool]:
            if seen.target != "/answer":
                return plain_answer(seen)
            if self.pieces == 1:
                return self.case.answer, self.case.then == "keep"
            peer.dribble(self.case.answer, max(len(self.case.answer) // self.pieces, 1))
            return b"", self.case.then == "keep"

        attend(self.record, lambda: peer.socket.recv(65536), peer.send, answer)

    def ask(self, case: ResponseCase) -> tuple[list[Answered], bool]:
        """What the client gets, and whether the second request came on a new connection."""
        self.case = case
        client = self.stage.client()
        client.send(case.request)
        received = first_answer(client, case.method)
        client.send(NEXT)
        with contextlib.suppress(OSError):
            received += client.read_to_end()
        _, numbers = self.record.take()
        return answers_in(received, [case.method]), len(numbers) == len(set(numbers))


def first_answer(client: Client, method: str) -> bytes:
    """What comes until there is a whole final answer, or the connection ends."""
    received = b""
    while not _is_whole(received, method):
        try:
            data = client.read_some()
        except ConnectionResetError:
            break
        if not data:
            break
        received += data
    return received


def _is_whole(received: bytes, method: str) -> bool:
    found = answers_in(received, [method])
    return bool(found) and found[-1].status >= 200 and not found[-1].is_cut


@pytest.fixture(scope="module")
def hostile() -> Iterator[Hostile]:
    found = Hostile()
    with found.stage:
        yield found


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
@pytest.mark.behaviour("ADV-D-2")
def test_response(case: ResponseCase, parser: str, hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1_client, "parse_response", PARSERS[parser])
    monkeypatch.setattr(late_head, "parse_response", PARSERS[parser])
    answers, is_fresh = hostile.ask(case)
    assert [short(answer) for answer in answers] == case.client
    assert is_fresh is case.fresh


def short(answer: Answered) -> list[object]:
    """As the case files write it."""
    return [answer.status, answer.body, *(["cut"] if answer.is_cut else [])]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_in_pieces_nothing_is_passed_on_that_was_not_before(case: ResponseCase, hostile: Hostile) -> None:
    """A malformed body may have begun to be passed on when it shows: then the answer is cut, never completed."""
    hostile.pieces = 7
    try:
        answers, _ = hostile.ask(case)
    finally:
        hostile.pieces = 1
    whole = [answer for answer in answers if not answer.is_cut]
    assert "evil" not in [answer.body for answer in whole]
    wanted = [entry for entry in case.client if len(entry) == 2]
    for answer in whole:
        assert short(answer) in wanted
    if len(whole) < len(wanted):
        assert answers[-1].is_cut


def test_the_pool_lets_late_bytes_go() -> None:
    """An answer that comes while nobody asks ends the connection: it is nobody's answer."""
    good = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
    late = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

    def server(peer: Peer) -> None:
        peer.read_head()
        peer.send(good)
        if stage.upstream is not None and stage.upstream.connections == 1:
            gevent.sleep(0.05)
            peer.send(late)
        peer.read_to_end()

    with Stage(server) as stage:
        client = stage.client()
        assert client.get().body == b"good"
        gevent.sleep(0.1)
        assert client.get().body == b"good"
        assert stage.upstream is not None
        assert stage.upstream.connections == 2
