"""The unidirectional streams of a client: control, the two of QPACK, and those of kinds that we need not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from workers.http3 import frames, qpack
from workers.http3.codes import ConnectionFault, ErrorCode

CONTROL: Final = 0
PUSH: Final = 1
ENCODER: Final = 2
DECODER: Final = 3
_NAMES: Final = {CONTROL: "control", ENCODER: "encoder", DECODER: "decoder"}
_LARGEST_FRAME_BYTES: Final = 4096
"""Of frames that are read: settings, and numbers."""
_READ: Final = frozenset({frames.SETTINGS, frames.CANCEL_PUSH, frames.GOAWAY, frames.MAX_PUSH_ID})
_MISPLACED: Final = frames.FROM_HTTP2 | {frames.DATA, frames.HEADERS, frames.PUSH_PROMISE}


class ClientStream:
    """One of them, from its first byte on."""

    __slots__ = (
        "_decoder",
        "_encoder",
        "_has_settings",
        "_kind",
        "_largest_push",
        "_rest",
        "_roles",
        "_skip",
        "_spend",
        "is_stopped",
    )

    def __init__(
        self, decoder: qpack.Decoder, encoder: qpack.Encoder, roles: set[int], spend: Callable[[str], None]
    ) -> None:
        """`roles`: kinds that the connection has already. `spend`: see Link.spend."""
        self._decoder = decoder
        self._encoder = encoder
        self._roles = roles
        self._spend = spend
        self._kind = -1
        self._rest = b""
        self._skip = 0
        self._has_settings = False
        self._largest_push = -1
        self.is_stopped = False
        """The client has been told that nobody reads it."""

    def feed(self, data: bytes, is_end: bool) -> bool:
        """False if it is of no known kind. Raises ConnectionFault."""
        if self._kind < 0:
            data = self._rest + data
            kind, position = frames.integer_at(data, 0)
            if position < 0:
                self._rest = data
                return True
            self._begin(kind)
            data, self._rest = data[position:], b""
        if data:
            self._read(data)
        if is_end:
            self.end()
        return self._kind in _NAMES

    def _begin(self, kind: int) -> None:
        if kind == PUSH:
            raise ConnectionFault(ErrorCode.STREAM_CREATION_ERROR, "only servers push")
        if kind in _NAMES:
            if kind in self._roles:
                raise ConnectionFault(ErrorCode.STREAM_CREATION_ERROR, f"a second {_NAMES[kind]} stream")
            self._roles.add(kind)
        self._kind = kind

    def end(self) -> None:
        """The client ends or resets it. Raises ConnectionFault if it must not."""
        if self._kind in _NAMES:
            raise ConnectionFault(ErrorCode.CLOSED_CRITICAL_STREAM, f"the {_NAMES[self._kind]} stream ended")

    def _read(self, data: bytes) -> None:
        if self._kind == CONTROL:
            self._read_frames(data)
        elif self._kind == ENCODER:
            self._spend("instructions")
            self._decoder.feed(data)
        elif self._kind == DECODER:
            self._spend("instructions")
            self._encoder.feed(data)

    def _read_frames(self, data: bytes) -> None:
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        data, start = self._rest + data[skipped:], 0
        while start < len(data):
            kind, position = frames.integer_at(data, start)
            if position >= 0:
                self._check(kind)
            size, position = frames.integer_at(data, position) if position >= 0 else (0, -1)
            if position < 0:
                break
            if kind not in _READ:
                self._spend("unknown frames")
                start = position + size
                self._skip = max(start - len(data), 0)
                continue
            if size > _LARGEST_FRAME_BYTES:
                raise ConnectionFault(ErrorCode.EXCESSIVE_LOAD, f"frame {kind:#x} of {size} bytes")
            if position + size > len(data):
                break
            start = position + size
            self._on_frame(kind, data[position:start])
        self._rest = data[start:]

    def _check(self, kind: int) -> None:
        """As soon as a frame's type is known."""
        if not self._has_settings and kind != frames.SETTINGS:
            raise ConnectionFault(ErrorCode.MISSING_SETTINGS, "settings come first")
        if kind in _MISPLACED or (kind == frames.SETTINGS and self._has_settings):
            raise ConnectionFault(ErrorCode.FRAME_UNEXPECTED, f"frame {kind:#x} on the control stream")

    def _on_frame(self, kind: int, payload: bytes) -> None:
        if kind == frames.SETTINGS:
            frames.settings_in(payload)  # none of them changes what we send
            self._has_settings = True
            return
        self._spend("control frames")
        number, position = frames.integer_at(payload, 0)
        if position != len(payload):
            raise ConnectionFault(ErrorCode.FRAME_ERROR, f"a bad frame {kind:#x}")
        if kind == frames.CANCEL_PUSH:
            raise ConnectionFault(ErrorCode.ID_ERROR, "nothing was pushed")
        if kind == frames.MAX_PUSH_ID:
            if number < self._largest_push:
                raise ConnectionFault(ErrorCode.ID_ERROR, "a lower MAX_PUSH_ID")
            self._largest_push = number
