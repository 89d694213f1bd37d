"""Configuration -> encoded sections of a generation, shard by shard; unchanged shards keep their bytes.

Map keys are qualified (`…@kubernetescrd`), references stay as written. The servers of a load balancer travel in
`endpoints` under the service's name, so a scaling deployment leaves `routing` untouched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable
from typing import Any

import msgspec

from config.findings import Finding
from config.generation import EndpointsShard, RoutingShard, SectionKey, digest_of, encode_section, shard_of
from config.http import Router, Service
from config.names import PROVIDER_CRD, qualify
from provider.translate.builder import Builder, Changes

Encoded = tuple[bytes, bytes]
"""Bytes and their digest."""


class Sections:
    """The sections as last encoded. Fed with what a build changed; owned by the main loop."""

    def __init__(self, provider: str = PROVIDER_CRD) -> None:
        self._provider = provider
        self._routers: defaultdict[int, set[str]] = defaultdict(set)
        self._services: defaultdict[int, set[str]] = defaultdict(set)
        self._findings: list[Finding] = []
        self.encoded: dict[SectionKey, Encoded] = {}

    def update(self, builder: Builder, changes: Changes) -> bool:
        """Encode the shards that hold a changed name again; whether any byte differs."""
        dirty = self._place(changes.routers, self._routers, builder.routers)
        dirty |= self._place(changes.services, self._services, builder.services)
        different = False
        for shard in dirty:
            routing, endpoints = self._shard(builder, shard)
            filled = bool(routing.routers or routing.services)
            different |= self._put(SectionKey("routing", shard), routing, filled)
            different |= self._put(SectionKey("endpoints", shard), endpoints, bool(endpoints))
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

    def _place(
        self, names: Iterable[str], shards: defaultdict[int, set[str]], present: Container[str]
    ) -> set[int]:
        """Note which shard each changed name is in; the shards touched."""
        touched = set()
        for name in names:
            shard = shard_of(qualify(name, self._provider))
            touched.add(shard)
            if name in present:
                shards[shard].add(name)
            else:
                shards[shard].discard(name)
        return touched

    def _shard(self, builder: Builder, shard: int) -> tuple[RoutingShard, EndpointsShard]:
        routers: dict[str, Router] = {}
        services: dict[str, Service] = {}
        endpoints: EndpointsShard = {}
        for name in self._routers[shard]:
            routers[qualify(name, self._provider)] = builder.routers[name]
        for name in self._services[shard]:
            qualified, service = qualify(name, self._provider), builder.services[name]
            if service.load_balancer is not None:
                endpoints[qualified] = service.load_balancer.servers
                service = without_servers(service)
            services[qualified] = service
        return RoutingShard(routers=routers, services=services), endpoints

    def _put(self, key: SectionKey, value: Any, present: bool) -> bool:
        if not present:
            return self.encoded.pop(key, None) is not None
        data = encode_section(value)
        new = (data, digest_of(data))
        old = self.encoded.get(key)
        self.encoded[key] = new
        return old is None or old[1] != new[1]


def without_servers(service: Service) -> Service:
    """The service as the routing section holds it: its load balancer without servers."""
    if service.load_balancer is None or not service.load_balancer.servers:
        return service
    return msgspec.structs.replace(
        service, load_balancer=msgspec.structs.replace(service.load_balancer, servers=[])
    )
