"""Security headers of the Headers middleware, and the check of Host that comes with them."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Final

from config.middlewares_responses import Headers
from workers.building import BuildError
from workers.errors import Answer, Failure, Side
from workers.exchange import Exchange, Handler, Header, HeadHook, Request, ResponseHead
from workers.middlewares.fields import first
from workers.middlewares.values import is_field_value, one_line, replaced

BAD_HOST: Final = Failure("bad_host", Side.CLIENT, 500, Answer.TEXT, b"Bad Host\n")
_NONCE: Final = b"$NONCE"
_NONCE_BYTES: Final = 16


def uses_security(options: Headers) -> bool:
    """Is any of the options set, those without effect included?"""
    return bool(
        options.allowed_hosts
        or options.hosts_proxy_headers
        or options.ssl_proxy_headers
        or options.sts_seconds is not None
        or options.sts_include_subdomains
        or options.sts_preload
        or options.force_sts_header
        or options.frame_deny
        or options.custom_frame_options_value
        or options.content_type_nosniff
        or options.browser_xss_filter
        or options.custom_browser_xss_value
        or options.content_security_policy
        or options.content_security_policy_report_only
        or options.public_key
        or options.referrer_policy
        or options.permissions_policy
        or options.is_development
        or options.feature_policy
        or options.ssl_redirect
        or options.ssl_temporary_redirect
        or options.ssl_host
        or options.ssl_force_host
    )


class SecurityHeaders:
    """Raises BuildError for a value that cannot be sent."""

    __slots__ = ("_always", "_host_headers", "_hosts", "_proofs", "_secure_only")

    def __init__(self, options: Headers) -> None:
        development = options.is_development
        self._hosts = frozenset(host.lower().encode() for host in options.allowed_hosts if not development)
        self._host_headers = [name.lower().encode() for name in options.hosts_proxy_headers]
        self._proofs = [(name.lower().encode(), text.encode()) for name, text in options.ssl_proxy_headers.items()]
        self._always = [*_policies(options)]
        self._secure_only: list[Header] = []
        transport = _strict_transport(options)
        if transport and not development:
            (self._always if options.force_sts_header else self._secure_only).append(transport)
        if options.public_key and not development:
            self._secure_only.append(_line("Public-Key-Pins", options.public_key))

    def wrap(self, handler: Handler) -> Handler:
        always, secure = _hook(self._always), _hook([*self._always, *self._secure_only])
        differs, checks = bool(self._secure_only), bool(self._hosts)

        def secured(exchange: Exchange) -> None:
            request = exchange.request
            if checks and self._host(request).lower() not in self._hosts:
                exchange.respond_error(BAD_HOST)
                return
            exchange.add_hook(secure if differs and self._is_secure(request) else always)
            handler(exchange)

        return secured

    def _host(self, request: Request) -> bytes:
        for name in self._host_headers:
            value = first(request.headers, name)
            if value:
                return value
        return request.host_header

    def _is_secure(self, request: Request) -> bool:
        return request.is_tls or any(first(request.headers, name) == text for name, text in self._proofs)


def _policies(options: Headers) -> Iterator[Header]:
    """Headers of every response."""
    if options.custom_frame_options_value or options.frame_deny:
        yield _line("X-Frame-Options", options.custom_frame_options_value or "DENY")
    if options.content_type_nosniff:
        yield _line("X-Content-Type-Options", "nosniff")
    if options.custom_browser_xss_value or options.browser_xss_filter:
        yield _line("X-Xss-Protection", options.custom_browser_xss_value or "1; mode=block")
    for name, value in (
        ("Content-Security-Policy", options.content_security_policy),
        ("Content-Security-Policy-Report-Only", options.content_security_policy_report_only),
        ("Referrer-Policy", options.referrer_policy),
        ("Permissions-Policy", options.permissions_policy),
    ):
        if value:
            yield _line(name, value)


def _strict_transport(options: Headers) -> Header | None:
    """RFC 6797, section 6.1."""
    if not options.sts_seconds:
        return None
    value = f"max-age={options.sts_seconds}"
    if options.sts_include_subdomains:
        value += "; includeSubDomains"
    if options.sts_preload:
        value += "; preload"
    return _line("Strict-Transport-Security", value)


def _line(name: str, text: str) -> Header:
    value = one_line(text)
    if not is_field_value(value):
        raise BuildError(f"the value of {name}, {text!r}, cannot be sent; remove what is unprintable")
    return name.encode(), value


def _hook(lines: Sequence[Header]) -> HeadHook:
    names = frozenset(name.lower() for name, _ in lines)

    def put(exchange: Exchange, head: ResponseHead) -> None:
        head.headers = replaced(head.headers, names, lines)

    def put_with_nonce(exchange: Exchange, head: ResponseHead) -> None:
        nonce = b"'nonce-%b'" % b64encode(secrets.token_bytes(_NONCE_BYTES)).rstrip(b"=")
        fresh = [(name, value.replace(_NONCE, nonce)) for name, value in lines]
        head.headers = replaced(head.headers, names, fresh)

    return put_with_nonce if any(_NONCE in value for _, value in lines) else put
