"""RedirectRegex and RedirectScheme.

The first rewrites the whole URL of a request and sends the client there if the result is another one. The second
only looks at scheme and port; redirections of whole entry points are made of it too.
"""

from __future__ import annotations

from typing import Final

from config.middlewares_paths import RedirectRegex, RedirectScheme
from workers.building import BuildError
from workers.errors import Answer, Failure, Side
from workers.exchange import Exchange, Handler, Request
from workers.headers import MANAGED
from workers.middlewares.base import Context, Wrap
from workers.middlewares.replacement import Replacement
from workers.middlewares.urls import URLError, rewritten_url
from workers.phrases import reason_phrase

_BAD_LOCATION: Final = Failure("bad_location", Side.PROXY, 502, Answer.PLAIN, b"Bad Gateway")
_STATUSES: Final = {(True, False): 302, (True, True): 301, (False, False): 307, (False, True): 308}
"""By whether the method is GET and the redirection permanent."""
_PORTS: Final = {b"http": b":80", b"https": b":443"}
_SCHEMES: Final = {b"http": b"http", b"ws": b"http", b"https": b"https", b"wss": b"https"}


def _redirect(exchange: Exchange, location: bytes, permanent: bool) -> None:
    """GET may become anything, as it always did; other methods are to be repeated as they are."""
    status = _STATUSES[exchange.request.method == b"GET", permanent]
    exchange.respond(status, ((b"Location", location),), reason_phrase(status))


def redirect_regex(options: RedirectRegex, context: Context) -> Wrap:
    """What the URL becomes when all matches are replaced is where the client is sent."""
    replacement = Replacement(options.regex, options.replacement)
    permanent = options.permanent

    def wrap(handler: Handler) -> Handler:
        def redirected(exchange: Exchange) -> None:
            url = _url(exchange.request)
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
                _redirect(exchange, location, permanent)

        return redirected

    return wrap


def _url(request: Request) -> bytes:
    """Scheme and host as the connection has them, whatever X-Forwarded-Proto says; the target as it is now."""
    return (b"https://" if request.is_tls else b"http://") + request.host_header + _target(request)


def _target(request: Request) -> bytes:
    """The target, its query as the client wrote it: semicolons are only the server's concern."""
    target, query = request.target, request.raw_target.partition(b"?")[2]
    if b";" not in query or query.replace(b";", b"&") != request.query:
        return target
    return target.partition(b"?")[0] + b"?" + query


def redirect_scheme(options: RedirectScheme, context: Context) -> Wrap:
    """Everybody is to use this scheme, on this port."""
    if not options.scheme:
        raise BuildError("you must provide a target scheme")
    scheme = options.scheme.lower().encode()
    port = b":" + options.port.encode() if options.port else b""
    if port == _PORTS.get(scheme):
        port = b""
    prefix = scheme + b"://"
    permanent = options.permanent
    is_broken = not _is_url(prefix + b"a" + port)

    def wrap(handler: Handler) -> Handler:
        def redirected(exchange: Exchange) -> None:
            request = exchange.request
            current = _scheme(request)
            host, own_port = _split_port(request.host_header)
            if own_port == _PORTS[current]:
                own_port = b""
            if current == scheme and own_port == port:
                handler(exchange)
            elif is_broken or b"%" in host:
                exchange.respond_error(_BAD_LOCATION)
            else:
                _redirect(exchange, prefix + host + port + _target(request), permanent)

        return redirected

    return wrap


def _is_url(text: bytes) -> bool:
    try:
        rewritten_url(text)
    except URLError:
        return False
    return True


def _scheme(request: Request) -> bytes:
    """As the client sees it, if somebody who is believed says so in X-Forwarded-Proto."""
    own = b"https" if request.is_tls else b"http"
    if not (request.headers_touched or request.marks & MANAGED):
        return own  # what the entry point would add says the same
    values = request.header_values(b"x-forwarded-proto")
    return _SCHEMES.get(values[0].lower(), own) if values else own


def _split_port(host: bytes) -> tuple[bytes, bytes]:
    """Host and its port with the colon; brackets stay."""
    name, colon, port = host.rpartition(b":")
    return (name, colon + port) if colon and not port.endswith(b"]") else (host, b"")
