"""The object whose references are being followed: what it may see, where it lives, who hears of trouble."""

from __future__ import annotations

from dataclasses import dataclass, replace

from config.naming import Naming
from provider.findings import Report
from provider.options import TranslationOptions
from provider.resources.kinds import ObjectKey
from provider.translate.view import View


@dataclass(frozen=True, slots=True)
class Holder:
    """`namespace` is where names without one of their own are looked for."""

    view: View
    namespace: str
    report: Report

    @property
    def options(self) -> TranslationOptions:
        return self.view.options

    @property
    def naming(self) -> Naming:
        return self.view.naming

    @property
    def referrer(self) -> ObjectKey:
        """The object in which the references are written: its namespace decides which of them are foreign."""
        return self.report.key

    def at(self, namespace: str) -> Holder:
        """The same, looking from another namespace (that of a Kubernetes Service, for what hangs on it)."""
        return replace(self, namespace=namespace)
