"""The object whose references are being followed: what it may see, where it lives, who hears of trouble."""

from __future__ import annotations

from dataclasses import dataclass, replace

from provider.findings import Report
from provider.options import TranslationOptions
from provider.translate.view import View


@dataclass(frozen=True, slots=True)
class Holder:
    """`namespace` decides which references are foreign."""

    view: View
    namespace: str
    report: Report

    @property
    def options(self) -> TranslationOptions:
        return self.view.options

    def at(self, namespace: str) -> Holder:
        """The same, judged from another namespace (that of a Kubernetes Service, for what hangs on it)."""
        return replace(self, namespace=namespace)
