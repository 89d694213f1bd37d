"""Conditions: what they say, that no write is made for nothing, and whom they never disturb."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from config.findings import Finding
from config.static_providers import KubernetesCRD
from provider.kube import seen as seen_module
from provider.kube.api import Api
from provider.kube.connection import configure
from provider.kube.seen import Seen, look
from provider.kube.status import SILENT_SECONDS, StatusWriter, Verdict, condition_of
from provider.resources.kinds import ObjectKey
from tests.kube import KubeServer
from tests.provider.support import route, rule

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = datetime(2026, 1, 3, tzinfo=UTC)
KEY = ObjectKey("IngressRoute", "default", "r")


def finding(severity: Any = "error", reason: str = "ServiceNotFound", **more: str) -> Finding:
    members = {"field": "spec.routes[0]", "message": "there is no Service", "advice": "create it"} | more
    return Finding(kind="IngressRoute", namespace="default", name="r", severity=severity, reason=reason, **members)


def seen(*conditions: dict[str, Any], generation: int = 1) -> Seen:
    metadata = {"name": "r", "namespace": "default", "resourceVersion": "1", "generation": generation}
    return msgspec.convert({"metadata": metadata, "status": {"conditions": list(conditions)}}, Seen)


def test_an_object_without_errors_is_accepted() -> None:
    condition = condition_of(Verdict(3), seen(), NOW)
    assert msgspec.to_builtins(condition) == {
        "type": "Accepted",
        "status": "True",
        "reason": "Accepted",
        "message": "served as written",
        "observedGeneration": 3,
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }


def test_the_first_error_gives_the_reason_and_all_give_the_message() -> None:
    verdict = Verdict(1, (finding("warning", "Odd"), finding(), finding("error", "InvalidRule", advice="")))
    condition = condition_of(verdict, seen(), NOW)
    assert (condition.status, condition.reason) == ("False", "ServiceNotFound")
    assert condition.message == (
        "spec.routes[0]: there is no Service (create it); spec.routes[0]: there is no Service"
    )


def test_warnings_are_told_beside_the_acceptance() -> None:
    condition = condition_of(Verdict(1, (finding("warning", "Odd", field="", advice=""),)), seen(), NOW)
    assert (condition.status, condition.message) == ("True", "served as written; warning: there is no Service")


def test_the_transition_time_is_that_of_the_status() -> None:
    before = msgspec.to_builtins(condition_of(Verdict(1, (finding(),)), seen(), NOW))
    still = condition_of(Verdict(2, (finding("error", "Other"),)), seen(before), LATER)
    assert still.last_transition_time == "2026-01-02T03:04:05Z"
    assert condition_of(Verdict(2), seen(before), LATER).last_transition_time == "2026-01-03T00:00:00Z"


def test_long_messages_are_cut() -> None:
    verdict = Verdict(1, tuple(finding(message="x" * 500, field=str(n)) for n in range(20)))
    assert len(condition_of(verdict, seen(), NOW).message) == 2000


def test_foreign_conditions_stay() -> None:
    other = {"type": "Programmed", "status": "True", "whatever": 1}
    conditions = seen(other, {"type": "Accepted", "status": 5}).conditions_with(
        condition_of(Verdict(1), seen(), NOW)
    )
    assert conditions[0] == other
    assert [one["type"] for one in conditions] == ["Programmed", "Accepted"]


class Bench:
    """A server with one route, a writer, and its clock."""

    def __init__(self, server: KubeServer) -> None:
        self.server = server
        self.api = Api(configure(KubernetesCRD(endpoint=server.url), {}), "0")
        self.now = 0.0
        self.may_write = True
        self.writer = StatusWriter(self.api, lambda: self.may_write, lambda: self.now, lambda: NOW)
        server.apply(route("r", rule("Host(`a`)")))

    def write(self, *findings: Finding) -> set[ObjectKey]:
        generation = self.server.get(*KEY)["metadata"]["generation"]
        return self.writer.write({KEY: Verdict(generation, findings)}, look(self.api, [KEY], ()))

    @property
    def conditions(self) -> list[dict[str, Any]]:
        status: dict[str, Any] = self.server.get(*KEY).get("status", {})
        return list(status.get("conditions", []))

    def patches(self) -> int:
        return sum(request.method == "PATCH" for request in self.server.requests)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with KubeServer() as server:
        made = Bench(server)
        yield made
        made.api.close()


def test_written_once_and_not_again(bench: Bench) -> None:
    for _ in range(3):
        assert bench.write(finding()) == set()
    assert bench.patches() == 1
    assert [(one["status"], one["reason"]) for one in bench.conditions] == [("False", "ServiceNotFound")]
    assert bench.server.get(*KEY)["metadata"]["generation"] == 1, "a status is no new generation"


def test_a_conflict_is_tried_again_with_what_the_other_wrote(bench: Bench) -> None:
    stale = look(bench.api, [KEY], ())
    other = {
        "type": "Theirs",
        "status": "True",
        "reason": "R",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    bench.server.apply({**bench.server.get(*KEY), "status": {"conditions": [other]}})
    assert bench.writer.write({KEY: Verdict(1)}, stale) == {KEY}
    assert bench.write() == set()
    assert [one["type"] for one in bench.conditions] == ["Theirs", "Accepted"]


def test_nothing_is_written_without_the_lease(bench: Bench) -> None:
    bench.may_write = False
    bench.write()
    assert bench.patches() == 0


@pytest.mark.parametrize("why", ["no subresource", "no right"])
def test_a_kind_that_cannot_be_written_is_left_alone_and_told_once(
    why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with KubeServer(crd_status=why != "no subresource") as server:
        bench = Bench(server)
        if why == "no right":
            server.forbid("ingressroutes/status", "patch")
        for _ in range(3):
            bench.write()
        assert bench.patches() == 1
        assert not bench.writer.wants("IngressRoute")
        assert bench.writer.wants("Middleware")
        bench.now = SILENT_SECONDS
        assert bench.writer.kinds_to_try_again() == {"IngressRoute"}
        assert bench.writer.kinds_to_try_again() == set()
        server.allow("ingressroutes/status")
        bench.write()
        assert bool(bench.conditions) is (why == "no right")
        assert len([one for one in caplog.records if "no status is written" in one.getMessage()]) == 1
        bench.api.close()


def test_a_deleted_object_silences_nobody(bench: Bench) -> None:
    stale = look(bench.api, [KEY], ())
    bench.server.delete(*KEY)
    assert bench.writer.write({KEY: Verdict(1)}, stale) == set()
    assert bench.writer.wants("IngressRoute")


@pytest.mark.parametrize("list_from", [1, 100])
def test_looking_at_objects_one_by_one_or_all_at_once(
    bench: Bench, list_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen_module, "LIST_FROM", list_from)
    monkeypatch.setattr(seen_module, "_PAGE", "2")
    bench.server.apply([route(f"r{n}", rule("Host(`a`)")) for n in range(5)])
    keys = [ObjectKey("IngressRoute", "default", f"r{n}") for n in range(6)]
    found = look(bench.api, [*keys, ObjectKey("TLSStore", "default", "gone")], ())
    assert sorted(key.name for key in found) == ["r0", "r1", "r2", "r3", "r4"]
    assert all(one.metadata.uid for one in found.values())
