"""The newest configuration generation: taken from the provider, kept, passed to every worker.

The master never looks inside. It keeps the descriptors of the newest; a worker that is forked inherits it, a
running one gets them over its channel. A worker whose channel is full is sent the newest one later.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from typing import Final, Protocol

from config import generation_channel
from config.control_page import ControlPage, Head
from config.generation_channel import Parcel, ParcelRefused, close_all

_MESSAGES_AT_ONCE: Final = 256

log = logging.getLogger(__name__)


class ChannelClosed(Exception):
    """The other end of a channel has gone."""


class Receiver(Protocol):
    """A worker as seen from here: its channel and the number it was sent last."""

    channel: socket.socket
    generation_sent: int


class Generations:
    """Master only. `descriptors` is empty until there is a generation; its own file's is the first."""

    def __init__(self, page: ControlPage) -> None:
        self._page = page
        self.descriptors: tuple[int, ...] = ()

    @property
    def number(self) -> int:
        return self._page[Head.GENERATION]

    def adopt(self, descriptors: Sequence[int], number: int, is_complete: bool) -> None:
        """Make this the newest generation; the former descriptors are closed."""
        self.close()
        self.descriptors = tuple(descriptors)
        self._page[Head.GENERATION] = number
        if is_complete and not self._page[Head.FIRST_COMPLETE]:
            self._page[Head.FIRST_COMPLETE] = number

    def close(self) -> None:
        """There is no generation any more; nothing is said of it."""
        descriptors, self.descriptors = self.descriptors, ()
        close_all(descriptors)

    def receive(self, channel: socket.socket) -> bool:
        """Take every waiting message of the provider; True if there is a newer generation now.

        Raises ChannelClosed after the last message of a provider that has gone.
        """
        before = self.number
        for _ in range(_MESSAGES_AT_ONCE):
            try:
                parcel = generation_channel.receive(channel)
            except ParcelRefused as error:
                log.error("message of the provider refused", extra={"error": error})
                continue
            except BlockingIOError:
                break
            except OSError as error:
                raise ChannelClosed from error
            if parcel is None:
                if self.number > before:
                    return True  # the end is met again next time, nothing of it is consumed
                raise ChannelClosed
            self._take(parcel)
        return self.number > before

    def _take(self, parcel: Parcel) -> None:
        if parcel.number > self.number:
            self.adopt(parcel.descriptors, parcel.number, parcel.is_complete)
            return
        close_all(parcel.descriptors)
        log.error("old generation refused", extra={"given": parcel.number, "newest": self.number})

    def relay(self, receiver: Receiver) -> None:
        """Send the newest generation unless this worker has it. A full or dead channel is left for later."""
        number = self.number
        if not self.descriptors or receiver.generation_sent >= number:
            return
        try:
            generation_channel.send(receiver.channel, number, self.descriptors)
        except OSError:
            return
        receiver.generation_sent = number
