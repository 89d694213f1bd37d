"""Store -> configuration and findings; whole at first, then only what a change touches.

`build` is the pure function: everything, from scratch. Builder gives the same result step by step: it
remembers each object's output with the keys it read, and translates again only objects that changed and
readers of what changed. Where two objects write the same name the winner does not depend on the order of
events: the later translator in TRANSLATORS, then the later object by namespace and name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from config.findings import Finding
from config.http import HTTPConfiguration, Router, Service
from provider.options import TranslationOptions
from provider.resources.kinds import INGRESS_ROUTE, ObjectKey
from provider.store import ALL_NODES, Store
from provider.translate import ingressroute
from provider.translate.output import Output
from provider.translate.view import View

T = TypeVar("T")

TRANSLATORS: Final[dict[str, Callable[[View, Any], Output]]] = {
    INGRESS_ROUTE.name: ingressroute.translate,
}
"""Translator of each kind that makes configuration, in the order in which later ones win a name."""

_RANK: Final = {kind: rank for rank, kind in enumerate(TRANSLATORS)}
_Owner = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class BuildResult:
    """Names are bare (without `@kubernetescrd`); findings are those of the store, then by object."""

    configuration: HTTPConfiguration
    findings: list[Finding]


@dataclass(slots=True)
class Changes:
    """What an update may have changed: bare names of routers and services, keys of objects with findings."""

    routers: set[str] = field(default_factory=set)
    services: set[str] = field(default_factory=set)
    findings: set[ObjectKey] = field(default_factory=set)


def build(store: Store, options: TranslationOptions) -> BuildResult:
    """Translate everything in the store. Pure: the store is only read."""
    builder = Builder(options)
    builder.build_all(store)
    return builder.result(store)


class Builder:
    """Keeps the translation of a store up to date. Owned by one thread."""

    def __init__(self, options: TranslationOptions) -> None:
        self._options = options
        self.routers: Contested[Router] = Contested()
        self.services: Contested[Service] = Contested()
        self.findings: dict[ObjectKey, list[Finding]] = {}
        self._outputs: dict[ObjectKey, Output] = {}
        self._reads: dict[ObjectKey, set[ObjectKey]] = {}
        self._readers: dict[ObjectKey, set[ObjectKey]] = {}

    @property
    def wants_nodes(self) -> bool:
        """Whether any route asks for Nodes."""
        return ALL_NODES in self._readers

    def build_all(self, store: Store) -> Changes:
        """Translate every object again, those that are gone included."""
        keys = {key for kind in TRANSLATORS for key in store.keys(kind)}
        return self._translate(store, keys | set(self._outputs))

    def update(self, store: Store, changed: Iterable[ObjectKey]) -> Changes:
        """Translate what the changed keys (as Store.take_changed reports them) touch."""
        affected: set[ObjectKey] = set()
        for key in changed:
            if key.kind in TRANSLATORS:
                affected.add(key)
            affected |= self._readers.get(key, set())
        return self._translate(store, affected)

    def result(self, store: Store) -> BuildResult:
        """The whole as it stands after the last build or update."""
        findings = [one for _, found in sorted(self.findings.items()) for one in found]
        configuration = HTTPConfiguration(
            routers={name: self.routers[name] for name in sorted(self.routers)},
            services={name: self.services[name] for name in sorted(self.services)},
        )
        return BuildResult(configuration, store.findings() + findings)

    def _translate(self, store: Store, keys: Iterable[ObjectKey]) -> Changes:
        changes = Changes()
        for key in sorted(keys):
            resource = store.get(*key)
            view = View(store, self._options)
            new = Output.of(key) if resource is None else TRANSLATORS[key.kind](view, resource)
            self._remember_reads(key, view.reads)
            self._replace(key, new, exists=resource is not None, changes=changes)
        return changes

    def _replace(self, key: ObjectKey, new: Output, *, exists: bool, changes: Changes) -> None:
        old = self._outputs.pop(key, None) or Output.of(key)
        owner = (_RANK[key.kind], key.namespace, key.name)
        changes.routers |= self.routers.replace(owner, old.routers, new.routers)
        changes.services |= self.services.replace(owner, old.services, new.services)
        if old.report.findings != new.report.findings:
            changes.findings.add(key)
        if exists:
            self._outputs[key] = new
        if new.report.findings:
            self.findings[key] = new.report.findings
        else:
            self.findings.pop(key, None)

    def _remember_reads(self, key: ObjectKey, reads: set[ObjectKey]) -> None:
        for gone in self._reads.pop(key, set()) - reads:
            readers = self._readers[gone]
            readers.discard(key)
            if not readers:
                del self._readers[gone]
        if reads:
            self._reads[key] = reads
            for read in reads:
                self._readers.setdefault(read, set()).add(key)


class Contested(Generic[T]):
    """Values by name where several owners may claim a name: the greatest owner's value is the one seen."""

    def __init__(self) -> None:
        self._claims: dict[str, dict[_Owner, T]] = {}

    def replace(self, owner: _Owner, old: dict[str, T], new: dict[str, T]) -> set[str]:
        """Exchange one owner's claims; the names whose claims changed."""
        changed = {name for name, value in new.items() if name not in old or old[name] != value}
        changed.update(name for name in old if name not in new)
        for name in changed:
            if name in new:
                self._claims.setdefault(name, {})[owner] = new[name]
            else:
                claims = self._claims[name]
                del claims[owner]
                if not claims:
                    del self._claims[name]
        return changed

    def __getitem__(self, name: str) -> T:
        claims = self._claims[name]
        return claims[max(claims)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._claims)

    def __contains__(self, name: object) -> bool:
        return name in self._claims

    def __len__(self) -> int:
        return len(self._claims)
