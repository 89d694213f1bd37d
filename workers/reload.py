"""From a verified generation to the running configuration: read, decode what changed, compile, swap.

The worker remembers the table and the decoded sections of the generation in force. A new one costs the sections
whose digests differ; of `endpoints` only the services that it names as changed, if it names them (`delta`) against
the very generation in force. Everything is decoded before anything is touched, so a bad section leaves the running
configuration as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import gevent
from gevent import get_hub

from config.findings import Finding
from config.generation import (
    DELTA,
    META,
    EndpointsShard,
    Generation,
    Meta,
    RoutingShard,
    SectionKey,
    TLSShard,
    decode_servers,
    shard_of,
)
from config.http import Server
from workers.pacing import Pacer
from workers.runtime import Changes, Runtime

LET_GO_SECONDS: Final = 0.003
"""After the change, in which requests that have come meanwhile are answered."""
_DECODED: Final = ("meta", "routing", "endpoints", "tls")
_V = TypeVar("_V")

_Served = dict[str, list[Server] | None]
"""Servers by service; None: it has none any more."""


class Reloader:
    """Holds the sections decoded last and the runtime made of them. One greenlet at a time may `apply`."""

    def __init__(self, runtime: Runtime, publish: Callable[[Runtime], None]) -> None:
        self.runtime = runtime
        self.meta: Meta | None = None
        self._publish = publish
        self._shards: dict[SectionKey, Any] = {}
        self._generation: Generation | None = None
        self._findings: dict[SectionKey, tuple[bytes, list[Finding]]] = {}

    def apply(self, descriptors: Sequence[int]) -> int:
        """Make the generation in these files the running one; return its number.

        Raises GenerationRefused, and changes nothing, if any changed section does not hold.
        """
        pause = Pacer()
        generation = Generation(descriptors, self._generation, pause)
        try:
            served = self._served(generation, pause)
            read = _DECODED if served is None else tuple(one for one in _DECODED if one != "endpoints")
            fresh = self._decode_changed(generation, read, pause)
            gone = [key for key in generation.gone if key.section in read]
            changes = self._changes(fresh, gone, pause)
            if served is not None:
                changes.endpoints = served
            runtime = self.runtime.updated(generation.number, changes, pause)
        except BaseException:
            generation.close()
            raise
        for key in gone:
            self._shards.pop(key, None)
        self._shards.update(fresh)
        self._keep_servers(served or {})
        self.meta = self._shards[META]
        self.runtime = runtime
        before, self._generation = self._generation, generation  # open: its findings have not been read
        self._publish(runtime)
        if before is not None:
            _let_go(before)
        return runtime.number

    def findings(self) -> list[Finding]:
        """What the provider has to say about objects, in no particular order.

        Nobody needs these to serve, so they are decoded when somebody asks: only shards that changed since.
        """
        generation = self._generation
        if generation is None:
            return []
        before, now = self._findings, {}
        for key, row in generation.sections.items():
            if key.section == "findings":
                known = before.get(key)
                now[key] = known if known and known[0] == row.digest else (row.digest, generation.read(key))
        self._findings = now
        return [finding for _, found in now.values() for finding in found]

    def _served(self, generation: Generation, pause: Pacer) -> _Served | None:
        """What of `endpoints` differs, if the generation says it of the one in force."""
        before = self._generation
        if before is None or DELTA not in generation.sections:
            return None
        delta = generation.read(DELTA)
        if (delta.base, delta.digest) != (before.number, before.digest):
            return None
        served: _Served = {}
        for name, encoded in delta.servers.items():
            servers, shard = decode_servers(encoded), self._shards.get(_endpoints_of(name), {})
            if servers != shard.get(name):
                served[name] = servers
            pause()
        return served

    def _keep_servers(self, served: _Served) -> None:
        for name, servers in served.items():
            key = _endpoints_of(name)
            if servers is not None:
                self._shards.setdefault(key, {})[name] = servers
            else:
                shard = self._shards[key]
                del shard[name]
                if not shard:
                    del self._shards[key]

    def _decode_changed(
        self, generation: Generation, sections: Collection[str], pause: Pacer
    ) -> dict[SectionKey, Any]:
        fresh = {}
        for key in generation.changed:
            if key.section in sections:
                fresh[key] = self._decoded(generation, key)
                pause()
        return fresh

    def _decoded(self, generation: Generation, key: SectionKey) -> Any:
        before, known = self._generation, self._shards.get(key)
        if known is not None and before is not None and key.section == "endpoints" and key in before.sections:
            return generation.read_endpoints(key, before, known)
        return generation.read(key)

    def _changes(self, fresh: Mapping[SectionKey, Any], gone: Iterable[SectionKey], pause: Pacer) -> Changes:
        changes = Changes()
        news = {**fresh, **dict.fromkeys(gone)}
        for key, new in news.items():
            old = self._shards.get(key)
            if key.section == "routing":
                before, after = old or RoutingShard(), new or RoutingShard()
                for name in RoutingShard.__struct_fields__:
                    _difference(getattr(before, name), getattr(after, name), getattr(changes, name))
            elif key.section == "endpoints":
                nothing: EndpointsShard = {}
                _difference(old or nothing, new or nothing, changes.endpoints)
            elif key.section == "tls":
                was, is_now = old or TLSShard(), new or TLSShard()
                _difference(was.certificates, is_now.certificates, changes.tls.certificates)
                _difference(was.options, is_now.options, changes.tls.options)
                _difference(was.stores, is_now.stores, changes.tls.stores)
            pause()
        return changes


def _endpoints_of(service: str) -> SectionKey:
    """The section that holds its servers."""
    return SectionKey("endpoints", shard_of(service))


def _let_go(generation: Generation) -> None:
    """Close it a little later: requests that waited for the end of the change should not wait for that, too."""
    gevent.spawn_later(LET_GO_SECONDS, _close, generation)


def _close(generation: Generation) -> None:
    """In a thread: often nobody else has it, and the kernel takes a millisecond to free its pages.

    At once where passwords and bodies keep all threads busy, or where the system does not allow to start one: what
    waited for them would pile up.
    """
    pool = get_hub().threadpool
    if len(pool) < pool.maxsize:
        with suppress(RuntimeError):
            pool.spawn(generation.close)
            return
    generation.close()


def _difference(before: dict[str, _V], after: dict[str, _V], into: dict[str, _V | None]) -> None:
    """Add to `into` what `after` has new or different, and None for what is gone.

    What is equal becomes the object that it was, in `after` too: the newly decoded one is free at once, and the
    memory of a configuration does not wander with every change of a neighbour.
    """
    for name in before.keys() - after.keys():
        into[name] = None
    for name, value in after.items():
        known = before.get(name)
        if known is value or known == value:
            after[name] = known
        else:
            into[name] = value
