"""A load generator in this process: many connections, on each of which one thing is asked and then answered.

For what wrk cannot say: WebSocket frames, requests that differ from one to the next, clients with certificates.
What it costs itself does not matter as long as the proxy has enough to do, since it runs on another core.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

READ_BYTES = 65536
PATIENCE_SECONDS = 20.0
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_HEAD_END = b"\r\n\r\n"


class Conversation(Protocol):
    """One connection's part: what is said, and when an answer is whole."""

    def question(self) -> bytes:
        """The next bytes to send; asked for again once the answer is whole."""
        ...

    def heard(self, data: bytes) -> bool | None:
        """More bytes of the answer: None while it is not whole, then whether it is the one expected."""
        ...


@dataclass(slots=True)
class Tally:
    """What came of it. A connection that breaks counts as failed once and is not made again."""

    answers: int = 0
    failed: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """An open connection; nobody reads or writes it while `converse` runs."""

    connection: socket.socket
    conversation: Conversation

    def ask(self) -> None:
        self.connection.sendall(self.conversation.question())

    def listen(self) -> bool | None:
        """What has arrived, told to the conversation, until that is whole or there is no more for now."""
        while True:
            try:
                data = self.connection.recv(READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError):
                return None
            if not data:
                raise ConnectionError("ended")
            verdict = self.conversation.heard(data)
            if verdict is not None:
                return verdict


def converse(lines: Sequence[Line], seconds: float) -> Tally:
    """Ask on every line, again and again, for so long. Answers that are late by then are waited for."""
    tally, by_descriptor = Tally(), {line.connection.fileno(): line for line in lines}
    began = time.monotonic()
    until = began + seconds
    with select.epoll() as poll:
        for descriptor, line in by_descriptor.items():
            line.connection.setblocking(False)
            poll.register(descriptor, select.EPOLLIN)
            line.ask()
        while by_descriptor:
            ready = poll.poll(PATIENCE_SECONDS)
            if not ready:
                tally.failed += len(by_descriptor)
                break
            is_over = time.monotonic() >= until
            for descriptor, _ in ready:
                if not _turn(by_descriptor[descriptor], tally, is_over):
                    poll.unregister(descriptor)
                    del by_descriptor[descriptor]
    tally.seconds = time.monotonic() - began
    return tally


def _turn(line: Line, tally: Tally, is_over: bool) -> bool:
    """Take what is there and ask the next; False if nothing more is to come of this line."""
    try:
        verdict = line.listen()
        if verdict is None:
            return True
        if verdict:
            tally.answers += 1
        else:
            tally.failed += 1
        if is_over:
            return False
        line.ask()
    except OSError:
        tally.failed += 1
        return False
    return True


class Requests:
    """HTTP/1.1 keep-alive: every answer is to be a 200 with a Content-Length."""

    def __init__(self, question: Callable[[], bytes]) -> None:
        self.question = question
        self._received = b""

    def heard(self, data: bytes) -> bool | None:
        self._received += data
        head, end, body = self._received.partition(_HEAD_END)
        if not end:
            return None
        length = _LENGTH.search(head)
        if length is None:
            raise ConnectionError("an answer without a length")
        if len(body) < int(length[1]):
            return None
        self._received = b""
        return head.startswith(b"HTTP/1.1 200 ")


def exchange(connection: socket.socket, request: bytes) -> bytes:
    """Send a request, blocking; the head of the answer, whose body must have a Content-Length."""
    connection.sendall(request)
    received = b""
    while True:
        head, end, body = received.partition(_HEAD_END)
        length = _LENGTH.search(head)
        if end and (length is None or len(body) >= int(length[1])):
            return head
        data = connection.recv(READ_BYTES)
        if not data:
            raise ConnectionError("ended")
        received += data
