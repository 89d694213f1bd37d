"""The two ways in which objects made of custom resources are named: Traefik's by default, and `safeNaming`.

By default namespace and name are joined by a dash, so objects of two namespaces can come to one name, and a rule
that stands twice in an object is one router. Safe names are joined by underscores, which Kubernetes has in no
name, and routes are counted: nothing is normalized, and every object has names of its own.
"""

from __future__ import annotations

from typing import Final

from config.names import (
    http_router_name,
    layer4_child_name,
    normalize,
    object_id,
    tcp_router_name,
    udp_router_name,
)

Place = tuple[str, ...]
"""Where a child stands in a composed service: the name that this is made from, `wrr`, `0`."""

MIRRORING: Final = "mirroring"
MIRROR: Final = "mirror"
FAILOVER: Final = "failover"
FALLBACK: Final = "fallback"
WEIGHTED: Final = "wrr"
HIGHEST_RANDOM_WEIGHT: Final = "hrw"


class Naming:
    """Names as Traefik makes them unless it is told otherwise. `index` counts the routes of an object from 0."""

    is_safe = False

    def object(self, namespace: str, name: str) -> str:
        """A Middleware, TraefikService, transport, TLSOption or TLSStore.

        >>> Naming().object("a", "b.c")
        'a-b-c'
        """
        return normalize(object_id(namespace, name))

    def http_router(self, namespace: str, name: str, index: int, rule: str) -> str:
        return http_router_name(namespace, name, rule)

    def tcp_router(self, namespace: str, name: str, index: int, rule: str) -> str:
        return tcp_router_name(namespace, name, rule)

    def udp_router(self, namespace: str, name: str, index: int) -> str:
        return udp_router_name(namespace, name, index)

    def balancer(self, router: str) -> str:
        """The only service of a route."""
        return router

    def weighted(self, router: str) -> str:
        """What a route's several services are the children of."""
        return router

    def child(self, place: Place, namespace: str, service: str, port: int | str) -> str:
        """A Kubernetes Service in a composed HTTP service; the port is spelled as written."""
        return normalize(f"{namespace}-{service}-{port}")

    def layer4_child(self, place: Place, namespace: str, service: str, port: int | str) -> str:
        """A Kubernetes Service among several of a TCP or UDP route."""
        return layer4_child_name(place[0], service, port)

    def foreign(self, namespace: str, name: str) -> str:
        """A TraefikService that a reference spells as `name@kubernetescrd`; the namespace may be empty."""
        return normalize(f"{namespace}-{name}")


class SafeNaming(Naming):
    """Names with `providers.kubernetesCRD.safeNaming`.

    >>> safe = SafeNaming()
    >>> router = safe.http_router("a", "b.c", 0, "Host(`x`)")
    >>> router, safe.balancer(router), safe.weighted(router)
    ('a_b.c_0', 'a_b.c_0_lb', 'a_b.c_0_wrr')
    >>> safe.child((router, WEIGHTED, "1"), "a", "web", 80)
    'a_b.c_0_wrr_1_a_web_80'
    """

    is_safe = True

    def object(self, namespace: str, name: str) -> str:
        return f"{namespace}_{name}"

    def http_router(self, namespace: str, name: str, index: int, rule: str) -> str:
        return f"{namespace}_{name}_{index}"

    def tcp_router(self, namespace: str, name: str, index: int, rule: str) -> str:
        return f"{namespace}_{name}_{index}"

    def udp_router(self, namespace: str, name: str, index: int) -> str:
        return f"{namespace}_{name}_{index}"

    def balancer(self, router: str) -> str:
        return f"{router}_lb"

    def weighted(self, router: str) -> str:
        return f"{router}_{WEIGHTED}"

    def child(self, place: Place, namespace: str, service: str, port: int | str) -> str:
        return "_".join((*place, namespace, service, str(port)))

    def layer4_child(self, place: Place, namespace: str, service: str, port: int | str) -> str:
        return self.child(place, namespace, service, port)

    def foreign(self, namespace: str, name: str) -> str:
        return f"{namespace}_{name}"


DEFAULT_NAMING: Final = Naming()
SAFE_NAMING: Final = SafeNaming()
