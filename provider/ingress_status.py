"""Which addresses the Ingresses that are served should show in their status, and which of them do not yet. Pure.

The addresses are the same for all: what the options say, or where the Service in front of us can be reached.
External tools (DNS, dashboards) read them there; nothing of ours does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from config.static_providers import IngressEndpoint, KubernetesIngress
from provider.options import TranslationOptions
from provider.resources.core import LoadBalancerAddress, LoadBalancerPort, Service
from provider.resources.ingress import Ingress
from provider.resources.kinds import INGRESS, INGRESS_CLASS, NODE, SERVICE, ObjectKey
from provider.store import ALL_NODES, Store
from provider.translate.ingress import is_taken
from provider.translate.view import View

Addresses = Sequence[LoadBalancerAddress]

_SECTION: Final = "providers.kubernetesIngress.ingressEndpoint"


class AddressesUnknown(Exception):
    """The options do not lead to addresses; the message says what to change."""


class IngressStatus:
    """Owned by the main loop. `options` are those of the translation."""

    def __init__(self, settings: KubernetesIngress, options: TranslationOptions) -> None:
        self._settings = settings
        self._options = options
        self._is_due = True
        self._published = _service_key(settings.ingress_endpoint)
        self.kinds: frozenset[str] = frozenset()
        """Names of kinds that must be watched for the addresses' sake."""

    @property
    def is_wanted(self) -> bool:
        """Whether any address is to be written at all."""
        return self._settings.ingress_endpoint is not None or self._settings.report_node_internal_ips

    def note(self, changed: Iterable[ObjectKey]) -> None:
        """What has changed in the store, as Store.take_changed reports it."""
        kinds, keys = (INGRESS.name, INGRESS_CLASS.name), (self._published, ALL_NODES)
        self._is_due = self._is_due or any(key.kind in kinds or key in keys for key in changed)

    def look(self, store: Store) -> dict[ObjectKey, Addresses] | None:
        """What to write to which Ingress; None if nothing has changed since the last look.

        Raises AddressesUnknown.
        """
        if not self._is_due:
            return None
        self._is_due = False
        wanted = self._addresses(store)
        if wanted is None:
            return {}
        view, stale = View(store, self._options), dict[ObjectKey, Addresses]()
        for key in store.keys(INGRESS.name):
            ingress: Ingress | None = store.get(*key)
            if ingress is None or is_same(ingress.status.load_balancer.ingress, wanted):
                continue
            if is_taken(view, ingress):
                stale[key] = wanted
        return stale

    def _addresses(self, store: Store) -> Addresses | None:
        """None: not known yet, leave everything as it is. Raises AddressesUnknown."""
        if self._settings.report_node_internal_ips:
            return self._of_nodes(store, "InternalIP", [])
        endpoint = self._settings.ingress_endpoint or IngressEndpoint()
        if endpoint.published_service:
            return self._of_service(store, self._service(store))
        if not endpoint.ip and not endpoint.hostname:
            raise AddressesUnknown(f"{_SECTION} is empty: set publishedService, ip or hostname")
        return [LoadBalancerAddress(ip=endpoint.ip, hostname=endpoint.hostname)]

    def _service(self, store: Store) -> Service:
        if self._published is None:
            raise AddressesUnknown(f"{_SECTION}.publishedService must be written namespace/name")
        _, namespace, name = self._published
        if not self._options.watches(namespace):
            raise AddressesUnknown(
                f"{_SECTION}.publishedService is in namespace {namespace}, which is not within watched namespaces"
            )
        service = store.service(namespace, name)
        if service is None:
            raise AddressesUnknown(f"{_SECTION}.publishedService: there is no Service {namespace}/{name}")
        return service

    def _of_service(self, store: Store, service: Service) -> Addresses | None:
        spec = service.spec
        match spec.type:
            case "ExternalName":
                return [LoadBalancerAddress(hostname=spec.external_name)]
            case "ClusterIP":
                ports = [LoadBalancerPort(port=port.port, protocol=port.protocol) for port in spec.ports or []]
                return [LoadBalancerAddress(ip=ip, ports=ports) for ip in spec.external_ips]
            case "NodePort":
                ports = [
                    LoadBalancerPort(port=port.node_port, protocol=port.protocol) for port in spec.ports or []
                ]
                return self._of_nodes(store, "ExternalIP", ports)
            case _:
                return service.status.load_balancer.ingress or None

    def _of_nodes(self, store: Store, type_: str, ports: list[LoadBalancerPort]) -> Addresses | None:
        if self._options.disable_cluster_scope_resources:
            raise AddressesUnknown(
                "addresses of Nodes are wanted for the status of Ingresses, and nodes lookup is disabled: "
                "unset providers.kubernetesIngress.disableClusterScopeResources"
            )
        self.kinds = frozenset((NODE.name,))
        if store.is_awaited(ALL_NODES):
            return None
        return [
            LoadBalancerAddress(ip=address.address, ports=ports)
            for node in store.nodes()
            for address in node.status.addresses or []
            if address.type == type_
        ]


def is_same(some: Addresses, others: Addresses) -> bool:
    """Whether both name the same places. Ports do not count, since not everybody writes them."""
    return len(some) == len(others) and _places(some) == _places(others)


def _places(addresses: Addresses) -> set[tuple[str, str]]:
    return {(one.hostname, one.ip) for one in addresses}


def _service_key(endpoint: IngressEndpoint | None) -> ObjectKey | None:
    parts = endpoint.published_service.split("/") if endpoint else []
    return ObjectKey(SERVICE.name, *parts) if len(parts) == 2 else None
