"""Findings: paths, no repetition, one log line each."""

from __future__ import annotations

import logging

import pytest

from provider.findings import FindingLog, Rejected, Report
from provider.resources.kinds import ObjectKey

KEY = ObjectKey("IngressRoute", "default", "r")


def test_paths_grow_outwards() -> None:
    error = Rejected("R", "m", field="port", advice="a").within("services[1]").within("spec.routes[0]")
    assert error.field == "spec.routes[0].services[1].port"
    assert Rejected("R", "m").within("spec").field == "spec"


def test_a_report_says_everything_once() -> None:
    report = Report(KEY)
    for _ in range(2):
        report.rejected(Rejected("R", "m", field="f"))
        report.warning("W", "m")
    assert [(finding.severity, finding.reason) for finding in report.findings] == [
        ("error", "R"),
        ("warning", "W"),
    ]
    assert (report.findings[0].kind, report.findings[0].namespace, report.findings[0].name) == KEY


def test_a_finding_is_logged_when_it_appears(caplog: pytest.LogCaptureFixture) -> None:
    report = Report(KEY)
    report.rejected(Rejected("R", "broken", field="spec.f", advice="repair"))
    report.warning("W", "odd")
    written = FindingLog()
    with caplog.at_level(logging.WARNING, logger="provider"):
        assert len(written.update(report.findings)) == 2
        assert written.update(report.findings) == []
        assert written.update([]) == []
        assert len(written.update(report.findings[:1])) == 1
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING", "ERROR"]
    assert caplog.records[0].getMessage() == "IngressRoute default/r spec.f: broken (repair)"
