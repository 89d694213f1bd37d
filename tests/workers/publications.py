"""Generations for a worker to apply: as a provider publishes them, and with a delta of any content."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from config import generation_channel
from config import generation_table as table
from config.generation import DELTA, META, Generation, Meta, SectionKey, digest_of, encode_section, shard_of
from config.generation_layout import File
from config.generation_writing import GenerationWriter
from config.http import LoadBalancer, Server, Service
from config.names import qualify
from provider.publish import Publisher
from provider.sections import Sections
from provider.translate.builder import Changes
from provider.translate.output import SERVICES
from tests.workers.fakes import environment, servers
from workers.reload import Reloader
from workers.runtime import Runtime

P = "kubernetescrd"


def crowded(count: int) -> list[str]:
    """Bare names of services, at least two of them in each of their shards."""
    by_shard: dict[int, list[str]] = {}
    for number in range(2000):
        by_shard.setdefault(shard_of(qualify(f"s{number}", P)), []).append(f"s{number}")
    return [name for names in sorted(by_shard.values()) for name in names[:2]][:count]


NAMES = crowded(8)


class Control:
    """The provider's side: services with servers, each change of which is a generation."""

    def __init__(self) -> None:
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.settimeout(15)
        self.theirs = theirs
        self.publisher = Publisher(theirs, 0)
        self.sections = Sections()
        self.services: dict[str, Service] = {}
        self.builder: Any = SimpleNamespace(provider=P, sections={SERVICES: self.services})
        self.files: tuple[int, ...] = ()
        self.is_complete = True

    def change(self, services: Mapping[str, Sequence[int] | None]) -> None:
        """Ports of servers by name of a service; None: it goes."""
        changes = Changes()
        for name, ports in services.items():
            is_known = name in self.services
            if ports is None:
                self.services.pop(name, None)
                changes.names.setdefault(SERVICES, set()).add(name)
                continue
            balancer = LoadBalancer(pass_host_header=True, servers=servers(*ports))
            self.services[name] = Service(load_balancer=balancer)
            if is_known:
                changes.servers[name] = encode_section(balancer.servers)
            else:
                changes.names.setdefault(SERVICES, set()).add(name)
        self.sections.update(self.builder, changes)

    def publish(self) -> bool:
        """Whether there is something new, which `files` are then."""
        if not self.publisher.publish(self.sections, complete=self.is_complete, sources=()):
            return False
        parcel = generation_channel.receive(self.ours)
        assert parcel is not None
        self._close_files()
        self.files = parcel.descriptors
        return True

    def generation(self) -> Generation:
        return Generation(self.files)

    def _close_files(self) -> None:
        for descriptor in self.files:
            os.close(descriptor)

    def close(self) -> None:
        self._close_files()
        self.publisher.close()
        self.ours.close()
        self.theirs.close()


@contextmanager
def controlled(**services: Sequence[int]) -> Iterator[Control]:
    """With these services published."""
    made = Control()
    try:
        made.change(services)
        made.publish()
        yield made
    finally:
        made.close()


class Written:
    """Generations with a delta of any content."""

    def __init__(self) -> None:
        self.writer = GenerationWriter()
        self.number = 0

    def write(
        self,
        endpoints: Mapping[str, list[Server]],
        delta: bytes | None = None,
        others: Mapping[SectionKey, bytes] | None = None,
    ) -> tuple[int, ...]:
        self.number += 1
        shards: dict[SectionKey, dict[str, list[Server]]] = {}
        for name, one in endpoints.items():
            shards.setdefault(SectionKey("endpoints", shard_of(name)), {})[name] = one
        bodies = {key: encode_section(value) for key, value in shards.items()}
        bodies[META] = encode_section(Meta(number=self.number, created_unix_seconds=0))
        bodies.update(others or {})
        if delta is not None:
            bodies[DELTA] = delta
        return self.writer.write(self.number, {key: (body, digest_of(body)) for key, body in bodies.items()})


def reloader() -> Reloader:
    return Reloader(Runtime(environment()), lambda _: None)


def served(one: Reloader) -> tuple[dict[str, list[Server]], dict[str, list[Server]]]:
    """Servers by service, as they came and as they are used."""
    runtime = one.runtime
    return runtime.endpoints, {name: state.servers for name, state in runtime.services.items()}


def tables_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the generations at whose rows somebody looks from now on."""
    read, looked_at = [], table._looked_at

    def noted(files: tuple[File, ...], *given: Any) -> table.Rows:
        read.append(files[0].number)
        return looked_at(files, *given)

    monkeypatch.setattr(table, "_looked_at", noted)
    return read


def sections_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Sections whose bytes are read from now on."""
    read, checked = [], Generation._checked

    def noted(generation: Generation, key: SectionKey) -> bytes:
        read.append(key.section)
        return checked(generation, key)

    monkeypatch.setattr(Generation, "_checked", noted)
    return read
