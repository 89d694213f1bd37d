"""What the real workers make of manifests, and what is said of the objects: the two have to agree.

The way is the real one: translation, a sealed generation, the workers' reload (master/inspection.py). An object is
not served if one of its routes is not: it has no router, the router is disabled, or no request gets to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from config.findings import Finding
from config.static import StaticConfiguration
from config.static_load import from_mapping
from master.check_rows import layer4_origins
from master.inspection import Inspection, object_of
from tests.master.inspecting import write
from tests.provider.support import Json
from tests.provider.translate.routes import web
from workers.router_trees import parents_of
from workers.runtime import Runtime

KINDS = ("IngressRoute", "IngressRouteTCP", "IngressRouteUDP", "Ingress")


class Judgement(NamedTuple):
    """`unserved`: by the workers; `wrong`: objects with routes that have an error; `findings`: all there are."""

    unserved: set[str]
    wrong: set[str]
    findings: list[Finding]

    def errors(self, name: str) -> dict[str, str]:
        """Field to reason, of the errors of one object."""
        return {one.field: one.reason for one in self.findings if one.name == name and one.severity == "error"}


def static_with(**more: Any) -> StaticConfiguration:
    points = {
        "web": {"address": "127.0.0.1:0"},
        "postgres": {"address": "127.0.0.1:0"},
        "dns": {"address": "127.0.0.1:0/udp"},
    }
    providers: Json = {"kubernetesCRD": more.pop("crd", {}), "kubernetesIngress": {}}
    points |= more.pop("points", {})
    return from_mapping({"entryPoints": points, "providers": providers, **more})


def judged(tmp_path: Path, objects: list[Json], static: StaticConfiguration | None = None) -> Judgement:
    """Beside the objects there is the Service `web`, and entry points for TCP (web, postgres) and UDP (dns)."""
    with Inspection(static or static_with(), "test", assumed_entry_points=False) as inspection:
        inspection.read([Path(write(tmp_path, *web(), *objects))], None, {}, assume_endpoints=False)
        unserved = {*_unserved_http(inspection), *_unserved_layer4(inspection)}
        findings = inspection.reading.findings
        wrong = {
            f"{one.kind} {one.namespace}/{one.name}"
            for one in findings
            if one.severity == "error" and one.kind in KINDS
        }
        return Judgement(unserved, wrong, findings)


def _unserved_http(inspection: Inspection) -> Iterator[str]:
    runtime = inspection.runtime
    origins = {name: origin for name, origin, _ in inspection.origins()}
    yield from (str(origin.key) for name, origin in origins.items() if name not in runtime.configured)
    served = _reached(runtime)
    for state in runtime.routers.values():
        if state.status == "disabled" or state.source not in served:
            yield object_of(state, origins.get(state.source))


def _reached(runtime: Runtime) -> set[str]:
    """Routers to which requests get: roots on an entry point, and what is below those."""
    reached = {
        state.source
        for state in runtime.routers.values()
        if state.route is not None and not state.critical and not state.config.parent_refs
    }
    below = {name: list(parents_of(name, one)) for name, one in runtime.configured.items() if one.parent_refs}
    for _ in below:
        reached |= {
            name
            for name, parents in below.items()
            if runtime.routers[name].route is not None
            if not runtime.routers[name].errors
            if not reached.isdisjoint(parents)
        }
    return reached


def _unserved_layer4(inspection: Inspection) -> Iterator[str]:
    tcp, udp = inspection.runtime.tcp.routers, inspection.runtime.udp.routers
    for name, origin in layer4_origins(inspection).items():
        state = tcp.get(name) or udp.get(name)
        if state is None or state.status == "disabled":
            yield str(origin.key)
