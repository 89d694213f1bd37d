"""Findings of one build: gathered per object while it is translated, logged once when new.

Translation raises Rejected for what makes a route or object unusable and notes warnings beside it; both end
as `config.findings.Finding` with the path of the field and what to change.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from config.findings import Finding, Severity
from provider.resources.kinds import ObjectKey

log = logging.getLogger(__name__)

LONGEST_MESSAGE: Final = 2000
"""Characters of a sentence."""


class Rejected(Exception):
    """Something cannot be used. `field` is relative to what the catcher translates; `within` prefixes it."""

    def __init__(self, reason: str, message: str, *, field: str = "", advice: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
        self.advice = advice

    @property
    def said(self) -> tuple[str, str, str, str]:
        """Everything, to be compared."""
        return self.reason, self.message, self.field, self.advice

    def within(self, prefix: str) -> Rejected:
        """The same with the field's path below `prefix`."""
        field = f"{prefix}.{self.field}" if self.field else prefix
        return Rejected(self.reason, self.message, field=field, advice=self.advice)


class Report:
    """Collects the findings of one object, in the order they are met."""

    __slots__ = ("findings", "key")

    def __init__(self, key: ObjectKey) -> None:
        self.key = key
        self.findings: list[Finding] = []

    def rejected(self, error: Rejected) -> None:
        self._add("error", error.reason, error.message, error.field, error.advice)

    def warning(self, reason: str, message: str, *, field: str = "", advice: str = "") -> None:
        self._add("warning", reason, message, field, advice)

    def _add(self, severity: Severity, reason: str, message: str, field: str, advice: str) -> None:
        if len(message) > LONGEST_MESSAGE:
            # a name may be a mebibyte long, and findings go to logs, the API and conditions
            message = f"{message[:LONGEST_MESSAGE]} ..."
        finding = Finding(
            kind=self.key.kind,
            namespace=self.key.namespace,
            name=self.key.name,
            severity=severity,
            reason=reason,
            message=message,
            field=field,
            advice=advice,
        )
        if finding not in self.findings:
            self.findings.append(finding)


class FindingLog:
    """Writes each finding to the log when it appears, not again while it lasts."""

    def __init__(self) -> None:
        self._known: set[tuple[str, ...]] = set()

    def update(self, current: Iterable[Finding]) -> list[Finding]:
        """Log and return what is new in `current`; forget what is no longer there."""
        by_identity = {_identity(finding): finding for finding in current}
        fresh = [finding for identity, finding in by_identity.items() if identity not in self._known]
        self._known = set(by_identity)
        for finding in fresh:
            level = logging.ERROR if finding.severity == "error" else logging.WARNING
            log.log(level, "%s", finding, extra={"reason": finding.reason})
        return fresh


def _identity(finding: Finding) -> tuple[str, ...]:
    return (
        finding.kind,
        finding.namespace,
        finding.name,
        finding.severity,
        finding.reason,
        finding.field,
        finding.message,
    )
