"""What changed between two looks at /api/rawdata, one line a thing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Snapshot = dict[str, str]
"""`router name@provider` or `service name@provider` to a description; internal ones are left out."""


def snapshot(rawdata: Mapping[str, Any]) -> Snapshot:
    """The parts of /api/rawdata that somebody who edits manifests wants to see."""
    seen = {f"router {name}": _router(router) for name, router in rawdata.get("routers", {}).items()}
    seen |= {f"service {name}": _service(service) for name, service in rawdata.get("services", {}).items()}
    return {name: text for name, text in seen.items() if not name.endswith("@internal")}


def changes(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """`+` appeared, `-` vanished, `~` is different now; in the order of names."""
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield f"+ {name}  {after[name]}"
        elif name not in after:
            yield f"- {name}"
        elif before[name] != after[name]:
            yield f"~ {name}  {after[name]}"


def _router(router: Mapping[str, Any]) -> str:
    return f"{router.get('rule', '')} -> {router.get('service', '')}{_errors(router)}"


def _service(service: Mapping[str, Any]) -> str:
    balancer = service.get("loadBalancer") or {}
    parts = [server.get("url", "") for server in balancer.get("servers") or []]
    for entry in (service.get("weighted") or {}).get("services") or []:
        parts.append(f"{entry.get('name', '')} x{entry.get('weight', 1)}")
    return (", ".join(parts) or "no servers") + _errors(service)


def _errors(described: Mapping[str, Any]) -> str:
    errors = described.get("error") or []
    return "".join(f"  ! {error}" for error in ([errors] if isinstance(errors, str) else errors))
