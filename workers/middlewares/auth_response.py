"""What an auth server's yes brings: headers for the server behind, cookies for the client.

A name that the auth server decides is removed from the client's request first, whether or not the auth server
sets it, and so are its look-alikes (see fields.py).
"""

from __future__ import annotations

from collections.abc import Callable

from config.middlewares_auth import ForwardAuth
from workers.exchange import Exchange, Header, HeadHook, Request, ResponseHead
from workers.middlewares import fields
from workers.middlewares.patterns import compile_test


class AuthResult:
    """Applies the auth server's answers of one middleware."""

    def __init__(self, options: ForwardAuth) -> None:
        self._names = {name.lower().encode(): name.encode() for name in options.auth_response_headers}
        self._alike = {fields.look_alike(name) for name in self._names}
        self._matches: Callable[[bytes], bool] | None = None
        self._cookies = {name.encode() for name in options.add_auth_cookies_to_response}
        if pattern := options.auth_response_headers_regex:
            self._matches = compile_test(pattern, f"error compiling regular expression {pattern}: ")

    def apply(self, exchange: Exchange, headers: list[Header]) -> None:
        """`headers`: those of the auth server's answer."""
        self._to_request(exchange.request, headers)
        cookies = fields.values(headers, b"set-cookie")
        if self._cookies and cookies:
            exchange.add_hook(self._hook([one for one in cookies if _cookie_name(one) in self._cookies]))

    def _to_request(self, request: Request, headers: list[Header]) -> None:
        if self._names:
            fields.remove_alike(request.headers, self._alike)
            request.headers += [
                (fields.canonical(self._names[lower]), value)
                for name, value in headers
                if (lower := name.lower()) in self._names
            ]
        if (matches := self._matches) is not None:
            request.headers = [header for header in request.headers if not _is_meant(header[0], matches)]
            request.headers += [(name, value) for name, value in headers if matches(fields.canonical(name))]

    def _hook(self, cookies: list[bytes]) -> HeadHook:
        def hook(exchange: Exchange, head: ResponseHead) -> None:
            head.headers = [
                (name, value)
                for name, value in head.headers
                if name.lower() != b"set-cookie" or _cookie_name(value) not in self._cookies
            ]
            head.headers += [(b"Set-Cookie", cookie) for cookie in cookies]

        return hook


def _is_meant(name: bytes, matches: Callable[[bytes], bool]) -> bool:
    usual = fields.canonical(name)
    if matches(usual):
        return True
    plain = fields.canonical(fields.look_alike(name))
    return plain != usual and matches(plain)


def _cookie_name(value: bytes) -> bytes:
    return value.partition(b";")[0].partition(b"=")[0].strip()
