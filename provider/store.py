"""All objects by kind and key, from every source; it knows which changes can matter to translation.

Each source (`cluster`, `manifests`) has its own layer; where two hold the same key the first in SOURCES wins.
Objects hold only fields that translation reads, so an equal object is no change. What changed is reported
under the key that a reader of it records: any Node under one key for all, an EndpointSlice as the endpoints of its
Service, which readers note as the Service.
That an object of a kind that routes has come or gone is also reported under keys of its own (`all_of`,
`presence_of`), for those who need to know no more.
Not thread-safe: owned by the provider's main loop.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from config.findings import Finding
from provider.resources.core import EndpointSlice, Metadata, Node, Service, Unread
from provider.resources.decode import Malformed, decode, key_of
from provider.resources.gateway import ReferenceGrant
from provider.resources.kinds import ENDPOINT_SLICE, KINDS, NODE, REFERENCE_GRANT, SERVICE, Kind, ObjectKey

CLUSTER: Final = "cluster"
MANIFESTS: Final = "manifests"
SOURCES: Final = (CLUSTER, MANIFESTS)


def all_of(kind: str, namespace: str = "") -> ObjectKey:
    """The key under which it is reported and read that any object of a kind (in a namespace) has come or gone.

    For ReferenceGrants of a namespace also that one has changed.
    """
    return ObjectKey(kind, namespace, "")


def endpoints_of(namespace: str, service: str) -> ObjectKey:
    """The key under which it is reported that endpoints of a Service have changed; it is read as the Service."""
    return ObjectKey(ENDPOINTS, namespace, service)


def service_of(endpoints: ObjectKey) -> ObjectKey:
    """Undo `endpoints_of`."""
    return ObjectKey(SERVICE.name, endpoints.namespace, endpoints.name)


def presence_of(kind: str, namespace: str, name: str) -> ObjectKey:
    """The key under which it is reported and read that one object has come or gone, not that it has changed."""
    return ObjectKey(_PRESENCE[kind], namespace, name)


_PRESENCE: Final = {name: f"presence of {name}" for name in KINDS}


ENDPOINTS: Final = "endpoints of Service"
"""Kind of the key that `endpoints_of` gives."""

_NONE: Final[frozenset[str]] = frozenset()
ALL_NODES: Final = all_of(NODE.name)
"""Under this one any change of any Node is reported."""


class Store:
    """Insert and remove say whether anything that translation reads has changed."""

    def __init__(self) -> None:
        self._layers: dict[str, dict[ObjectKey, Any]] = {source: {} for source in SOURCES}
        self._objects: dict[str, dict[tuple[str, str], Any]] = {}
        self._names: dict[tuple[str, str], set[str]] = {}
        self._slices: dict[tuple[str, str], dict[str, EndpointSlice]] = {}
        self._changed: set[ObjectKey] = set()
        self._malformed: dict[tuple[str, ObjectKey], Finding] = {}
        self._shadowed: set[ObjectKey] = set()
        self._awaited: set[tuple[str, str]] = set()

    def insert(self, kind: Kind, resource: Any, source: str = CLUSTER) -> bool:
        key = key_of(kind, resource)
        self._malformed.pop((source, key), None)
        self._layers[source][key] = resource
        return self._settle(key)

    def insert_json(self, kind: Kind, data: bytes, source: str = CLUSTER) -> bool:
        """Decode and insert; a malformed object becomes a finding and counts as absent."""
        try:
            return self.insert(kind, decode(kind, data), source)
        except Malformed as error:
            return self.reject(error, source)

    def reject(self, error: Malformed, source: str = CLUSTER) -> bool:
        """The object exists and cannot be read: keep the finding, treat the object as absent."""
        self._malformed[source, error.key] = error.finding
        self._layers[source].pop(error.key, None)
        return self._settle(error.key)

    def remove(self, key: ObjectKey, source: str = CLUSTER) -> bool:
        self._malformed.pop((source, key), None)
        if self._layers[source].pop(key, None) is None:
            return False
        return self._settle(key)

    def replace(
        self, kind: Kind, namespace: str, resources: Iterable[Any | Malformed], source: str = CLUSTER
    ) -> bool:
        """Make `resources` all there is of the kind in the namespace ("" = everywhere) in this source."""
        known = set(self._layers[source]) | {key for place, key in self._malformed if place == source}
        gone = {key for key in known if key.kind == kind.name and namespace in ("", key.namespace)}
        changed = False
        for resource in resources:
            if isinstance(resource, Malformed):
                gone.discard(resource.key)
                changed |= self.reject(resource, source)
            else:
                gone.discard(key_of(kind, resource))
                changed |= self.insert(kind, resource, source)
        for key in gone:
            changed |= self.remove(key, source)
        return changed

    def strip(self, keys: Iterable[ObjectKey]) -> None:
        """Forget the content of the cluster's objects of these keys; that they exist is kept."""
        for key in keys:
            if self._malformed.pop((CLUSTER, key), None) is not None or key in self._layers[CLUSTER]:
                metadata = Metadata(namespace=key.namespace, name=key.name)
                self._layers[CLUSTER][key] = Unread(metadata=metadata)
                self._settle(key)

    def expect(self, kind: Kind, namespace: str = "") -> None:
        """The collection will be listed once it is asked for; `arrived` ends that. "" means everywhere."""
        self._awaited.add((kind.name, namespace))

    def arrived(self, kind: Kind, namespace: str) -> None:
        """The collection has been listed, or never will be. Whoever waits for it reads `all_of` the kind."""
        if (kind.name, namespace) in self._awaited:
            self._awaited.discard((kind.name, namespace))
            self._changed.add(all_of(kind.name))

    def is_unread(self, key: ObjectKey) -> bool:
        """Whether the cluster has the object and its content is not here."""
        return isinstance(self._layers[CLUSTER].get(key), Unread)

    def is_awaited(self, key: ObjectKey) -> bool:
        """Whether nothing can be said about the key yet."""
        return (key.kind, "") in self._awaited or (key.kind, key.namespace) in self._awaited

    def take_changed(self) -> set[ObjectKey]:
        """Keys, as readers record them, that changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def findings(self) -> list[Finding]:
        """What is wrong with objects themselves: malformed, or hidden by one of another source."""
        malformed = [finding for _, finding in sorted(self._malformed.items(), key=lambda item: item[0])]
        return malformed + [_shadowed(key) for key in sorted(self._shadowed)]

    def get(self, kind: str, namespace: str, name: str) -> Any | None:
        return self._objects.get(kind, {}).get((namespace, name))

    def keys(self, kind: str) -> Iterator[ObjectKey]:
        for namespace, name in self._objects.get(kind, {}):
            yield ObjectKey(kind, namespace, name)

    def names_in(self, kind: str, namespace: str) -> Collection[str]:
        """Names of a kind that routes, or of ReferenceGrants."""
        return self._names.get((kind, namespace), _NONE)

    def grants(self, namespace: str) -> list[ReferenceGrant]:
        """All ReferenceGrants of a namespace, by name."""
        names = sorted(self.names_in(REFERENCE_GRANT.name, namespace))
        return [self._objects[REFERENCE_GRANT.name][namespace, name] for name in names]

    def service(self, namespace: str, name: str) -> Service | None:
        found: Service | None = self.get(SERVICE.name, namespace, name)
        return found

    def slices(self, namespace: str, service: str) -> list[EndpointSlice]:
        """Slices of a Service in stable order: by age, then name."""
        found = self._slices.get((namespace, service), {})
        return sorted(found.values(), key=lambda s: (s.metadata.creation_timestamp or "", s.metadata.name))

    def nodes(self) -> list[Node]:
        """All Nodes by name."""
        return [node for _, node in sorted(self._objects.get(NODE.name, {}).items())]

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(objects)} {kind}" for kind, objects in sorted(self._objects.items()))
        return f"<Store {counts or 'empty'}>"

    def _settle(self, key: ObjectKey) -> bool:
        """Bring the merged view of one key in line with the layers."""
        held = [self._layers[source][key] for source in SOURCES if key in self._layers[source]]
        if len(held) > 1:
            self._shadowed.add(key)
        else:
            self._shadowed.discard(key)
        objects = self._objects.setdefault(key.kind, {})
        place = (key.namespace, key.name)
        old, new = objects.get(place), held[0] if held else None
        if old == new:
            return False
        if new is None:
            del objects[place]
        else:
            objects[place] = new
        if key.kind == ENDPOINT_SLICE.name:
            return self._settle_slice(key, old, new)
        self._changed.add(ALL_NODES if key.kind == NODE.name else key)
        came_or_went = KINDS[key.kind].routes and (old is None or new is None)
        if came_or_went or key.kind == REFERENCE_GRANT.name:
            self._note_presence(key, is_there=new is not None)
        return True

    def _note_presence(self, key: ObjectKey, *, is_there: bool) -> None:
        place = (key.kind, key.namespace)
        if is_there:
            self._names.setdefault(place, set()).add(key.name)
        else:
            self._names[place].discard(key.name)
            if not self._names[place]:
                del self._names[place]
        self._changed.update((all_of(key.kind), all_of(*place), presence_of(*key)))

    def _settle_slice(self, key: ObjectKey, old: EndpointSlice | None, new: EndpointSlice | None) -> bool:
        matters = False
        if old is not None and old.service_name:
            services = self._slices[key.namespace, old.service_name]
            del services[key.name]
            if not services:
                del self._slices[key.namespace, old.service_name]
            self._changed.add(endpoints_of(key.namespace, old.service_name))
            matters = True
        if new is not None and new.service_name:
            self._slices.setdefault((key.namespace, new.service_name), {})[key.name] = new
            self._changed.add(endpoints_of(key.namespace, new.service_name))
            matters = True
        return matters


def _shadowed(key: ObjectKey) -> Finding:
    return Finding(
        kind=key.kind,
        namespace=key.namespace,
        name=key.name,
        severity="warning",
        reason="Shadowed",
        message="defined in the cluster and in the manifests; the cluster's object is used",
        advice="remove the one from the manifests or rename it",
    )
