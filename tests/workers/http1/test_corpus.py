"""The corpus of hostile requests through every parser: what client and server see is in the case files.

ADV-D: the server never sees an ambiguous message, nor two requests where one was sent.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.corpus.answers import answers_in
from tests.corpus.cases import RequestCase, request_cases
from tests.corpus.strict import Record, attend, plain_answer
from tests.playbook import Stage
from tests.upstreams import Peer
from workers.http1 import codec, heads, server

PARSERS = {
    "compiled": codec.parse_request,
    "uncompiled": codec.parse_request_uncompiled,
    "slow": codec.parse_request_slowly,
}
if not heads.is_compiled:
    del PARSERS["compiled"]
CASES = request_cases()


class Strict:
    """A stage with the strict server behind it."""

    def __init__(self) -> None:
        self.record = Record()
        self.stage = Stage(self._script)

    def _script(self, peer: Peer) -> None:
        def receive() -> bytes:
            return peer.socket.recv(65536)  # type: ignore[no-any-return]

        attend(self.record, receive, peer.send, plain_answer)


@pytest.fixture(scope="module")
def strict() -> Iterator[Strict]:
    found = Strict()
    with found.stage:
        yield found


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
@pytest.mark.behaviour("ADV-D-1")
def test_request(case: RequestCase, parser: str, strict: Strict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "parse_request", PARSERS[parser])
    client = strict.stage.client()
    client.send(case.wire)
    if case.end == "half-close":
        client.half_close()
    received = b""
    try:
        while piece := client.read_some():
            received += piece
    except ConnectionResetError:
        pass
    seen, _ = strict.record.take()
    assert not strict.record.ambiguous
    assert [answer.status for answer in answers_in(received, case.methods)] == case.status
    assert [one.words for one in seen] == case.server


def test_the_corpus_is_read_whole() -> None:
    assert len({case.id for case in CASES}) == len(CASES) > 400
