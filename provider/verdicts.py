"""What the provider makes of each object, kept for reports: who changed his mind about what since the last build.

Fed by the main loop after each build, at a cost that follows the change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from config.findings import Finding
from provider.kube.status import Verdict
from provider.options import TranslationOptions
from provider.resources.kinds import ObjectKey
from provider.store import Store
from provider.translate.builder import TRANSLATORS_OF

REPORTED: Final = frozenset(kind for translators in TRANSLATORS_OF.values() for kind in translators)
_NOTHING: Final[tuple[Finding, ...]] = ()


class Verdicts:
    """Owned by one thread. `options` decide whose class an object asks for."""

    def __init__(self, options: TranslationOptions) -> None:
        self._options = options
        self._list: list[Finding] | None = None
        self._findings: dict[ObjectKey, tuple[Finding, ...]] = {}
        self._deferred: set[ObjectKey] = set()

    def update(
        self,
        store: Store,
        changed: Iterable[ObjectKey],
        findings: list[Finding],
        pending: Collection[ObjectKey] = (),
    ) -> dict[ObjectKey, Verdict | None]:
        """Verdicts that may differ from what was said before; None: the object is gone, or not ours.

        `changed` as Store.take_changed reports; `findings` of everything, the same list while nothing changed;
        `pending`: objects whose translation waits, so that nothing can be said yet.
        """
        touched = self._deferred | {key for key in changed if key.name and key.kind in REPORTED}
        if findings is not self._list:
            touched |= self._take(findings)
        self._deferred = {key for key in touched if key in pending}
        return {key: self._verdict(store, key) for key in touched - self._deferred}

    def _take(self, findings: list[Finding]) -> set[ObjectKey]:
        """Group the findings by object; the objects whose findings are others now."""
        grouped: dict[ObjectKey, list[Finding]] = {}
        for finding in findings:
            if finding.name and finding.kind in REPORTED:
                key = ObjectKey(finding.kind, finding.namespace, finding.name)
                grouped.setdefault(key, []).append(finding)
        before, self._findings = self._findings, {key: tuple(found) for key, found in grouped.items()}
        self._list = findings
        either = before.keys() | self._findings.keys()
        return {key for key in either if before.get(key) != self._findings.get(key)}

    def _verdict(self, store: Store, key: ObjectKey) -> Verdict | None:
        resource = store.get(*key)
        found = self._findings.get(key, _NOTHING)
        if resource is None:
            return Verdict(0, found) if found else None
        class_value = getattr(resource, "class_value", None)
        if class_value is not None and not self._options.takes_class(class_value):
            return None
        return Verdict(resource.metadata.generation, found)
