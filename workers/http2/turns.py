"""Who may send next on a connection: senders wait in the order they came, for room or for the peer's window.

Room is what the outbox has left; everybody needs it. The connection's window is for data alone, so heads do not
queue up behind data that the peer takes no more of.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workers.http2.channel import Channel


class Turns:
    """True as long as somebody waits for room. A channel waits at one place at most."""

    __slots__ = ("_for_room", "_for_window")

    def __init__(self) -> None:
        self._for_room: OrderedDict[Channel, None] = OrderedDict()
        self._for_window: OrderedDict[Channel, None] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._for_room)

    def wait_for_room(self, channel: Channel) -> None:
        self._for_room[channel] = None

    def wait_for_window(self, channel: Channel) -> None:
        self._for_window[channel] = None

    def leave(self, channel: Channel) -> None:
        """It does not wait any more, for whatever reason."""
        self._for_room.pop(channel, None)
        self._for_window.pop(channel, None)

    def open_window(self) -> None:
        """The peer takes more: who waited for that waits for room now."""
        self._for_room.update(self._for_window)
        self._for_window.clear()

    def give(self) -> None:
        """Let the first one that still waits go on."""
        while self._for_room:
            channel, _ = self._for_room.popitem(last=False)
            if channel.give_turn():
                return

    def __repr__(self) -> str:
        return f"<Turns: {len(self._for_room)} for room, {len(self._for_window)} for the window>"
