"""Events: one for an object, reason and text; counted, limited, and forgotten when the trouble is over."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.findings import Finding
from config.static_providers import KubernetesCRD
from provider.kube.api import Api
from provider.kube.connection import configure
from provider.kube.events import BURST, LONGEST_NOTE, WINDOW_SECONDS, Backlog, EventWriter, Subject
from provider.resources.kinds import ObjectKey
from tests.kube import KubeServer

KEY = ObjectKey("IngressRoute", "default", "r")
START = datetime(2026, 1, 2, tzinfo=UTC)


def finding(reason: str = "R", message: str = "wrong", severity: Any = "error", field: str = "") -> Finding:
    return Finding(
        kind="IngressRoute",
        namespace="default",
        name="r",
        severity=severity,
        reason=reason,
        message=message,
        field=field,
    )


def taken(backlog: Backlog, now: float) -> list[str]:
    return [f"{subject.reason}: {note.message}" for subject, note in backlog.take(now)]


def test_errors_only_and_one_note_a_reason() -> None:
    backlog = Backlog()
    found = (finding("A", "one", field="x"), finding("A", "two"), finding("B"), finding("W", severity="warning"))
    backlog.found(KEY, found, "uid")
    assert taken(backlog, 0.0) == ["A: x: one; two", "B: wrong"]


def test_what_lasts_is_told_once() -> None:
    backlog = Backlog()
    for now in range(0, 4000, 100):
        backlog.found(KEY, (finding(),), "uid")
        assert bool(taken(backlog, float(now))) is (now == 0)


def test_at_most_one_a_subject_in_the_window() -> None:
    backlog = Backlog()
    backlog.found(KEY, (finding(message="one"),), "uid")
    assert taken(backlog, 0.0) == ["R: one"]
    backlog.found(KEY, (finding(message="two"),), "uid")
    backlog.found(KEY, (finding(message="three"),), "uid")
    assert taken(backlog, WINDOW_SECONDS - 1) == []
    assert len(backlog) == 1
    assert taken(backlog, WINDOW_SECONDS) == ["R: three"], "the newest text, late"


def test_what_is_over_is_forgotten() -> None:
    backlog = Backlog()
    backlog.found(KEY, (finding(message="one"),), "uid")
    backlog.take(0.0)
    backlog.found(KEY, (finding(message="two"),), "uid")
    backlog.found(KEY, (), "")
    assert len(backlog) == 0


def test_the_rate_is_bounded() -> None:
    backlog = Backlog()
    for number in range(BURST * 2):
        backlog.found(ObjectKey("IngressRoute", "default", f"r{number}"), (finding(),), "uid")
    assert len(backlog.take(0.0)) == BURST
    assert backlog.take(0.5) == []
    assert len(backlog.take(10.0)) == 10


def test_long_texts_are_cut() -> None:
    backlog = Backlog()
    backlog.found(KEY, (finding(message="ä" * 2000),), "uid")
    ((_, note),) = backlog.take(0.0)
    assert LONGEST_NOTE - 8 < len(note.message.encode()) <= LONGEST_NOTE


class Bench:
    """A server, a writer and their time; `restart` makes a writer that remembers nothing."""

    def __init__(self, server: KubeServer) -> None:
        self.server = server
        self.api = Api(configure(KubernetesCRD(endpoint=server.url), {}), "0")
        self.now = 0.0
        self.may_write = True
        self.restart()

    def restart(self) -> None:
        self.writer = EventWriter(
            self.api,
            "pod-1",
            lambda: self.may_write,
            lambda: self.now,
            lambda: START + timedelta(seconds=self.now),
        )

    def write(self, *findings: Finding, uid: str = "uid-1") -> None:
        self.writer.backlog.found(KEY, findings, uid)
        self.writer.write()

    def events(self) -> list[dict[str, Any]]:
        return self.server.objects("Event")


@pytest.fixture
def bench() -> Iterator[Bench]:
    with KubeServer() as server:
        made = Bench(server)
        yield made
        made.api.close()


def test_what_an_event_says(bench: Bench) -> None:
    bench.write(finding(field="spec.routes[0]"))
    (event,) = bench.events()
    assert event["metadata"]["namespace"] == "default"
    assert event["involvedObject"] == {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "namespace": "default",
        "name": "r",
        "uid": "uid-1",
    }
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "R", "spec.routes[0]: wrong")
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-02T00:00:00Z"
    assert (event["source"], event["reportingInstance"]) == ({"component": "pointsman"}, "pod-1")


def test_a_restart_or_another_replica_counts_up_and_only_after_the_window(bench: Bench) -> None:
    bench.write(finding())
    bench.now = WINDOW_SECONDS - 1
    bench.restart()
    bench.write(finding())
    (event,) = bench.events()
    assert event["count"] == 1
    bench.now = WINDOW_SECONDS
    bench.restart()
    bench.write(finding())
    (event,) = bench.events()
    assert (event["count"], event["lastTimestamp"]) == (2, "2026-01-02T00:10:00Z")


def test_another_object_of_the_same_name_has_its_own(bench: Bench) -> None:
    bench.write(finding())
    bench.restart()
    bench.write(finding(), uid="uid-2")
    assert len(bench.events()) == 2


def test_without_the_lease_nothing_is_written_or_lost(bench: Bench) -> None:
    bench.may_write = False
    bench.write(finding())
    assert bench.events() == []
    bench.may_write = True
    bench.write(finding())
    assert len(bench.events()) == 1


def test_missing_rights_are_told_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench.server.forbid("events")
    for number in range(3):
        bench.write(finding(str(number)))
    assert sum(request.method == "POST" for request in bench.server.requests) == 1
    assert len([one for one in caplog.records if "no Events are written" in one.getMessage()]) == 1
    bench.server.allow("events")
    bench.now = WINDOW_SECONDS
    bench.write(finding("2"))
    assert [event["reason"] for event in bench.events()] == ["2"]


def test_an_outage_loses_nothing(bench: Bench) -> None:
    from provider.kube.errors import ApiError

    with bench.server.outage(503), pytest.raises(ApiError):
        bench.write(finding())
    bench.write(finding())
    assert len(bench.events()) == 1


def test_names_are_valid_however_long_the_object_is_called() -> None:
    from provider.kube.events import Note, event_name

    name = event_name(Subject(ObjectKey("IngressRoute", "n", "a" * 253), "R"), Note("m", "u"))
    assert len(name) <= 253
