"""What a client made of a connection's bytes: the answers in order, read as strictly as they must be written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_FIRST: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2}) [\t -~\x80-\xff]*")
_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t -~\x80-\xff]*)")


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer. `is_cut`: the connection ended before it did."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    trailers: tuple[tuple[str, str], ...] = ()
    is_cut: bool = False

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


def answers_in(data: bytes, methods: Iterable[str] = ()) -> list[Answered]:
    """All answers in what came until the connection's end; `methods` of the requests, GET where there are none.

    Raises ValueError where the bytes are no answer, or where two lengths contradict each other.
    """
    found, asked = [], iter(methods)
    while data:
        head, mark, rest = data.partition(b"\r\n\r\n")
        if not mark:
            found.append(Answered(0, (), head.decode("latin-1"), is_cut=True))
            return found
        first, *lines = head.split(b"\r\n")
        match = _FIRST.fullmatch(first)
        if match is None:
            raise ValueError(f"status line {first!r}")
        status, headers = int(match[1]), tuple(sorted(map(_pair, lines)))
        if 100 <= status < 200 and status != 101:
            found.append(Answered(status, headers, ""))
            data = rest
            continue
        method = next(asked, "GET")
        body, trailers, data, is_cut = _body(rest, method, status, headers)
        found.append(Answered(status, headers, body.decode("latin-1"), trailers, is_cut))
    return found


def _pair(line: bytes) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"header line {line!r}")
    return match[1].decode().lower(), match[2].decode("latin-1").strip()


_Body = tuple[bytes, tuple[tuple[str, str], ...], bytes, bool]


def _body(data: bytes, method: str, status: int, headers: tuple[tuple[str, str], ...]) -> _Body:
    lengths = [value for name, value in headers if name == "content-length"]
    codings = [value for name, value in headers if name == "transfer-encoding"]
    if len(lengths) + len(codings) > 1:
        raise ValueError(f"lengths {lengths}, codings {codings}")
    if method == "HEAD" or status in (204, 304):
        return b"", (), data, False
    if codings:
        return _chunks(data)
    if not lengths:
        return data, (), b"", False
    length = int(lengths[0])
    return data[:length], (), data[length:], len(data) < length


def _chunks(data: bytes) -> _Body:
    body = b""
    while True:
        line, mark, data = data.partition(b"\r\n")
        if not mark:
            return body, (), b"", True
        size = int(line, 16)
        if not size:
            break
        body += data[:size]
        if len(data) < size + 2:
            return body, (), b"", True
        data = data[size + 2 :]
    trailers: list[tuple[str, str]] = []
    while True:
        line, mark, data = data.partition(b"\r\n")
        if not mark:
            return body, (), b"", True
        if not line:
            return body, tuple(trailers), data, False
        trailers.append(_pair(line))
