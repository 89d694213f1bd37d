"""Configuration -> encoded sections of a generation, shard by shard; what did not change keeps its bytes.

Map keys are qualified (`…@kubernetescrd`, `…@kubernetes`), references stay as written. The servers of an HTTP load
balancer travel in `endpoints` under the service's name, so a scaling deployment leaves `routing` untouched. What
handshakes need is in `tls`, and private keys are nowhere else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from config.findings import Finding
from config.generation import SectionKey, digest_of, encode_section, shard_of
from config.http import Service
from config.names import qualify
from provider.shards import Shard
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

_HOME: Final = {section: home for home, members in MEMBERS.items() for section in members}


class Sections:
    """The sections as last encoded. Fed with what builds changed; owned by the main loop.

    A shard holds objects of all providers. Where two of them give one certificate, the builder that was seen
    first wins.
    """

    def __init__(self) -> None:
        self._builders: dict[str, Builder] = {}
        self._shards: dict[SectionKey, Shard] = {}
        self._findings: list[Finding] = []
        self._served: dict[str, bytes | None] = {}
        self.encoded: dict[SectionKey, Encoded] = {}

    def update(self, builder: Builder, changes: Changes) -> bool:
        """Encode changed objects, and put their shards together again; whether any byte differs."""
        self._builders.setdefault(builder.provider, builder)
        dirty: set[SectionKey] = set()
        for name, servers in changes.servers.items():
            dirty.update(self._place_servers(qualify(name, builder.provider), servers))
        for section, names in changes.names.items():  # after: a service may have changed altogether since
            for name in names:
                dirty.update(self._place(builder, section, name))
        for key in dirty:
            shard = self._shards[key]
            if shard:
                self._keep(key, shard.encode())
            else:
                del self._shards[key]
                self.encoded.pop(key, None)
        return bool(dirty)

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
            key, found = SectionKey("findings", shard), shards.get(shard)
            if found:
                different |= self._keep(key, encode_section(found))
            else:
                different |= self.encoded.pop(key, None) is not None
        return different

    def _place(self, builder: Builder, section: str, name: str) -> Iterator[SectionKey]:
        """Bring one object up to date; the shards whose bytes differ by it."""
        qualified = _qualify(section, name, builder.provider)
        home, number = _HOME[section], shard_of(qualified)
        value = self._value(builder, section, name, is_shared=qualified == name)
        if section == SERVICES:
            balancer = value.load_balancer if value is not None else None
            servers = encode_section(balancer.servers) if balancer is not None else None
            yield from self._place_servers(qualified, servers)
            value = without_servers(value) if value is not None else None
        key = SectionKey(home, number)
        if self._put(key, qualified, value, MEMBERS[home][section]):
            yield key

    def _place_servers(self, name: str, servers: bytes | None) -> Iterator[SectionKey]:
        """Bring the servers of one service (qualified) up to date; the shard, if its bytes differ by it."""
        key = SectionKey("endpoints", shard_of(name))
        shard = self._shard(key)
        if shard.put_encoded(name, servers):
            self._served[name] = shard.entry(name)
            yield key

    def take_changed_servers(self) -> dict[str, bytes | None]:
        """What was put into `endpoints` since the last call, name and servers encoded, by service; None: gone."""
        served, self._served = self._served, {}
        return served

    def _value(self, builder: Builder, section: str, name: str, *, is_shared: bool) -> Any | None:
        """The object of that name; where several providers may give it (`is_shared`) the first one's."""
        for one in self._builders.values() if is_shared else (builder,):
            if name in one.sections[section]:
                return one.sections[section][name]
        return None

    def _put(self, key: SectionKey, name: str, value: Any | None, member: str = "") -> bool:
        return self._shard(key).put(name, value, member)

    def _shard(self, key: SectionKey) -> Shard:
        shard = self._shards.get(key)
        if shard is None:
            shard = self._shards[key] = Shard(key.section)
        return shard

    def _keep(self, key: SectionKey, data: bytes) -> bool:
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
