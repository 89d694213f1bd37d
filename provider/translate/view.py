"""What one translation sees of the store: every read is noted, so a later change finds its readers."""

from __future__ import annotations

from provider.options import TranslationOptions
from provider.resources.core import EndpointSlice, Node, Service
from provider.resources.kinds import SERVICE, ObjectKey
from provider.resources.traefik import IngressRoute
from provider.store import ALL_NODES, Store


class View:
    """Reads of one object's translation. `reads` also holds keys that were looked for and not found."""

    __slots__ = ("_store", "options", "reads")

    def __init__(self, store: Store, options: TranslationOptions) -> None:
        self._store = store
        self.options = options
        self.reads: set[ObjectKey] = set()

    def ingress_route(self, namespace: str, name: str) -> IngressRoute | None:
        self.reads.add(ObjectKey("IngressRoute", namespace, name))
        return self._store.ingress_route(namespace, name)

    def service(self, namespace: str, name: str) -> Service | None:
        self.reads.add(ObjectKey(SERVICE.name, namespace, name))
        return self._store.service(namespace, name)

    def slices(self, namespace: str, service: str) -> list[EndpointSlice]:
        self.reads.add(ObjectKey(SERVICE.name, namespace, service))
        return self._store.slices(namespace, service)

    def nodes(self) -> list[Node]:
        self.reads.add(ALL_NODES)
        return self._store.nodes()
