"""What the translation of one object gives, and the accumulator that a translator writes to."""

from __future__ import annotations

from dataclasses import dataclass, field

from config.http import Router, Service
from provider.findings import Report
from provider.resources.kinds import ObjectKey


@dataclass(slots=True)
class Output:
    """Routers and services by bare name, in the order written; a later one of the same name replaces."""

    key: ObjectKey
    report: Report
    routers: dict[str, Router] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)

    @classmethod
    def of(cls, key: ObjectKey) -> Output:
        return cls(key, Report(key))
