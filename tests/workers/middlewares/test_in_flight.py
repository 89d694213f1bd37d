"""InFlightReq and InFlightConn. Exactness over workers is in test_shared_processes.py."""

from __future__ import annotations

import pytest

from config.middlewares_source import IPStrategy, SourceCriterion
from config.middlewares_traffic import InFlightReq
from tests.workers.middlewares.limits import answers, busy, chain, context, exchange
from workers.building import BuildError
from workers.errors import ProxyError
from workers.exchange import Exchange
from workers.middlewares.in_flight_conn import InFlightConn
from workers.middlewares.in_flight_req import in_flight_req as build
from workers.shared import SharedState
from workers.tcp.middlewares import Guards


@pytest.mark.behaviour("MW-102", "MW-103")
def test_one_at_a_time_for_each_host() -> None:
    shared = SharedState.private()
    meanwhile = [exchange(), exchange(host=b"b.test")]

    def inner(first: Exchange) -> None:
        for request in meanwhile:
            chain(build, InFlightReq(amount=1), answers(), context(shared))(request)
        first.respond(200, (), b"")

    first, after = exchange(), exchange()
    handler = chain(build, InFlightReq(amount=1), inner, context(shared))
    handler(first)
    assert (meanwhile[0].status, meanwhile[0].body) == (429, b"max connections reached: 1")
    assert meanwhile[0].headers == []
    assert [first.status, meanwhile[1].status] == [200, 200]
    chain(build, InFlightReq(amount=1), answers(), context(shared))(after)
    assert after.status == 200


def test_a_failure_gives_the_place_back() -> None:
    shared = SharedState.private()

    def fails(_: Exchange) -> None:
        raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            chain(build, InFlightReq(amount=1), fails, context(shared))(exchange())


@pytest.mark.behaviour("MW-104")
def test_no_amount_refuses_everything() -> None:
    refused = exchange()
    chain(build, InFlightReq(), answers())(refused)
    assert (refused.status, refused.body) == (429, b"max connections reached: 0")


def test_wrong_options() -> None:
    both = SourceCriterion(ip_strategy=IPStrategy(), request_host=True)
    with pytest.raises(BuildError, match="error creating requests limiter: iPStrategy and RequestHost are"):
        build(InFlightReq(amount=1, source_criterion=both), context())


def test_connections_by_address() -> None:
    shared = SharedState.private()
    guard = InFlightConn(shared, shared.identity("tcp"), 1)
    assert [guard.enter("10.0.0.1"), guard.enter("10.0.0.1"), guard.enter("10.0.0.2")] == [True, False, True]
    guard.leave("10.0.0.1")
    assert guard.enter("10.0.0.1")
    assert not InFlightConn(shared, shared.identity("closed"), 0).enter("10.0.0.1")


def test_what_cannot_be_asked_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SharedState.private()
    handler = chain(build, InFlightReq(amount=1), answers(), context(shared))
    monkeypatch.setattr(shared._cells, "lock", busy)
    with pytest.raises(ProxyError) as caught:
        handler(exchange())
    assert caught.value.failure.status == 503


def test_a_place_is_given_back_where_the_next_limit_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = SharedState.private(), SharedState.private()
    limits = [InFlightConn(shared, shared.identity("tcp"), 1) for shared in (first, second)]
    guards = Guards(limits)
    with monkeypatch.context() as patched:
        patched.setattr(second._cells, "lock", busy)
        assert not guards.enter("10.0.0.1")
    assert guards.enter("10.0.0.1")
    guards.leave("10.0.0.1")
