"""RedirectRegex and RedirectScheme.

The first rewrites the whole URL of a request and sends the client there if the result is another one. The second
only looks at scheme and port; redirections of whole entry points are made of it too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from config.middlewares_paths import RedirectRegex, RedirectScheme
from workers.building import BuildError
from workers.errors import Answer, Failure, Side
from workers.exchange import Exchange, Handler, Request
from workers.middlewares.base import Context, Wrap
from workers.middlewares.replacement import Replacement
from workers.middlewares.urls import URLError, client_scheme, rewritten_url
from workers.phrases import reason_phrase

_BAD_LOCATION: Final = Failure("bad_location", Side.PROXY, 502, Answer.PLAIN, b"Bad Gateway")
_PORTS: Final = {b"http": b":80", b"https": b":443"}


def _sender(permanent: bool) -> Callable[[Exchange, bytes], None]:
    """Sends clients to a location. GET may become anything, as it always did; other methods are to be repeated."""
    status, repeating = (301, 308) if permanent else (302, 307)
    answer, repeated = (status, reason_phrase(status)), (repeating, reason_phrase(repeating))

    def redirect(exchange: Exchange, location: bytes) -> None:
        status, body = answer if exchange.request.method == b"GET" else repeated
        exchange.respond(status, ((b"Location", location),), body)

    return redirect


def redirect_regex(options: RedirectRegex, context: Context) -> Wrap:
    """What the URL becomes when all matches are replaced is where the client is sent."""
    replacement = Replacement(options.regex, options.replacement)
    redirect = _sender(options.permanent)

    def wrap(handler: Handler) -> Handler:
        def redirected(exchange: Exchange) -> None:
            request = exchange.request
            # Scheme and host are the connection's, whatever X-Forwarded-Proto says.
            scheme = b"https://" if request.client.is_tls else b"http://"
            url = scheme + request.host_header + _target(request)
            target = replacement(url)
            if target is None:
                handler(exchange)
                return
            try:
                location = rewritten_url(target)
            except URLError:
                exchange.respond_error(_BAD_LOCATION)
                return
            if target == url:
                handler(exchange)
            else:
                redirect(exchange, location)

        return redirected

    return wrap


def _target(request: Request) -> bytes:
    """The target, its query as the client wrote it: semicolons are only the server's concern."""
    if b";" not in request.raw_target:
        return request.target
    query = request.raw_target.partition(b"?")[2]
    if b";" not in query or query.replace(b";", b"&") != request.query:
        return request.target
    return request.target.partition(b"?")[0] + b"?" + query


def redirect_scheme(options: RedirectScheme, context: Context) -> Wrap:
    """Everybody is to use this scheme, on this port."""
    if not options.scheme:
        raise BuildError("you must provide a target scheme")
    scheme = options.scheme.lower().encode()
    port = b":" + options.port.encode() if options.port else b""
    if port == _PORTS.get(scheme):
        port = b""
    prefix = scheme + b"://"
    redirect = _sender(options.permanent)
    is_broken = not _is_url(prefix + b"a" + port)

    def wrap(handler: Handler) -> Handler:
        def redirected(exchange: Exchange) -> None:
            request = exchange.request
            current = client_scheme(request)
            host, own_port = _split_port(request.host_header)
            if own_port == _PORTS[current]:
                own_port = b""
            if current == scheme and own_port == port:
                handler(exchange)
            elif is_broken or b"%" in host:
                exchange.respond_error(_BAD_LOCATION)
            else:
                redirect(exchange, prefix + host + port + _target(request))

        return redirected

    return wrap


def _is_url(text: bytes) -> bool:
    try:
        rewritten_url(text)
    except URLError:
        return False
    return True


def _split_port(host: bytes) -> tuple[bytes, bytes]:
    """Host and its port with the colon; brackets stay."""
    name, colon, port = host.rpartition(b":")
    return (name, colon + port) if colon and not port.endswith(b"]") else (host, b"")
