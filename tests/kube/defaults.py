"""What the real server fills in when it stores an object of a built-in kind.

Only fields that the proxies or kubectl read: Secret `stringData`, Service type, ports and cluster address,
EndpointSlice port defaults, the phase and name label of a Namespace, the conditions of a CRD.
One function a kind, in a table; a function may change the new document, never the old one, and raises
TypeError, KeyError, AttributeError or ValueError for one that is no object of its kind.
"""

from __future__ import annotations

import base64
import ipaddress
import itertools
from collections.abc import Callable, Iterator

from .errors import Json

_SERVICE_NETWORK = int(ipaddress.IPv4Address("10.96.0.10"))


class Defaults:
    """Keeps the counters behind allocated addresses and ports; the store's lock is held by callers."""

    def __init__(self) -> None:
        self._addresses: Iterator[int] = itertools.count(_SERVICE_NETWORK)
        self._node_ports: Iterator[int] = itertools.count(30000)
        self._by_kind: dict[str, Callable[[Json, Json | None], None]] = {
            "configmaps": _config_map,
            "secrets": _secret,
            "services": self._service,
            "endpointslices.discovery.k8s.io": _endpoint_slice,
            "ingresses.networking.k8s.io": _ingress,
            "namespaces": _namespace,
            "customresourcedefinitions.apiextensions.k8s.io": _definition,
        }

    def fill(self, resource: str, document: Json, previous: Json | None) -> None:
        """`previous` is the stored object that `document` replaces, None when it is new."""
        function = self._by_kind.get(resource)
        if function is not None:
            function(document, previous)

    def _service(self, document: Json, previous: Json | None) -> None:
        spec = document.setdefault("spec", {})
        before = (previous or {}).get("spec", {})
        spec.setdefault("type", "ClusterIP")
        spec.setdefault("sessionAffinity", "None")
        for port in spec.get("ports") or ():
            port.setdefault("protocol", "TCP")
            port.setdefault("targetPort", port.get("port"))
        document.setdefault("status", {}).setdefault("loadBalancer", {})
        if spec["type"] == "ExternalName":
            return
        if not spec.get("clusterIP"):
            address = before.get("clusterIP") or str(ipaddress.IPv4Address(next(self._addresses)))
            spec["clusterIP"] = address
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        spec.setdefault("internalTrafficPolicy", "Cluster")
        spec.setdefault("ipFamilies", ["IPv6" if ":" in spec["clusterIP"] else "IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        if spec["type"] in ("NodePort", "LoadBalancer"):
            known = {port.get("port"): port.get("nodePort") for port in before.get("ports") or ()}
            for port in spec.get("ports") or ():
                if not port.get("nodePort"):
                    port["nodePort"] = known.get(port.get("port")) or next(self._node_ports)


def _config_map(document: Json, previous: Json | None) -> None:
    if not all(isinstance(text, str) for text in (document.get("data") or {}).values()):
        raise TypeError("data is not a map of texts")


def _secret(document: Json, previous: Json | None) -> None:
    document.setdefault("type", "Opaque")
    for value in (document.get("data") or {}).values():
        base64.b64decode(value, validate=True)
    plain = document.pop("stringData", None)
    if plain:
        data = document["data"] = dict(document.get("data") or {})
        data.update({key: base64.b64encode(value.encode()).decode() for key, value in plain.items()})


def _ingress(document: Json, previous: Json | None) -> None:
    document.setdefault("status", {}).setdefault("loadBalancer", {})


def _endpoint_slice(document: Json, previous: Json | None) -> None:
    document.setdefault("addressType", "IPv4")
    for port in document.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")
    for endpoint in document.get("endpoints") or ():
        endpoint.setdefault("conditions", {})


def _namespace(document: Json, previous: Json | None) -> None:
    metadata = document["metadata"]
    labels = metadata["labels"] = dict(metadata.get("labels") or {})
    labels.setdefault("kubernetes.io/metadata.name", metadata["name"])
    document.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    document.setdefault("status", {}).setdefault("phase", "Active")


def _definition(document: Json, previous: Json | None) -> None:
    spec = document["spec"]
    names = spec["names"]
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", names["kind"] + "List")
    spec.setdefault("conversion", {"strategy": "None"})
    since = document["metadata"]["creationTimestamp"]
    conditions = [
        {"type": kind, "status": "True", "reason": reason, "message": "", "lastTransitionTime": since}
        for kind, reason in (("NamesAccepted", "NoConflicts"), ("Established", "InitialNamesAccepted"))
    ]
    stored = [version["name"] for version in spec["versions"] if version.get("storage")]
    document["status"] = {"conditions": conditions, "acceptedNames": names, "storedVersions": stored}
