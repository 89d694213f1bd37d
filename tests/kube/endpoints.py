"""An EndpointSlice from a few arguments, shaped as the endpoint slice controller would write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import Json


def endpoint_slice(
    namespace: str,
    service: str,
    addresses: Sequence[str | Mapping[str, Any]],
    ports: Sequence[Json],
    conditions: Mapping[str, bool | None],
    slice_name: str = "",
) -> Json:
    """Addresses are text or whole endpoints as dicts, which then decide their own conditions."""
    shared = {name: value for name, value in conditions.items() if value is not None}
    endpoints: list[Json] = [
        {"addresses": [item], "conditions": shared} if isinstance(item, str) else {"conditions": shared, **item}
        for item in addresses
    ]
    first = next((endpoint["addresses"][0] for endpoint in endpoints), "")
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": slice_name or f"{service}-1",
            "namespace": namespace,
            "labels": {
                "kubernetes.io/service-name": service,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
        },
        "addressType": "IPv6" if ":" in first else "IPv4",
        "endpoints": endpoints,
        "ports": list(ports),
    }
