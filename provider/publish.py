"""Sections -> sealed generation -> the master, over the channel; nothing is sent that changes nothing.

Numbers rise strictly, also over restarts: they continue above the one the master holds.
"""

from __future__ import annotations

import logging
import os
import socket
import time

import msgpack

from config.generation import Meta, SectionKey, digest_of, encode_section, write_generation
from provider.sections import Sections

log = logging.getLogger(__name__)

META = SectionKey("meta", 0)


class MasterGone(Exception):
    """The master does not read the channel any more: the provider has no reason to live."""


class Publisher:
    """Owns the sending end of the channel. `last_number`: the newest generation the master has."""

    def __init__(self, channel: socket.socket, last_number: int) -> None:
        self._channel = channel
        self.number = last_number
        self._sent: tuple[dict[SectionKey, bytes], bool, tuple[str, ...]] | None = None

    def publish(self, sections: Sections, *, complete: bool, sources: tuple[str, ...]) -> bool:
        """Send a generation if it differs from the last one sent; whether it was. Raises MasterGone."""
        digests = {key: digest for key, (_, digest) in sections.encoded.items()}
        state = (digests, complete, sources)
        if state == self._sent:
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
        rows = [(key, data, digest) for key, (data, digest) in sections.encoded.items()]
        descriptor = write_generation(self.number, [*rows, (META, meta, digest_of(meta))])
        try:
            self._send(descriptor, complete)
        finally:
            os.close(descriptor)
        self._sent = state
        log.debug("generation %d published", self.number, extra={"complete": complete})
        return True

    def _send(self, descriptor: int, complete: bool) -> None:
        message: bytes = msgpack.packb({"generation": self.number, "complete": complete})
        try:
            socket.send_fds(self._channel, [message], [descriptor])
        except (BrokenPipeError, ConnectionError) as error:
            raise MasterGone(str(error)) from error
