"""The corpus of messages in which parsers have been made to disagree, with what must become of each.

`requests/*.yaml`: bytes from a client. Behind them, unless the case has another `end` (`none`, or `half-close`),
comes the sentinel, an innocent request: a proxy that loses count of bytes answers it wrongly, or not at all.
`status` are the answers that the client gets (0 for one without a status), `server` the requests that reach the
server, in words.

`responses/*.yaml`: bytes from a server as answer to `request`. Then the client asks for `/next`, which the server
answers well: whatever else comes back is poison. `client` is what the client gets, `fresh` whether the second
request must come on a new connection of ours.

`differs` says why the original answers otherwise where it does. Strings are bytes: one character each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

_FOLDER: Final = Path(__file__).parent
SENTINEL: Final = b"GET /sentinel HTTP/1.1\r\nHost: corpus\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class RequestCase:
    """`end`: `sentinel`, `none`, or `half-close` of a client that says no more. `methods`: where not GET."""

    group: str
    name: str
    send: bytes
    status: list[int]
    server: list[str]
    end: str = "sentinel"
    methods: list[str] = field(default_factory=list)
    differs: str = ""

    @property
    def wire(self) -> bytes:
        return self.send + (SENTINEL if self.end == "sentinel" else b"")

    @property
    def id(self) -> str:
        return f"{self.group}: {self.name}"


@dataclass(frozen=True)
class ResponseCase:
    """`then`: what the server does behind its bytes, `keep` or `close`. `late`: bytes that it sends later."""

    group: str
    name: str
    answer: bytes
    client: list[Any]
    fresh: bool
    then: str = "keep"
    late: bytes = b""
    request: bytes = b"GET /answer HTTP/1.1\r\nHost: corpus\r\n\r\n"
    differs: str = ""

    @property
    def method(self) -> str:
        return self.request.split(b" ", 1)[0].decode()

    @property
    def id(self) -> str:
        return f"{self.group}: {self.name}"


def request_cases() -> list[RequestCase]:
    return [RequestCase(**_as_bytes(case, "send")) for case in _cases("requests")]


def response_cases() -> list[ResponseCase]:
    return [ResponseCase(**_as_bytes(case, "answer", "late", "request")) for case in _cases("responses")]


def _cases(folder: str) -> list[dict[str, Any]]:
    return [
        {"group": file.stem, **case}
        for file in sorted((_FOLDER / folder).glob("*.yaml"))
        for case in yaml.load(file.read_text(), yaml.CSafeLoader)
    ]


def _as_bytes(case: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value.encode("latin-1") if key in names else value for key, value in case.items()}
