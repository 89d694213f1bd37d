"""Store -> configuration and findings; whole at first, then only what a change touches.

`build` is the pure function: everything, from scratch. Builder gives the same result step by step: it
remembers each object's output with the keys it read, and translates again only objects that changed and
readers of what changed. Where two objects of a namespace write the same name the winner does not depend on the
order of events: the later translator in TRANSLATORS, then the later object by name. Certificates go the other
way, since the first who names a Secret decides for which store it is loaded. Between namespaces the names have
owners; see `contested` and `ownership`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from config.dynamic import SECTIONS, Configuration, NamedObject, configuration_of
from config.findings import Finding
from config.http import Router, Service
from config.names import PROVIDER_CRD, PROVIDER_INGRESS
from provider.options import TranslationOptions
from provider.resources.kinds import INGRESS_ROUTE, ObjectKey
from provider.store import ENDPOINTS, Store, service_of
from provider.translate import (
    ingress,
    ingressroute,
    ingressroute_tcp,
    ingressroute_udp,
    middleware,
    middleware_tcp,
    servers_transport,
    servers_transport_tcp,
    tls_option,
    tls_store,
    traefik_service,
)
from provider.translate.contested import Contested, Owner
from provider.translate.families import Families, Member, broken_routers
from provider.translate.guard import Guard
from provider.translate.output import ROUTERS, SERVICES, Output
from provider.translate.overridden import Overridden
from provider.translate.ownership import Name, Ownership
from provider.translate.parts import Part
from provider.translate.pools import Pools, named_pools, with_servers
from provider.translate.readers import Readers
from provider.translate.usability import Usability
from provider.translate.view import View

Translators = Mapping[str, Callable[[View, Any], Output]]

TRANSLATORS: Final[Translators] = {
    "TLSStore": tls_store.translate,
    "IngressRoute": ingressroute.translate,
    "IngressRouteTCP": ingressroute_tcp.translate,
    "IngressRouteUDP": ingressroute_udp.translate,
    "TLSOption": tls_option.translate,
    "Middleware": middleware.translate,
    "MiddlewareTCP": middleware_tcp.translate,
    "TraefikService": traefik_service.translate,
    "ServersTransport": servers_transport.translate,
    "ServersTransportTCP": servers_transport_tcp.translate,
}
"""Translator of each kind that makes configuration, in the order in which later ones win a name."""

TRANSLATORS_OF: Final[Mapping[str, Translators]] = {
    PROVIDER_CRD: TRANSLATORS,
    PROVIDER_INGRESS: {"Ingress": ingress.translate},
}
"""By the name of the provider."""

FIRST_WINS: Final = frozenset(("tls.certificates",))


@dataclass(frozen=True, slots=True)
class BuildResult:
    """Names are bare, without the provider; findings are those of the store, then by object."""

    configuration: Configuration
    findings: list[Finding]


@dataclass(slots=True)
class Changes:
    """What an update may have changed: bare names by section, keys of objects with findings.

    `servers`: encoded servers of HTTP services of which nothing else changed, by bare name.
    """

    names: dict[str, set[str]] = field(default_factory=dict)
    servers: dict[str, bytes] = field(default_factory=dict)
    findings: set[ObjectKey] = field(default_factory=set)

    @property
    def routers(self) -> set[str]:
        """HTTP routers."""
        return self.names.get(ROUTERS, set())

    @property
    def services(self) -> set[str]:
        """HTTP services."""
        return self.names.get(SERVICES, set()) | self.servers.keys()


def build(store: Store, options: TranslationOptions, provider: str = PROVIDER_CRD) -> BuildResult:
    """Translate everything in the store. Pure: the store is only read."""
    builder = Builder(options, provider=provider)
    builder.build_all(store)
    return builder.result(store)


class Builder:
    """Keeps one provider's translation of a store up to date. Owned by one thread.

    `readers` and `usability` may be shared with builders of other providers; then `retell` after they built.
    `pending`: objects whose translation waits for something that has not been read yet, with what it is; their
    former output stays in force.
    """

    def __init__(
        self,
        options: TranslationOptions,
        readers: Readers | None = None,
        provider: str = PROVIDER_CRD,
        usability: Usability | None = None,
    ) -> None:
        self.provider = provider
        self._options = options
        self._translators = TRANSLATORS_OF[provider]
        self._rank = {kind: rank for rank, kind in enumerate(self._translators)}
        self.sections: dict[str, Contested[Any]] = {
            name: Contested(first_wins=name in FIRST_WINS, shares=options.allow_cross_namespace)
            for name in SECTIONS
        }
        self._ownership = Ownership(self.sections, list(self._translators))
        self._overridden = Overridden(self.sections, list(self._translators))
        self._hidden: dict[ObjectKey, tuple[Owner, set[Name]]] = {}
        self.findings: dict[ObjectKey, list[Finding]] = {}
        self.pending: dict[ObjectKey, set[ObjectKey]] = {}
        self.readers = readers or Readers()
        self._outputs: dict[ObjectKey, Output] = {}
        self._pools = Pools()
        self._guard = Guard()
        self._usability, self._families = usability or Usability(options.environment), Families()
        self._usability.join(provider, self.sections)

    @property
    def routers(self) -> Contested[Router]:
        return self.sections[ROUTERS]

    @property
    def services(self) -> Contested[Service]:
        return self.sections[SERVICES]

    def build_all(self, store: Store) -> Changes:
        """Translate every object again, those that are gone included."""
        keys = {key for kind in self._translators for key in store.keys(kind)}
        return self._translate(store, keys | set(self._outputs), Changes())

    def update(self, store: Store, changed: Iterable[ObjectKey]) -> Changes:
        """Translate what the changed keys (as Store.take_changed reports them) touch."""
        affected: set[ObjectKey] = set()
        served: set[ObjectKey] = set()
        for key in changed:
            if key.kind == ENDPOINTS:
                served.add(service_of(key))
            else:
                affected.update(self._readers_of(key))
                if key.name and key.kind in self._translators:
                    affected.add(key)
        changes = Changes()
        for service in served:
            for reader in self._readers_of(service):
                if reader not in affected and not self._exchange_servers(store, service, reader, changes):
                    affected.add(reader)
        return self._translate(store, affected, changes)

    def _readers_of(self, key: ObjectKey) -> Iterator[ObjectKey]:
        """Those that are translated here."""
        return (reader for reader in self.readers.of(key) if reader.kind in self._translators)

    def result(self, store: Store) -> BuildResult:
        """The whole as it stands after the last build or update."""
        findings = [one for _, found in sorted(self.findings.items()) for one in found]
        objects = [
            NamedObject(section, name, values[name])
            for section, values in self.sections.items()
            for name in sorted(values)
        ]
        return BuildResult(configuration_of(objects), store.findings() + findings)

    def _exchange_servers(self, store: Store, service: ObjectKey, reader: ObjectKey, changes: Changes) -> bool:
        """Follow a change of endpoints without translating the reader again; False if that takes a translation."""
        named = self._pools.of(service, reader)
        if not named or reader in self.pending or reader in self._hidden:
            return False
        output = self._outputs[reader]
        try:
            fresh = with_servers(output.services, named, store.slices(service.namespace, service.name))
        except Exception:
            return False  # the guard will see it, and say it
        if fresh is None:
            return False
        owner = self._owner(output)
        for name, value, encoded in fresh:
            if not self.services.exchange(owner, name, value):
                return False
            output.services[name] = value
            changes.servers[name] = encoded
        return True

    def _translate(self, store: Store, keys: Iterable[ObjectKey], changes: Changes) -> Changes:
        """Translate these again; what comes of it is added to `changes`."""
        touched: set[Name] = set()
        unsettled: set[ObjectKey] = set()
        moved: set[ObjectKey] = set()
        anew: set[ObjectKey] = set()
        for key in sorted(keys):
            resource = store.get(*key)
            view = View(store, self._options)
            new = Output.of(key)
            if resource is not None:
                new = self._guard.run(key, self._translators[key.kind], view, resource)
            self.readers.remember(key, view.reads)
            if view.missing:
                self.pending[key] = view.missing
                continue
            self.pending.pop(key, None)
            if resource is not None:
                new.created, new.references = resource.metadata.creation_timestamp, view.references
            self._overridden.replace(key, view.children)
            self._pools.replace(key, named_pools(view.pools, view.endpoint_reads, new.of_section(SERVICES)))
            touched |= self._replace(key, new, exists=resource is not None, changes=changes)
            anew.add(key)
            if self._usability.replace(key, Part.of(new, view.places, self.provider)):
                moved.add(key)
            if key in self._hidden:
                unsettled.add(key)
        unsettled |= self._ownership.judge(touched)
        for key in unsettled:
            self._settle(key, changes)
        self._overridden.judge(changes.names)
        self._usability.notice(self.provider, changes.names)
        self._usability.judge(moved)
        self._tell(anew | unsettled, changes)
        return changes

    def retell(self) -> Changes:
        """Say of objects what follows from those of other providers."""
        changes = Changes()
        self._tell(set(), changes)
        return changes

    def _tell(self, keys: set[ObjectKey], changes: Changes) -> None:
        """Say of objects what follows from others; `keys`: those that give something else than before."""
        told = self._usability.take_told(self._translators) | self._overridden.take_told()
        related: set[ObjectKey] = set()
        for key in keys | told:
            if key.kind == INGRESS_ROUTE.name:
                output = self._outputs.get(key) or Output.of(key)
                related |= self._families.replace(key, Member.of(output, self._broken(output)))
        for key in told | self._families.judge(related):
            changes.findings.add(key)
            self._set_findings(key, self._outputs[key].report.findings if key in self._outputs else [])

    def _broken(self, output: Output) -> set[str]:
        """Routers of an IngressRoute that are hidden or cannot be built, whatever parents and children it has."""
        _, hidden = self._hidden.get(output.key, (None, ()))
        broken = {name for section, name in hidden if section == ROUTERS}
        findings = output.report.findings + self._usability.errors(output.key).findings
        return broken | broken_routers(output, findings)

    def _replace(self, key: ObjectKey, new: Output, *, exists: bool, changes: Changes) -> set[Name]:
        """Exchange the output of one object; the names that must be judged again."""
        old = self._outputs.pop(key, None) or Output.of(key)
        touched = self._ownership.refer(key, old.references, new.references)
        before, after = self._owner(old), self._owner(new)
        for section in {**old.sections, **new.sections}:
            claimed, claims = old.of_section(section), new.of_section(section)
            contested = self.sections[section]
            if before == after:
                names = contested.replace(after, claimed, claims)
            else:
                names = contested.replace(before, claimed, {}) | contested.replace(after, {}, claims)
            if names:
                changes.names.setdefault(section, set()).update(names)
                touched.update(Name(section, name) for name in names)
        if old.report.findings != new.report.findings:
            changes.findings.add(key)
        if exists:
            self._outputs[key] = new
        self._set_findings(key, new.report.findings)
        return touched

    def _settle(self, key: ObjectKey, changes: Changes) -> None:
        """See to it that of an object all is seen but what is refused, and say so."""
        changes.findings.add(key)
        output = self._outputs.get(key) or Output.of(key)
        owner, hidden = self._owner(output), self._ownership.hidden(output)
        former, was_hidden = self._hidden.pop(key, (owner, set()))
        for section, name in was_hidden:
            self.sections[section].silence(former, name, silent=False)
        for section, name in hidden:
            self.sections[section].silence(owner, name)
        if hidden:
            self._hidden[key] = (owner, hidden)
        for section, name in was_hidden ^ hidden:
            changes.names.setdefault(section, set()).add(name)
        self._set_findings(key, output.report.findings)

    def _owner(self, output: Output) -> Owner:
        key = output.key
        return Owner(self._rank[key.kind], key.namespace, key.name, output.created)

    def _set_findings(self, key: ObjectKey, findings: list[Finding]) -> None:
        others = (
            self._ownership.refusals(key),
            self._overridden.warnings(key),
            self._usability.errors(key),
            self._families.errors(key),
        )
        found = findings + [one for report in others for one in report.findings]
        if found:
            self.findings[key] = found
        else:
            self.findings.pop(key, None)
