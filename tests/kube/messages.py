"""Requests and responses as values, so that the API can be called without a socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .errors import ApiError
from .store import encode

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Request:
    """`headers` have lower-case names; `query` keeps the first value of each parameter."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    client_certificate: bool = False

    def flag(self, name: str) -> bool:
        return self.query.get(name, "").lower() in ("1", "t", "true")


@dataclass(frozen=True, slots=True)
class Response:
    code: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class LoggedRequest(NamedTuple):
    """What tests look at to see how a client behaved."""

    method: str
    path: str
    query: Mapping[str, str]
    user_agent: str


def json_response(document: object, code: int = 200) -> Response:
    return Response(code, encode(document))


def text_response(text: str, code: int = 200) -> Response:
    return Response(code, text.encode(), "text/plain; charset=utf-8")


def error_response(error: ApiError) -> Response:
    return Response(error.code, encode(error.status()), headers=error.headers)
