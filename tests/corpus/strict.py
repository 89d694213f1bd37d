"""A server that believes nobody: it reads requests as strictly as RFC 9112 allows, and names what is ambiguous.

It stands behind a proxy under attack. Whatever a client sends, only messages that two parsers cannot read
differently may arrive here: one Host, one length, CRLF alone, `chunked` alone, no trailers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

Header = tuple[str, str]

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_FIRST: Final = re.compile(rb"(" + _TOKEN + rb") (/[!-~\x80-\xff]*|\*) HTTP/1\.1")
_LINE: Final = re.compile(rb"(" + _TOKEN + rb"): ?([!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?|)")
_SIZE: Final = re.compile(rb"[0-9a-fA-F]{1,16}")
_OURS: Final = ("accept-encoding", "x-forwarded-server")
"""Headers that say who the proxy is: never compared."""


class Ambiguous(Exception):
    """A message that another parser might read in another way."""


class Ended(Exception):
    """The connection ended; `is_clean` if that was between two messages."""

    def __init__(self, is_clean: bool) -> None:
        super().__init__("the connection ended")
        self.is_clean = is_clean


@dataclass(frozen=True, slots=True)
class Seen:
    """One whole request. Names of headers in lower case, sorted."""

    method: str
    target: str
    headers: tuple[Header, ...]
    body: str

    @property
    def words(self) -> str:
        """As the corpus writes it: `POST /path body`."""
        return " ".join(filter(None, (self.method, self.target, self.body)))

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


@dataclass(slots=True)
class Record:
    """What all connections of one server brought. `ambiguous`: what no server must ever get."""

    requests: list[tuple[int, Seen]] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    connections: int = 0

    def take(self) -> tuple[list[Seen], list[int]]:
        """The requests so far and the connections they came on; begins anew."""
        requests, self.requests = self.requests, []
        return [seen for _, seen in requests], [number for number, _ in requests]


class StrictReader:
    """Requests from what `receive` brings (b"" at the end)."""

    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self._unread = b""

    def request(self) -> Seen:
        """Raises Ambiguous, Ended."""
        head = self._until(b"\r\n\r\n", is_first=True)
        first, *lines = head[:-4].split(b"\r\n")
        found = _FIRST.fullmatch(first)
        if found is None:
            raise Ambiguous(f"request line {first!r}")
        headers = tuple(sorted(_header(line) for line in lines))
        body = self._body(headers)
        shown = tuple(header for header in headers if header[0] not in _OURS)
        return Seen(found[1].decode(), found[2].decode("latin-1"), shown, body.decode("latin-1"))

    def _body(self, headers: tuple[Header, ...]) -> bytes:
        hosts, lengths, codings = (
            [value for name, value in headers if name == wanted]
            for wanted in ("host", "content-length", "transfer-encoding")
        )
        if len(hosts) != 1 or len(lengths) + len(codings) > 1 or codings not in ([], ["chunked"]):
            raise Ambiguous(f"hosts {hosts}, lengths {lengths}, codings {codings}")
        if codings:
            return self._chunks()
        if lengths and not lengths[0].isdecimal():
            raise Ambiguous(f"length {lengths[0]!r}")
        return self._exactly(int(lengths[0])) if lengths else b""

    def _chunks(self) -> bytes:
        body = b""
        while True:
            line = self._until(b"\r\n")[:-2]
            if not _SIZE.fullmatch(line):
                raise Ambiguous(f"chunk size {line!r}")
            size = int(line, 16)
            chunk = self._exactly(size + 2)
            if not chunk.endswith(b"\r\n"):
                raise Ambiguous(f"a chunk of {size} that ends with {chunk[-2:]!r}")
            if not size:
                return body
            body += chunk[:-2]

    def _until(self, marker: bytes, is_first: bool = False) -> bytes:
        while marker not in self._unread:
            self._more(is_first and not self._unread)
        end = self._unread.index(marker) + len(marker)
        data, self._unread = self._unread[:end], self._unread[end:]
        return data

    def _exactly(self, count: int) -> bytes:
        while len(self._unread) < count:
            self._more(False)
        data, self._unread = self._unread[:count], self._unread[count:]
        return data

    def _more(self, is_clean: bool) -> None:
        data = self._receive()
        if not data:
            raise Ended(is_clean)
        self._unread += data


def _header(line: bytes) -> Header:
    found = _LINE.fullmatch(line)
    if found is None:
        raise Ambiguous(f"header line {line!r}")
    return found[1].decode().lower(), found[2].decode("latin-1")


def attend(
    record: Record, receive: Callable[[], bytes], send: Callable[[bytes], object], answer: AnswerOf
) -> None:
    """Serve one connection until it ends, and keep what came. `answer` decides; it may end the connection."""
    record.connections += 1
    number = record.connections
    reader = StrictReader(receive)
    try:
        while True:
            seen = reader.request()
            record.requests.append((number, seen))
            data, goes_on = answer(seen)
            send(data)
            if not goes_on:
                return
    except Ambiguous as error:
        record.ambiguous.append(str(error))
    except (Ended, OSError):
        return


AnswerOf = Callable[[Seen], tuple[bytes, bool]]
"""The bytes to answer with, and whether the connection goes on."""


def plain_answer(seen: Seen) -> tuple[bytes, bool]:
    """200 and the request in words."""
    body = seen.words.encode("latin-1")
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + (b"" if seen.method == "HEAD" else body), True
