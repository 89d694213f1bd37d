"""Sections -> sealed generation -> the master, over the channel; nothing is sent that changes nothing.

Numbers rise strictly, also over restarts: they continue above the one the master holds. Only what differs from the
last generation is written, and where servers of few services do, they are named apart, in `delta`.
"""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections.abc import Mapping
from typing import Final

import msgpack

from config import generation_channel
from config.generation import DELTA, META, Meta, digest_of, encode_section
from config.generation_writing import GenerationWriter
from provider.sections import Sections

MOST_IN_DELTA: Final = 2000
"""Services. A storm of 500 changes a second makes half as many while publications wait for each other (2 s). With
still more, nearly every shard has changed, and most services in it: then workers read the shards."""
_SAID_APART: Final = frozenset(("endpoints", "findings"))
"""Sections that a worker does not have to read: the delta says what differs, or it is read when somebody asks."""
_NIL: Final = b"\xc0"
_CROWDED_PAUSE_SECONDS: Final = 0.1

log = logging.getLogger(__name__)


class MasterGone(Exception):
    """The master does not read the channel any more: the provider has no reason to live."""


class Publisher:
    """Owns the sending end of the channel. `number`: that of the newest generation, sent or tried."""

    def __init__(self, channel: socket.socket, last_number: int) -> None:
        self._channel = channel
        self.number = last_number
        self._writer = GenerationWriter()
        self._sent: tuple[bool, tuple[str, ...]] | None = None
        """What was said besides the sections; None where the generation written last was not sent."""
        self._base: tuple[int, bytes] | None = None
        """Number and digest of the generation written last, if it was sent."""
        self._served: dict[str, bytes | None] = {}
        """Servers that have changed since."""

    def publish(self, sections: Sections, *, complete: bool, sources: tuple[str, ...]) -> bool:
        """Send a generation if it differs from the last one sent; whether it was. Raises MasterGone."""
        self._served.update(sections.take_changed_servers())
        state = complete, sources
        differing = self._writer.differing(sections.encoded) - {META, DELTA}
        if not differing and state == self._sent:
            return False
        self.number += 1
        meta = encode_section(
            Meta(
                number=self.number,
                created_unix_seconds=time.time(),
                complete=complete,
                sources=list(sources),
            )
        )
        apart = {META: meta}
        if self._base is not None and 0 < len(self._served) <= MOST_IN_DELTA:
            alone = all(key.section in _SAID_APART for key in differing)
            apart[DELTA] = encode_delta(*self._base, self._served, alone=alone)
        encoded = sections.encoded | {key: (data, digest_of(data)) for key, data in apart.items()}
        descriptors = self._writer.write(self.number, encoded, differing | {META, DELTA})
        self._sent = self._base = None
        self._send(descriptors, complete)
        self._sent, self._base, self._served = state, (self.number, self._writer.digest), {}
        log.debug("generation %d published", self.number, extra={"complete": complete})
        return True

    def _send(self, descriptors: tuple[int, ...], complete: bool) -> None:
        """The kernel bounds how many descriptors of a user are under way; who hangs has none taken from it."""
        while True:
            try:
                return generation_channel.send(self._channel, self.number, descriptors, is_complete=complete)
            except OSError as error:
                if isinstance(error, ConnectionError):
                    raise MasterGone(str(error)) from error
                if error.errno != errno.ETOOMANYREFS:
                    raise
            log.error("too many descriptors are under way, generation %d waits", self.number)
            time.sleep(_CROWDED_PAUSE_SECONDS)

    def close(self) -> None:
        """Close the files of the last generation; those who were sent them have their own descriptors."""
        self._writer.close()


def encode_delta(base: int, digest: bytes, served: Mapping[str, bytes | None], *, alone: bool) -> bytes:
    """Bytes of a Delta. `served`: name and servers encoded, one after the other, by name; None: gone."""
    pack, pack_map = msgpack.packb, msgpack.Packer().pack_map_header
    entries = (pack(name) + _NIL if entry is None else entry for name, entry in sorted(served.items()))
    said = (pack("alone"), pack(alone), pack("base"), pack(base), pack("digest"), pack(digest))
    return b"".join((pack_map(4), *said, pack("servers"), pack_map(len(served)), *entries))
