"""Who has read what: from a key that changed to the objects that must be translated again."""

from __future__ import annotations

from collections.abc import Collection

from provider.resources.kinds import KINDS, ObjectKey

_NOBODY: frozenset[ObjectKey] = frozenset()
_SPARSE = frozenset(kind.name for kind in KINDS.values() if kind.is_sparse)


class Readers:
    """Owned by one thread; only `is_read` may be called from others."""

    def __init__(self) -> None:
        self._reads: dict[ObjectKey, set[ObjectKey]] = {}
        self._readers: dict[ObjectKey, set[ObjectKey]] = {}
        self._released: set[ObjectKey] = set()
        self.kinds: set[str] = set()
        """Names of all kinds that were ever read."""

    def of(self, key: ObjectKey) -> Collection[ObjectKey]:
        return self._readers.get(key, _NOBODY)

    def is_read(self, key: ObjectKey) -> bool:
        return key in self._readers

    def remember(self, reader: ObjectKey, reads: set[ObjectKey]) -> None:
        """What an object reads, in place of what it read before."""
        for gone in self._reads.pop(reader, set()) - reads:
            readers = self._readers[gone]
            readers.discard(reader)
            if not readers:
                del self._readers[gone]
                if gone.kind in _SPARSE:
                    self._released.add(gone)
        if reads:
            self._reads[reader] = reads
        for read in reads:
            self._readers.setdefault(read, set()).add(reader)
            self.kinds.add(read.kind)

    def take_released(self) -> list[ObjectKey]:
        """Keys of sparse kinds that lost their last reader since the last call."""
        released = [key for key in self._released if key not in self._readers]
        self._released.clear()
        return released
