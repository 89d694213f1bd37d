"""A service as a tree down to its servers, as plain data to print or to encode."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from config.http import Service
from config.names import resolve_reference
from workers.runtime import Runtime


class Branch(msgspec.Struct, rename="camel", omit_defaults=True):
    """`role`: what the parent uses it for; `weight` as written, None where it has no meaning."""

    name: str
    type: str = ""
    role: str = ""
    weight: int | None = None
    errors: list[str] = []
    servers: list[str] = []
    branches: list[Branch] = []

    def all_servers(self) -> Iterator[str]:
        yield from self.servers
        for branch in self.branches:
            yield from branch.all_servers()

    def can_answer(self) -> bool:
        """Whether some request gets further than to 503 here. Services of our own always answer."""
        if self.type == "internal":
            return True
        if self.branches:
            mains = [branch for branch in self.branches if branch.role != "mirror" and branch.weight != 0]
            return any(branch.can_answer() for branch in mains)
        return bool(self.servers)


def service_tree(runtime: Runtime, name: str, above: tuple[str, ...] = ()) -> Branch:
    """The tree below a qualified service name; a service that contains itself is cut where it repeats."""
    state = runtime.services.get(name)
    if state is None:
        internal = name.endswith("@internal")
        return Branch(name, "internal") if internal else Branch(name, errors=["there is no such service"])
    branch = Branch(name, _type_of(state.config), errors=list(state.errors))
    if name in above:
        branch.errors.append("contains itself")
        return branch
    branch.servers = [server.url for server in state.servers if not server.fenced and server.weight != 0]
    for child, role, weight in _children(state.config):
        below = service_tree(runtime, resolve_reference(child, name), (*above, name))
        below.role, below.weight = role, weight
        branch.branches.append(below)
    return branch


def _type_of(service: Service) -> str:
    for field in ("load_balancer", "weighted", "mirroring", "highest_random_weight", "failover"):
        if getattr(service, field) is not None:
            return field.replace("_", " ")
    return "empty"


def _children(service: Service) -> Iterator[tuple[str, str, int | None]]:
    """(name as written, role, weight)."""
    for weighted in (service.weighted, service.highest_random_weight):
        for entry in weighted.services if weighted else ():
            yield entry.name, "", 1 if entry.weight is None else entry.weight
    if service.mirroring is not None:
        yield service.mirroring.service, "main", None
        for mirror in service.mirroring.mirrors:
            yield mirror.name, "mirror", mirror.percent
    if service.failover is not None:
        yield service.failover.service, "main", None
        yield service.failover.fallback, "fallback", None
