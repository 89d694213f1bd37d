"""Response heads and whether they are to be believed; INVALID ones are the server's fault and never passed on."""

from __future__ import annotations

from typing import Final

VALID: Final[list[tuple[str, bytes, tuple[int, int, bool]]]] = [
    # name, head, (status, content length or -1, is the end of the body announced)
    ("plain", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", (200, 5, True)),
    ("no reason", b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", (200, 5, True)),
    ("no reason, no blank", b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", (200, 5, True)),
    ("odd reason", b"HTTP/1.1 599 W\xc3\xb6\tx  y\r\n\r\n", (599, -1, False)),
    ("chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", (200, -1, True)),
    ("neither", b"HTTP/1.1 200 OK\r\n\r\n", (200, -1, False)),
    ("old", b"HTTP/1.0 200 OK\r\n\r\n", (200, -1, False)),
    ("interim", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", (103, -1, False)),
    ("many headers", b"HTTP/1.1 200 OK\r\n" + b"A: 1\r\n" * 400 + b"\r\n", (200, -1, False)),
]

INVALID: Final[list[tuple[str, bytes]]] = [
    ("garbage", b"hello\r\n\r\n"),
    ("bare LF", b"HTTP/1.1 200 OK\nContent-Length: 5\n\n"),
    ("bare LF after a header", b"HTTP/1.1 200 OK\r\nA: 1\nB: 2\r\n\r\n"),
    ("bare LF at the end", b"HTTP/1.1 200 OK\r\nA: 1\r\n\n"),
    ("folded", b"HTTP/1.1 200 OK\r\nA: 1\r\n 2\r\n\r\n"),
    ("blank before the colon", b"HTTP/1.1 200 OK\r\nA : 1\r\n\r\n"),
    ("no colon", b"HTTP/1.1 200 OK\r\nA\r\n\r\n"),
    ("NUL", b"HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n"),
    ("version 1.2", b"HTTP/1.2 200 OK\r\n\r\n"),
    ("version 2", b"HTTP/2.0 200 OK\r\n\r\n"),
    ("two blanks", b"HTTP/1.1  200 OK\r\n\r\n"),
    ("short status", b"HTTP/1.1 20 OK\r\n\r\n"),
    ("long status", b"HTTP/1.1 2000 OK\r\n\r\n"),
    ("low status", b"HTTP/1.1 099 OK\r\n\r\n"),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"),
    ("two equal lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"),
    ("length list", b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n"),
    ("length with a sign", b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n"),
    ("length and chunked", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("other coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),
    ("coding twice", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("chunked in 1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
]
