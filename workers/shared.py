"""State that a client sees as one although many workers hold it: buckets, counts, nonces, breakers.

`SharedState` is one worker's door to the cells (config/cells.py). What is asked for is named by an *identity*:
a digest over everything that must be equal for it to be the same limiter (kind, router or service, position in
the chain, options). An unchanged identity finds its state again after a reload, in a replaced worker, in
another worker; a changed option is another identity and starts afresh.

    identity = shared.identity("rateLimit", router, "0", options)
    buckets = shared.buckets(identity, interval_ns=..., burst=5, longest_wait_ns=..., ttl_seconds=2)
    buckets.take(b"10.0.0.1")

Everything here takes microseconds, locks for part of them and never switches; so every method may be called
from any greenlet of the worker, and from no other thread. Each may raise `CellsBusy` (a worker was stopped while
it held a lock): whoever asked must refuse then, not let pass.
"""

from __future__ import annotations

import hashlib
from functools import cache

from config.cells import Cells, CellsBusy
from config.counters import CounterPage
from workers.shared_gauges import Gauge
from workers.shared_records import Record
from workers.shared_words import TokenBuckets, Words

IDENTITY_BYTES = 16


class SharedState:
    """Made in the worker, after the fork, with the slot that the master gave it."""

    def __init__(self, cells: Cells, slot_index: int) -> None:
        """Raises ValueError for a slot that the master has not opened."""
        if slot_index >= cells.used_slots:
            raise ValueError(f"slot {slot_index} was not opened in the shared cells")
        self._cells = cells
        self._slot_index = slot_index

    @property
    def slot_index(self) -> int:
        """The worker's place among all that share."""
        return self._slot_index

    @property
    def used_slots(self) -> int:
        """One more than the highest slot that a worker has had."""
        return self._cells.used_slots

    @property
    def counters(self) -> CounterPage:
        """What is counted for the metrics, by all of them."""
        return self._cells.counters

    @classmethod
    def private(cls) -> SharedState:
        """Cells of its own, for one process alone: tests, and looking at a configuration without serving it."""
        cells = Cells.create()
        cells.open_slot(0)
        return cls(cells, 0)

    def identity(self, *parts: str | bytes) -> bytes:
        """16 bytes that stand for exactly these parts, in this order.

        They depend on a secret of the process tree: equal in all its workers, unknown outside, so they may also
        serve as what a client must not be able to guess (an opaque).
        """
        digest = hashlib.blake2b(key=self._cells.salt, digest_size=IDENTITY_BYTES)
        for part in parts:
            data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
        return digest.digest()

    def buckets(
        self, identity: bytes, *, interval_ns: float, burst: int, longest_wait_ns: int, ttl_seconds: int
    ) -> TokenBuckets:
        """Token buckets, one a source; see TokenBuckets."""
        return TokenBuckets(
            self._cells,
            identity,
            interval_ns=interval_ns,
            burst=burst,
            longest_wait_ns=longest_wait_ns,
            ttl_seconds=ttl_seconds,
        )

    def words(self, identity: bytes, *, ttl_seconds: int) -> Words:
        """One 64-bit value a source, forgotten when it was not updated for `ttl_seconds`."""
        return Words(self._cells, identity, ttl_seconds=ttl_seconds)

    def gauge(self, identity: bytes) -> Gauge:
        """How many are in progress, by source."""
        return Gauge(self._cells, identity, self._slot_index)

    def record(self, identity: bytes, *, ttl_seconds: int) -> Record:
        """A body of config.cells.RECORD_BYTES, zero at first and after `ttl_seconds` without use."""
        return Record(self._cells, identity, ttl_seconds=ttl_seconds)


def shared_state(given: SharedState | None) -> SharedState:
    """What was given, or this process's own where nothing is shared."""
    return given if given is not None else _own()


@cache
def _own() -> SharedState:
    return SharedState.private()


__all__ = ["CellsBusy", "Gauge", "Record", "SharedState", "TokenBuckets", "Words", "shared_state"]
