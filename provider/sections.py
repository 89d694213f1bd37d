"""Configuration -> encoded sections of a generation, shard by shard; unchanged shards keep their bytes.

Map keys are qualified (`…@kubernetescrd`, `…@kubernetes`), references stay as written. The servers of an HTTP load
balancer travel in `endpoints` under the service's name, so a scaling deployment leaves `routing` untouched. What
handshakes need is in `tls`, and private keys are nowhere else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from config.findings import Finding
from config.generation import (
    EndpointsShard,
    RoutingShard,
    SectionKey,
    TLSShard,
    digest_of,
    encode_section,
    shard_of,
)
from config.http import Service
from config.names import qualify
from config.shape import Shape
from provider.translate.builder import Builder, Changes
from provider.translate.output import SERVICES
from provider.translate.tls_defaults import DEFAULT

Encoded = tuple[bytes, bytes]
"""Bytes and their digest."""

MEMBERS: Final[Mapping[str, Mapping[str, str]]] = {
    "routing": {
        "http.routers": "routers",
        "http.services": "services",
        "http.middlewares": "middlewares",
        "http.serversTransports": "servers_transports",
        "tcp.routers": "tcp_routers",
        "tcp.services": "tcp_services",
        "tcp.middlewares": "tcp_middlewares",
        "tcp.serversTransports": "tcp_servers_transports",
        "udp.routers": "udp_routers",
        "udp.services": "udp_services",
    },
    "tls": {"tls.certificates": "certificates", "tls.options": "options", "tls.stores": "stores"},
}
"""Section of a generation -> section of the dynamic configuration -> member of the shard."""

_SHARDS: Final[Mapping[str, type[Shape]]] = {"routing": RoutingShard, "tls": TLSShard}
_HOME: Final = {section: home for home, members in MEMBERS.items() for section in members}


class Sections:
    """The sections as last encoded. Fed with what builds changed; owned by the main loop.

    A shard holds objects of all providers. Where two of them give one certificate, the builder that was seen
    first wins.
    """

    def __init__(self) -> None:
        self._builders: dict[str, Builder] = {}
        self._names: dict[tuple[str, str, int], set[str]] = {}
        self._findings: list[Finding] = []
        self.encoded: dict[SectionKey, Encoded] = {}

    def update(self, builder: Builder, changes: Changes) -> bool:
        """Encode the shards that hold a changed name again; whether any byte differs."""
        self._builders.setdefault(builder.provider, builder)
        dirty: set[SectionKey] = set()
        for section, names in changes.names.items():
            touched = self._place(builder, section, names)
            dirty.update(SectionKey(_HOME[section], shard) for shard in touched)
        different = False
        for key in dirty:
            members, endpoints = self._shard(key)
            different |= self._put(key, _SHARDS[key.section](**members), any(members.values()))
            if key.section == "routing":
                different |= self._put(SectionKey("endpoints", key.shard), endpoints, bool(endpoints))
        return different

    def update_findings(self, findings: list[Finding]) -> bool:
        """Encode all findings, sharded by their object; whether any byte differs. Same list, same bytes."""
        if findings is self._findings:
            return False
        self._findings = findings
        shards: defaultdict[int, list[Finding]] = defaultdict(list)
        for finding in findings:
            shards[shard_of(f"{finding.kind}/{finding.namespace}/{finding.name}")].append(finding)
        known = {key.shard for key in self.encoded if key.section == "findings"}
        different = False
        for shard in known | set(shards):
            found = shards.get(shard, [])
            different |= self._put(SectionKey("findings", shard), found, bool(found))
        return different

    def _place(self, builder: Builder, section: str, names: Iterable[str]) -> set[int]:
        """Note which shard each changed name is in; the shards touched."""
        touched, present = set(), builder.sections[section]
        for name in names:
            shard = shard_of(_qualify(section, name, builder.provider))
            touched.add(shard)
            here = self._names.setdefault((builder.provider, section, shard), set())
            if name in present:
                here.add(name)
            else:
                here.discard(name)
        return touched

    def _shard(self, key: SectionKey) -> tuple[dict[str, dict[str, Any]], EndpointsShard]:
        members: dict[str, dict[str, Any]] = {}
        endpoints: EndpointsShard = {}
        for section, member in MEMBERS[key.section].items():
            objects = members[member] = {}
            for qualified, value in self._objects(section, key.shard):
                if section == SERVICES and value.load_balancer is not None:
                    endpoints[qualified] = value.load_balancer.servers
                    objects[qualified] = without_servers(value)
                else:
                    objects.setdefault(qualified, value)
        return members, endpoints

    def _objects(self, section: str, shard: int) -> Iterator[tuple[str, Any]]:
        for provider, builder in self._builders.items():
            values = builder.sections[section]
            for name in self._names.get((provider, section, shard), ()):
                yield _qualify(section, name, provider), values[name]

    def _put(self, key: SectionKey, value: Any, present: bool) -> bool:
        if not present:
            return self.encoded.pop(key, None) is not None
        data = encode_section(value)
        new = (data, digest_of(data))
        old = self.encoded.get(key)
        self.encoded[key] = new
        return old is None or old[1] != new[1]


def _qualify(section: str, name: str, provider: str) -> str:
    """The name outside of its provider: certificates and what is the default for all keep theirs."""
    if section == "tls.certificates" or (_HOME[section] == "tls" and name == DEFAULT):
        return name
    return qualify(name, provider)


def without_servers(service: Service) -> Service:
    """The service as the routing section holds it: its load balancer without servers."""
    if service.load_balancer is None or not service.load_balancer.servers:
        return service
    return msgspec.structs.replace(
        service, load_balancer=msgspec.structs.replace(service.load_balancer, servers=[])
    )
