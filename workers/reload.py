"""From a verified generation to the running configuration: read, decode what changed, compile, swap.

The worker remembers the table and the decoded sections of the generation in force; the servers are those that the
runtime has. A new one costs the sections whose digests differ; of `endpoints` only the services whose bytes do. If
it names what changed against the very generation in force (`delta`), `endpoints` is not read, and if it says that
nothing else changed, not even the table is. Everything is decoded before anything is touched, so a bad section
leaves the running configuration as it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import gevent
import msgspec
from gevent import get_hub

from config.findings import Finding
from config.generation import (
    META,
    Generation,
    GenerationRefused,
    Meta,
    RoutingShard,
    SectionKey,
    TLSShard,
    decode_changed_servers,
    decode_servers,
)
from config.http import Server
from workers.pacing import Pacer
from workers.runtime import Changes, Runtime

log = logging.getLogger(__name__)

LET_GO_SECONDS: Final = 0.003
"""After the change, in which requests that have come meanwhile are answered."""
_KEPT: Final = ("meta", "routing", "tls")
"""Sections that are kept as they were decoded."""
_BYTES_AT_ONCE: Final = 4096
"""Of encoded servers: decoding them takes about as long as what else is done between two looks at the clock."""
_LEAST_BYTES: Final = 128
"""What a service counts at least."""
_V = TypeVar("_V")

_Served = dict[str, list[Server] | None]
"""Servers by service; None: it has none any more."""
_Sections = dict[SectionKey, Any]
_Findings = dict[SectionKey, tuple[bytes, list[Finding]]]
"""With the digests of the sections."""


class Reloader:
    """Holds the sections decoded last and the runtime made of them. One greenlet at a time may `apply`."""

    def __init__(self, runtime: Runtime, publish: Callable[[Runtime], None]) -> None:
        self.runtime = runtime
        self.meta: Meta | None = None
        self._publish = publish
        self._kept: _Sections = {}
        self._generation: Generation | None = None
        self._findings: _Findings = {}
        self._findings_of = b""
        """Digest of the generation of which they were read last, or could not be."""

    def apply(self, descriptors: Sequence[int]) -> int:
        """Make the generation in these files the running one; return its number.

        Raises GenerationRefused, and changes nothing, if any changed section does not hold.
        """
        pause = Pacer()
        generation = Generation(descriptors, self._generation, pause)
        try:
            fresh, gone, served = self._read(generation, pause)
            changes = self._changes(fresh, gone, pause)
            changes.endpoints = served
            runtime = self.runtime.updated(generation.number, changes, pause)
        except BaseException:
            generation.close()
            raise
        for key in gone:
            self._kept.pop(key, None)
        self._kept.update(fresh)
        self.meta = self._kept[META]
        self.runtime = runtime
        before, self._generation = self._generation, generation  # open: its findings have not been read
        self._publish(runtime)
        if before is not None:
            _let_go(before)
        return runtime.number

    def findings(self) -> list[Finding]:
        """What the provider has to say about objects, in no particular order.

        Nobody needs these to serve, so they are decoded when somebody asks: only shards that changed since. Where
        they cannot be read, the last ones that could be are given: the generation serves nevertheless.
        """
        generation = self._generation
        if generation is not None and generation.digest != self._findings_of:
            self._findings_of = generation.digest
            try:
                self._findings = self._read_findings(generation)
            except GenerationRefused as error:
                log.error("findings cannot be read", extra={"generation": generation.number, "error": error})
        return [finding for _, found in self._findings.values() for finding in found]

    def _read_findings(self, generation: Generation) -> _Findings:
        before, now = self._findings, {}
        for key, row in generation.sections.items():
            if key.section == "findings":
                known = before.get(key)
                now[key] = known if known and known[0] == row.digest else (row.digest, generation.read(key))
        return now

    def _read(self, generation: Generation, pause: Pacer) -> tuple[_Sections, Collection[SectionKey], _Served]:
        """What differs from what is in force: sections that are kept, those that are gone, and servers."""
        before, served = self._generation, None
        if before is None:
            return self._read_after(None, generation, None, pause)
        delta = generation.delta()
        if delta is not None and (delta.base, delta.digest) == (before.number, before.digest):
            served = self._differing(_decoded(delta.servers, decode_changed_servers, pause))
            if delta.alone:
                return {META: generation.read(META)}, (), served
        try:
            return self._read_after(before, generation, served, pause)
        except GenerationRefused as error:
            # Not all of the one in force has been looked at: it may be that one which does not hold.
            read = self._read_after(None, generation, None, pause)
            log.error("generation in force does not hold", extra={"generation": before.number, "error": error})
            return read

    def _read_after(
        self, before: Generation | None, generation: Generation, served: _Served | None, pause: Pacer
    ) -> tuple[_Sections, Collection[SectionKey], _Served]:
        """The ordinary way. `served`: what it says itself of its servers; None for `before`: all is read anew."""
        changed, gone = generation.compared(before, pause)
        if before is None:
            gone = [key for key in self._kept if key not in generation.sections]
        fresh = {}
        for key in changed:
            if key.section in _KEPT:
                fresh[key] = generation.read(key)
                pause()
        if served is None:
            if before is None:
                served = self._all_served(generation, pause)
            else:
                served = self._served(before, generation, [*changed, *gone], pause)
        return fresh, [key for key in gone if key.section in _KEPT], served

    def _served(
        self, before: Generation, generation: Generation, keys: Iterable[SectionKey], pause: Pacer
    ) -> _Served:
        """Servers that are others than those in force, in these sections."""
        served: _Served = {}
        for key in keys:
            if key.section == "endpoints":
                now, was = generation.read_endpoints(key), before.read_endpoints(key)
                served.update(dict.fromkeys(was.keys() - now.keys()))
                others = {name: servers for name, servers in now.items() if was.get(name) != servers}
                served.update(self._differing(_decoded(others, decode_servers, pause)))
                pause()
        return served

    def _all_served(self, generation: Generation, pause: Pacer) -> _Served:
        """As `_served`, of all sections, when it is not known what they were."""
        served: _Served = {}
        gone = {*self.runtime.endpoints}
        for key in generation.sections:
            if key.section == "endpoints":
                now = generation.read(key)
                served.update(self._differing(now.items()))
                gone.difference_update(now)
                pause()
        served.update(dict.fromkeys(gone))
        return served

    def _differing(self, servers: Iterable[tuple[str, list[Server] | None]]) -> _Served:
        in_force = self.runtime.endpoints
        return {name: one for name, one in servers if one != in_force.get(name)}

    def _changes(self, fresh: _Sections, gone: Iterable[SectionKey], pause: Pacer) -> Changes:
        changes = Changes()
        news = {**fresh, **dict.fromkeys(gone)}
        for key, new in news.items():
            old = self._kept.get(key)
            if key.section == "routing":
                before, after = old or RoutingShard(), new or RoutingShard()
                for name in RoutingShard.__struct_fields__:
                    _difference(getattr(before, name), getattr(after, name), getattr(changes, name))
            elif key.section == "tls":
                was, is_now = old or TLSShard(), new or TLSShard()
                _difference(was.certificates, is_now.certificates, changes.tls.certificates)
                _difference(was.options, is_now.options, changes.tls.options)
                _difference(was.stores, is_now.stores, changes.tls.stores)
            pause()
        return changes


def _decoded(
    servers: Mapping[str, msgspec.Raw], decode: Callable[[msgspec.Raw], _V], pause: Pacer
) -> Iterator[tuple[str, _V]]:
    """Servers by service, with a pause after every few of them."""
    length = 0
    for name, encoded in servers.items():
        yield name, decode(encoded)
        length += max(len(encoded), _LEAST_BYTES)
        if length >= _BYTES_AT_ONCE:
            pause()
            length = 0


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
