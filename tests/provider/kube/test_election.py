"""The Lease: who holds it, for how long, and what happens when the holder goes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from config.static_providers import KubernetesCRD
from provider.kube import election as module
from provider.kube.api import Api
from provider.kube.connection import configure
from provider.kube.election import Election, Elector, Lease
from tests.kube import KubeServer
from tests.waiting import wait_until

WALL = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)


def lease(holder: str, version: str = "1", duration: int = 15, **spec: Any) -> Lease:
    members = {"holderIdentity": holder, "leaseDurationSeconds": duration, **spec}
    return msgspec.convert({"metadata": {"resourceVersion": version}, "spec": members}, Lease)


def test_where_there_is_none_we_claim_it() -> None:
    election = Election("us", 15)
    election.saw(None, 0.0)
    assert election.may_claim(0.0)
    assert election.claim(WALL) == {
        "metadata": {},
        "spec": {
            "holderIdentity": "us",
            "leaseDurationSeconds": 15,
            "renewTime": "2026-01-02T03:04:05.000678Z",
            "acquireTime": "2026-01-02T03:04:05.000678Z",
            "leaseTransitions": 0,
        },
    }
    assert not election.holds(0.0), "a claim is nothing before it is accepted"
    election.claimed(lease("us"), 0.0)
    assert election.holds(9.9)
    assert not election.holds(10.0), "we stop writing long before others may think that we are dead"


def test_a_foreign_lease_is_respected_until_it_was_silent_for_its_duration() -> None:
    election = Election("us", 15)
    election.saw(lease("other", "1", duration=30), 100.0)
    assert not election.may_claim(129.9)
    election.saw(lease("other", "2", duration=30), 120.0)
    assert not election.may_claim(149.9), "it was renewed meanwhile"
    election.saw(lease("other", "2", duration=30), 149.9)
    assert election.may_claim(150.0)
    claim = election.claim(WALL)
    assert claim["metadata"] == {"resourceVersion": "2"}
    assert claim["spec"]["leaseTransitions"] == 1


def test_the_holders_clock_means_nothing() -> None:
    election = Election("us", 15)
    election.saw(lease("other", renewTime="1999-01-01T00:00:00.000000Z"), 5.0)
    assert not election.may_claim(19.0)


def test_a_lease_that_was_given_back_is_free_at_once() -> None:
    election = Election("us", 15)
    election.saw(lease(""), 0.0)
    assert election.may_claim(0.0)


def test_a_renewal_is_no_transition() -> None:
    election = Election("us", 15)
    election.saw(lease("us", leaseTransitions=4), 0.0)
    assert set(election.claim(WALL)["spec"]) == {"holderIdentity", "leaseDurationSeconds", "renewTime"}


def test_a_usurper_ends_our_term_at_once() -> None:
    election = Election("us", 15)
    election.claimed(lease("us"), 0.0)
    election.saw(lease("other"), 1.0)
    assert not election.holds(1.0)


def test_release_ends_our_term() -> None:
    election = Election("us", 15)
    election.claimed(lease("us", "7"), 0.0)
    assert election.release() == {
        "metadata": {"resourceVersion": "7"},
        "spec": {"holderIdentity": "", "leaseDurationSeconds": 1},
    }
    assert not election.holds(0.0)


@contextmanager
def elector(
    server: KubeServer, name: str, seconds: int = 3, changed: Callable[[], None] = lambda: None
) -> Iterator[Elector]:
    api = Api(configure(KubernetesCRD(endpoint=server.url), {}), "0")
    one = Elector(api, "infra", "pointsman", Election(name, seconds), changed)
    one.start()
    try:
        yield one
    finally:
        assert one.stop(10)
        api.close()


def leads(one: Elector) -> bool:
    return one.is_leader


def holder(server: KubeServer) -> str:
    return str(server.get("Lease", "infra", "pointsman")["spec"]["holderIdentity"])


def test_one_of_two_leads_and_the_other_follows_when_it_goes() -> None:
    with KubeServer() as server:
        turned = threading.Event()
        with elector(server, "second", changed=turned.set) as second:
            wait_until(lambda: second.is_leader)
            with elector(server, "first") as first:
                server.wait_until(lambda: sum(r.path.endswith("/pointsman") for r in server.requests) > 4, 10)
                assert (second.is_leader, first.is_leader, turned.is_set()) == (True, False, True)
                assert second.stop(10)
                assert leads(second) is False
                wait_until(lambda: first.is_leader)
                assert holder(server) == "first"
        assert holder(server) == "", "given back at the end"


def test_the_renewing_holder_keeps_it() -> None:
    with KubeServer() as server, elector(server, "us") as one:
        wait_until(lambda: one.is_leader)

        def renewals() -> int:
            return sum(request.method == "PATCH" for request in server.requests)

        server.wait_until(lambda: renewals() >= 8, 10)
        assert one.is_leader


def test_without_an_answer_leadership_ends_by_itself() -> None:
    with KubeServer() as server, elector(server, "us") as one:
        wait_until(lambda: one.is_leader)
        with server.outage(503):
            wait_until(lambda: not one.is_leader)
        wait_until(lambda: one.is_leader)


def test_missing_rights_are_told_once_and_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "REFUSED_PAUSE_SECONDS", 0.05)
    caplog.set_level(logging.INFO)
    with KubeServer() as server:
        server.forbid("leases")
        with elector(server, "us") as one:
            server.wait_until(lambda: server.request_count > 3, 10)
            told = [record for record in caplog.records if "nothing is reported" in record.getMessage()]
            assert len(told) == 1
            assert 'resources ["leases"]' in told[0].__dict__["advice"]
            server.allow("leases")
            wait_until(lambda: one.is_leader)


def test_a_lease_that_cannot_be_had_is_known_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFUSED_PAUSE_SECONDS", 0.05)
    turned: list[None] = []
    with KubeServer() as server:
        server.forbid("leases", "create")
        with elector(server, "us", changed=lambda: turned.append(None)) as one:
            wait_until(lambda: one.is_unusable)
            assert not one.is_leader
            wait_until(lambda: len(turned) == 1, what="whoever waits for the Lease is told")
            server.allow("leases", "create")
            wait_until(lambda: one.is_leader and not one.is_unusable)
