"""From a verified generation to the running configuration: read, decode what changed, compile, swap.

The worker remembers the digest and the decoded value of every section. A new generation costs the sections
whose digests differ; everything is decoded before anything is touched, so a bad section leaves the running
configuration as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import gevent

from config.findings import Finding
from config.generation import EndpointsShard, Generation, Meta, RoutingShard, SectionKey, TLSShard
from workers.runtime import Changes, Runtime

_V = TypeVar("_V")

LONGEST_RUN_SECONDS: Final = 0.002
"""Work on a change goes on this long before requests get the processor again."""


class Pacer:
    """Lets the event loop run whenever the current greenlet has worked for LONGEST_RUN_SECONDS."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self._since >= LONGEST_RUN_SECONDS:
            # A timer, not sleep(0): that would come back in the same round of callbacks, before any I/O.
            gevent.sleep(0.0001)
            self._since = time.monotonic()


class Reloader:
    """Holds the sections decoded last and the runtime made of them. One greenlet at a time may `apply`."""

    def __init__(self, runtime: Runtime, publish: Callable[[Runtime], None]) -> None:
        self.runtime = runtime
        self.meta: Meta | None = None
        self._publish = publish
        self._digests: dict[SectionKey, bytes] = {}
        self._shards: dict[SectionKey, Any] = {}
        self._generation: Generation | None = None
        self._findings: dict[SectionKey, tuple[bytes, list[Finding]]] = {}

    def apply(self, descriptor: int) -> int:
        """Make the generation in `descriptor` the running one; return its number.

        Raises GenerationRefused, and changes nothing, if any changed section does not hold.
        """
        pause = Pacer()
        generation = Generation(descriptor)
        try:
            fresh = self._decode_changed(generation, pause)
            gone = [key for key in self._shards if key not in generation.sections]
            digests = {key: row.digest for key, row in generation.sections.items()}
            runtime = self.runtime.updated(generation.number, self._changes(fresh, gone), pause)
        except BaseException:
            generation.close()
            raise
        self._keep(generation)
        for key in gone:
            del self._shards[key]
        self._shards.update(fresh)
        self._digests = digests
        self.meta = self._shards[SectionKey("meta", 0)]
        self.runtime = runtime
        self._publish(runtime)
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

    def _keep(self, generation: Generation) -> None:
        """Hold the newest generation open: its findings have not been read."""
        before, self._generation = self._generation, generation
        if before is not None:
            before.close()

    def _decode_changed(self, generation: Generation, pause: Pacer) -> dict[SectionKey, Any]:
        fresh = {}
        for key, row in generation.sections.items():
            if key.section in ("meta", "routing", "endpoints", "tls") and self._digests.get(key) != row.digest:
                fresh[key] = generation.read(key)
                pause()
        return fresh

    def _changes(self, fresh: Mapping[SectionKey, Any], gone: Iterable[SectionKey]) -> Changes:
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
        return changes


def _difference(before: Mapping[str, _V], after: Mapping[str, _V], into: dict[str, _V | None]) -> None:
    """Add to `into` what `after` has new or different, and None for what is gone."""
    for name in before.keys() - after.keys():
        into[name] = None
    for name, value in after.items():
        if before.get(name) != value:
            into[name] = value
