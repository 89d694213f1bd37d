"""What one translation sees of the store: every read is noted, so a later change finds its readers.

Some things are fetched only once somebody asks for them (`Kind.on_demand`, `Kind.is_sparse`). A translation that
meets one that is not here yet is told that there is none, goes on to the end, and its result is thrown away: the
builder keeps the former one and translates again when all of `missing` has arrived.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from config.http import Server
from provider.options import TranslationOptions
from provider.resources.core import ConfigMap, EndpointSlice, Node, Secret, Service, Unread
from provider.resources.gateway import ReferenceGrant
from provider.resources.ingress import IngressClass
from provider.resources.kinds import (
    CONFIG_MAP,
    INGRESS_CLASS,
    REFERENCE_GRANT,
    SECRET,
    SERVICE,
    Kind,
    ObjectKey,
)
from provider.resources.traefik import IngressRoute
from provider.store import ALL_NODES, Store, all_of, presence_of
from provider.translate.pools import Noted, Pool

MOST_PLACES: Final = 100


class Reference(NamedTuple):
    """The name of another object in the output; `namespace` is the one whose object is meant."""

    section: str
    name: str
    namespace: str


class View:
    """Reads of one object's translation. `reads` also holds keys that were looked for and not found.

    `references`: output names that the translation wrote down for objects of others, with the path of the field;
    `places`: all such paths of one, as far as they are worth to be told; `children`: where children of composed
    services are written, by section and name; `pools`: servers that are the endpoints of Services;
    `endpoint_reads`: how often those of a Service were asked for.
    """

    __slots__ = (
        "_store",
        "children",
        "endpoint_reads",
        "missing",
        "naming",
        "options",
        "places",
        "pools",
        "reads",
        "references",
    )

    def __init__(self, store: Store, options: TranslationOptions) -> None:
        self._store = store
        self.options = options
        self.naming = options.naming
        self.reads: set[ObjectKey] = set()
        self.missing: set[ObjectKey] = set()
        self.references: dict[Reference, str] = {}
        self.places: dict[Reference, list[str]] = {}
        self.children: dict[tuple[str, str], str] = {}
        self.pools: list[Noted] = []
        self.endpoint_reads: Counter[ObjectKey] = Counter()

    def get(self, kind: str, namespace: str, name: str) -> Any | None:
        """An object of a kind that routes: a custom resource or an Ingress."""
        self.reads.add(ObjectKey(kind, namespace, name))
        return self._store.get(kind, namespace, name)

    def has(self, kind: str, namespace: str, name: str) -> bool:
        """Whether there is such an object of a kind that routes. A change of it is no matter to who asks this."""
        self.reads.add(presence_of(kind, namespace, name))
        return self._store.get(kind, namespace, name) is not None

    def names_in(self, kind: str, namespace: str) -> Collection[str]:
        """Names of all objects of a kind that routes in a namespace."""
        self.reads.add(all_of(kind, namespace))
        return self._store.names_in(kind, namespace)

    def refer(self, section: str, name: str, namespace: str, field: str) -> None:
        """Note that the output will hold `name`, and that it means an object of `namespace`."""
        reference = Reference(section, name, namespace)
        self.references.setdefault(reference, field)
        places = self.places.setdefault(reference, [])
        if len(places) < MOST_PLACES:
            places.append(field)

    def lean_on(self, section: str, name: str, field: str) -> None:
        """Note that the output will hold `name`, whose object no namespace is meant to have.

        It carries its provider, or means one of this provider without being looked for here.
        """
        places = self.places.setdefault(Reference(section, name, ""), [])
        if len(places) < MOST_PLACES:
            places.append(field)

    def ignore(self, section: str) -> None:
        """Nothing falls with what was named of this section: it is written down and not used."""
        self.places = {one: fields for one, fields in self.places.items() if one.section != section}

    def grants(self, namespace: str) -> list[ReferenceGrant]:
        """What the namespace allows to others."""
        key = all_of(REFERENCE_GRANT.name, namespace)
        self.reads.add(key)
        if self._store.is_awaited(key):
            self.reads.add(all_of(REFERENCE_GRANT.name))
            self.missing.add(key)
        return self._store.grants(namespace)

    def names(self, kind: str) -> list[tuple[str, str]]:
        """(namespace, name) of all objects of a kind that routes, sorted.

        Coming and going makes a reader translate again, so this is for the few objects that need it.
        """
        self.reads.add(all_of(kind))
        return sorted((key.namespace, key.name) for key in self._store.keys(kind))

    def ingress_route(self, namespace: str, name: str) -> IngressRoute | None:
        found: IngressRoute | None = self.get("IngressRoute", namespace, name)
        return found

    def ingress_class(self, name: str) -> IngressClass | None:
        key = ObjectKey(INGRESS_CLASS.name, "", name)
        if self.options.disable_ingress_class_lookup:
            return None
        self.reads.add(key)
        if self._store.is_awaited(key):
            self.reads.add(all_of(key.kind))
            self.missing.add(key)
        found: IngressClass | None = self._store.get(*key)
        return found

    def service(self, namespace: str, name: str) -> Service | None:
        self.reads.add(ObjectKey(SERVICE.name, namespace, name))
        return self._store.service(namespace, name)

    def slices(self, namespace: str, service: str) -> list[EndpointSlice]:
        key = ObjectKey(SERVICE.name, namespace, service)
        self.reads.add(key)
        self.endpoint_reads[key] += 1
        return self._store.slices(namespace, service)

    def note_pool(self, pool: Pool, servers: list[Server]) -> list[Server]:
        """Note of what `servers` was made, for as long as this very list is in a load balancer."""
        self.pools.append(Noted(pool, servers))
        return servers

    def secret(self, namespace: str, name: str) -> Secret | None:
        """Secrets labelled `owner: helm` do not exist for us."""
        found: Secret | None = self._sparse(SECRET, namespace, name)
        return found

    def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        found: ConfigMap | None = self._sparse(CONFIG_MAP, namespace, name)
        return found

    def nodes(self) -> list[Node]:
        self.reads.add(ALL_NODES)
        if self._store.is_awaited(ALL_NODES):
            self.missing.add(ALL_NODES)
        return self._store.nodes()

    def _sparse(self, kind: Kind, namespace: str, name: str) -> Any | None:
        key = ObjectKey(kind.name, namespace, name)
        self.reads.add(key)
        found = self._store.get(*key)
        if self._store.is_awaited(key):
            self.reads.add(all_of(kind.name))
        elif not isinstance(found, Unread):
            return found
        self.missing.add(key)
        return None
