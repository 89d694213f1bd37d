"""The newest configuration generation: taken from the provider, kept, passed to every worker.

The master never looks inside. It keeps one descriptor, the newest; a worker that is forked inherits it, a
running one gets it over its channel. A worker whose channel is full is sent the newest one later.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import Any, Final, Protocol

import msgpack

from config.control_page import ControlPage, Head

_MESSAGE_BYTES: Final = 4096
_MESSAGES_AT_ONCE: Final = 256

log = logging.getLogger(__name__)


class ChannelClosed(Exception):
    """The other end of a channel has gone."""


class Receiver(Protocol):
    """A worker as seen from here: its channel and the number it was sent last."""

    channel: socket.socket
    generation_sent: int


class Generations:
    """Master only. `descriptor` is -1 until there is a generation."""

    def __init__(self, page: ControlPage) -> None:
        self._page = page
        self.descriptor = -1

    @property
    def number(self) -> int:
        return self._page[Head.GENERATION]

    def adopt(self, descriptor: int, number: int, is_complete: bool) -> None:
        """Make this the newest generation; the former descriptor is closed."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = descriptor
        self._page[Head.GENERATION] = number
        if is_complete and not self._page[Head.FIRST_COMPLETE]:
            self._page[Head.FIRST_COMPLETE] = number

    def receive(self, channel: socket.socket) -> bool:
        """Take every waiting message of the provider; True if there is a newer generation now.

        Raises ChannelClosed after the last message of a provider that has gone.
        """
        before = self.number
        for _ in range(_MESSAGES_AT_ONCE):
            try:
                data, descriptors, _, _ = socket.recv_fds(channel, _MESSAGE_BYTES, 4)
            except BlockingIOError:
                break
            except OSError as error:
                raise ChannelClosed from error
            if not data:
                if self.number > before:
                    return True  # the end is met again next time, nothing of it is consumed
                raise ChannelClosed
            self._take(data, descriptors)
        return self.number > before

    def _take(self, data: bytes, descriptors: list[int]) -> None:
        message = _decoded(data)
        number = message.get("generation")
        if not isinstance(number, int) or len(descriptors) != 1 or number <= self.number:
            for descriptor in descriptors:
                os.close(descriptor)
            log.error("message of the provider refused", extra={"given": message, "newest": self.number})
            return
        os.set_inheritable(descriptors[0], False)
        self.adopt(descriptors[0], number, bool(message.get("complete")))

    def relay(self, receiver: Receiver) -> None:
        """Send the newest generation unless this worker has it. A full or dead channel is left for later."""
        number = self.number
        if self.descriptor < 0 or receiver.generation_sent >= number:
            return
        try:
            socket.send_fds(receiver.channel, [msgpack.packb({"generation": number})], [self.descriptor])
        except OSError:
            return
        receiver.generation_sent = number


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        message = msgpack.unpackb(data)
    except (ValueError, msgpack.UnpackException):
        return {}
    return message if isinstance(message, dict) else {}
