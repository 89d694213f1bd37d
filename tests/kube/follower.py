"""A client that follows a watch while a test acts, and tells a clean end from a broken stream."""

from __future__ import annotations

import http.client
import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .cluster import with_query
from .server import KubeServer

DEADLINE = 15.0


class Follower:
    """Reads a watch in a thread, so that a test can act while it is open."""

    def __init__(self, server: KubeServer, path: str, **query: object) -> None:
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
        self._connection.request("GET", with_query(path, watch="true", **query))
        self._response = self._connection.getresponse()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        unread = b""
        try:
            while piece := self._response.read1():  # readline would hide that the last chunk is missing
                *lines, unread = (unread + piece).split(b"\n")
                for line in lines:
                    self._events.put(json.loads(line))
            self._events.put("end")
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._events.put(error)

    def next(self) -> Any:
        """The next event, `end` after a clean end, or the error that broke the stream."""
        return self._events.get(timeout=DEADLINE)

    def next_name(self) -> tuple[str, str]:
        event = self.next()
        return event["type"], event["object"]["metadata"].get("name", "")

    @property
    def silent(self) -> bool:
        return self._events.empty()

    def close(self) -> None:
        if self._connection.sock is not None:
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(DEADLINE)
        self._response.close()
        self._connection.close()


@contextmanager
def followers(server: KubeServer) -> Iterator[Callable[..., Follower]]:
    """A function that starts followers, which are closed on exit."""
    started: list[Follower] = []

    def follow(path: str, **query: object) -> Follower:
        started.append(Follower(server, path, **query))
        return started[-1]

    try:
        yield follow
    finally:
        for follower in started:
            follower.close()
