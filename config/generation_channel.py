"""How generations go from process to process: one message with the descriptors of all files, or nothing of them.

The kernel drops descriptors for which the receiver has no place. So a message says how many there are, and one
with fewer is refused: a generation is never put together from what is left.
"""

from __future__ import annotations

import os
import socket
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgpack

from config.generation_layout import MOST_FILES

_MESSAGE_BYTES: Final = 4096
_ANCILLARY_BYTES: Final = socket.CMSG_LEN(MOST_FILES * array("i").itemsize)


class Parcel(NamedTuple):
    """A generation as it travels; the descriptors, its own file's first, are the receiver's to close."""

    number: int
    is_complete: bool
    descriptors: tuple[int, ...]


class ParcelRefused(Exception):
    """The message is none of ours, or descriptors of it are lost; those that came are closed."""


def send(
    channel: socket.socket, number: int, descriptors: Sequence[int], *, is_complete: bool | None = None
) -> None:
    """`is_complete`: said to the master. Raises OSError; nothing was sent then."""
    message = {"generation": number, "files": len(descriptors)}
    if is_complete is not None:
        message["complete"] = is_complete
    socket.send_fds(channel, [msgpack.packb(message)], descriptors)


def receive(channel: socket.socket) -> Parcel | None:
    """The next one; None if the other end has gone. Raises ParcelRefused, and OSError as the socket does."""
    data, ancillary, flags, _ = channel.recvmsg(_MESSAGE_BYTES, _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC)
    received = _descriptors(ancillary)
    if not data:
        close_all(received)
        return None
    message = _decoded(data)
    number, files = message.get("generation"), message.get("files")
    if isinstance(number, int) and files == len(received) > 0 and not flags & socket.MSG_CTRUNC:
        return Parcel(number, bool(message.get("complete")), tuple(received))
    close_all(received)
    if isinstance(files, int) and len(received) < files <= MOST_FILES:
        raise ParcelRefused(f"{len(received)} of {files} files of generation {number} came: no descriptor is free")
    raise ParcelRefused(f"no generation: {message} with {len(received)} descriptors")


def _descriptors(ancillary: Iterable[tuple[int, int, bytes]]) -> array[int]:
    """Close-on-exec from the first moment on, which `socket.recv_fds` does not offer."""
    found = array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return found


def close_all(descriptors: Iterable[int]) -> None:
    """What whoever holds the descriptors of a generation does with them in the end."""
    for descriptor in descriptors:
        os.close(descriptor)


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        message = msgpack.unpackb(data)
    except (ValueError, msgpack.UnpackException):
        return {}
    return message if isinstance(message, dict) else {}
