"""What the translation of one object gives, and the accumulator that a translator writes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from config.dynamic import SECTIONS
from config.http import Router, Service
from config.shape import Shape
from provider.findings import Report
from provider.resources.kinds import ObjectKey
from provider.translate.view import Reference

ROUTERS: Final = "http.routers"
SERVICES: Final = "http.services"


@dataclass(slots=True)
class Output:
    """Objects by section (of `config.dynamic.SECTIONS`) and bare name; a later one of the same name replaces.

    Certificates are named `namespace/secret`. `created` and `references` (a view's) are set by the builder.
    """

    key: ObjectKey
    report: Report
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    created: str = ""
    fate: tuple[str, str] | None = None
    """Section and name of what stands or falls with all that the object refers to."""
    flaw: str = ""
    """Why workers cannot build it, whatever it refers to; empty if they can."""
    places: dict[str, str] = field(default_factory=dict)
    """Paths of the routes that HTTP routers were made of."""
    parents: set[ObjectKey] = field(default_factory=set)
    references: dict[Reference, str] = field(default_factory=dict)

    @classmethod
    def of(cls, key: ObjectKey) -> Output:
        return cls(key, Report(key))

    def put(self, section: str, name: str, value: Shape) -> None:
        """Raises TypeError for an object that is in the wrong section."""
        if type(value) is not SECTIONS[section].type:
            raise TypeError(f"{section} holds {SECTIONS[section].type.__name__}, not {type(value).__name__}")
        self.sections.setdefault(section, {})[name] = value

    def judge(self, section: str, name: str) -> None:
        """Say that `name` is the object's fate, and whether an error among the findings is its flaw."""
        self.fate = section, name
        first = next((one for one in self.report.findings if one.severity == "error"), None)
        self.flaw = first.message if first is not None else ""

    def of_section(self, section: str) -> dict[str, Any]:
        return self.sections.get(section, {})

    @property
    def routers(self) -> dict[str, Router]:
        """HTTP routers, to be read and written."""
        return self.sections.setdefault(ROUTERS, {})

    @property
    def services(self) -> dict[str, Service]:
        """HTTP services, to be read and written."""
        return self.sections.setdefault(SERVICES, {})
