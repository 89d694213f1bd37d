"""Ask another server whether a request may pass: ForwardAuth.

Everything around the question has an end: 30 seconds for the answer, the sizes of both bodies (a configuration
without limits has MOST_BODY_BYTES). Whatever goes wrong is a no.
"""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit

from config.middlewares_auth import ForwardAuth
from workers.errors import CLIENT_GONE, RESPONSE_TOO_LARGE, Answer, Failure, ProxyError, Side
from workers.exchange import Exchange, Handler, Header, ResponseHead
from workers.middlewares import fields
from workers.middlewares.auth_request import AuthHeaders
from workers.middlewares.auth_response import AuthResult
from workers.middlewares.base import BuildError, Context, Wrap
from workers.middlewares.basic_auth import note_user
from workers.middlewares.bodies import Replayed, read_whole
from workers.middlewares.client_tls import transport_for
from workers.middlewares.spool import Spool
from workers.middlewares.values import one_line
from workers.upstream.probe import Fetched, fetch
from workers.upstream.server import UpstreamServer

TIMEOUT_SECONDS: Final = 30.0
MOST_BODY_BYTES: Final = 64 << 20
_MEMORY_BYTES: Final = 1 << 20
_DENIED: Final = Failure("auth_body_too_large", Side.CLIENT, 401, Answer.EMPTY)
_UNCLEAR: Final = Failure("auth_unclear", Side.PROXY, 500, Answer.EMPTY)
_UNREADABLE: Final = Failure("auth_body_unreadable", Side.CLIENT, 500, Answer.EMPTY, closes=True)
_CHARACTERS: Final = "/?%:@!$&'()*+,;=-._~[]"


def forward_auth(options: ForwardAuth, context: Context) -> Wrap:
    if not options.address:
        raise BuildError("forward authentication requires an address")
    server = _AuthServer(options, context)
    request_headers = AuthHeaders(options)
    result = AuthResult(options)
    limit = _limit(options.max_body_size)
    user_header = options.header_field.lower().encode()

    def wrap(inner: Handler) -> Handler:
        def ask(exchange: Exchange, body: bytes) -> bool:
            """May it pass? If not, it has been answered."""
            answer = server.ask(exchange, request_headers.of(exchange.request), body)
            if not 200 <= answer.status < 300:
                server.relay(exchange, answer)
                return False
            result.apply(exchange, answer.headers)
            if user_header:
                note_user(exchange, fields.first(answer.headers, user_header))
            return True

        def handler(exchange: Exchange) -> None:
            if not options.forward_body:
                if ask(exchange, b""):
                    inner(exchange)
                return
            spool = Spool(_MEMORY_BYTES)
            try:
                _read(exchange, spool, limit)
                if ask(exchange, spool.content()):
                    inner(Replayed(exchange, spool))
            finally:
                spool.close()

        return handler

    return wrap


def _read(exchange: Exchange, spool: Spool, limit: int) -> None:
    try:
        if not read_whole(exchange, spool, limit):
            raise ProxyError(_DENIED, f"the request body is larger than {limit} bytes")
    except ProxyError as error:
        if error.failure in (CLIENT_GONE, _DENIED):
            raise
        raise ProxyError(_UNREADABLE, str(error)) from error


def _limit(size: int | None) -> int:
    return MOST_BODY_BYTES if size is None or size < 0 else size


class _AuthServer:
    """The server at `address`: one question, and its no on the way to the client."""

    def __init__(self, options: ForwardAuth, context: Context) -> None:
        self._address = options.address
        self._log = context.surroundings.log
        self._transport = transport_for(options.tls) if options.tls else context.surroundings.transport
        self._limit = _limit(options.max_response_body_size)
        self._keep_method = options.preserve_request_method
        self._keep_location = options.preserve_location_header
        self._sign_in = one_line(options.auth_signin_url)
        self._server: UpstreamServer | None = None
        try:
            self._server = UpstreamServer(self._address)
            parts = urlsplit(self._address)
        except ValueError as error:
            self._log.warning("%s: forwardAuth.address cannot be asked: %s", context.name, error)
            return
        path = quote(parts.path, safe=_CHARACTERS) or "/"
        self._target = f"{path}?{quote(parts.query, safe=_CHARACTERS)}".removesuffix("?").encode()
        user, at, _ = parts.netloc.rpartition("@")
        self._base = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
        self._credentials = b"Basic " + base64.b64encode(unquote_to_bytes(user)) if at else b""

    def ask(self, exchange: Exchange, headers: list[Header], body: bytes) -> Fetched:
        """Raises ProxyError with what the client is to see."""
        server = self._server
        if server is None:
            raise ProxyError(_UNCLEAR, "forwardAuth.address is not a URL that can be asked")
        if self._credentials and not fields.first(headers, b"authorization"):
            headers.append((b"Authorization", self._credentials))
        method = exchange.request.method if self._keep_method else b"GET"
        try:
            answer = fetch(
                self._transport,
                server,
                method,
                self._target,
                server.host_header,
                headers,
                TIMEOUT_SECONDS,
                self._limit or 1,  # 0 would mean that the body may be of any size, as nobody wants it
                body,
                exchange,
            )
        except ProxyError as error:
            if exchange.client_gone:
                raise ProxyError(CLIENT_GONE) from error
            self._log.debug("forwardAuth %s: %s", server.host, error)
            failure = _DENIED if error.failure is RESPONSE_TOO_LARGE else _UNCLEAR
            raise ProxyError(failure, str(error)) from error
        if exchange.client_gone:
            raise ProxyError(CLIENT_GONE)
        if len(answer.body) > self._limit:
            raise ProxyError(_DENIED, f"the auth server's body is larger than {self._limit} bytes")
        return answer

    def relay(self, exchange: Exchange, answer: Fetched) -> None:
        """The auth server's no as the answer."""
        if answer.status == 401 and self._sign_in:
            exchange.respond(302, [(b"Location", self._sign_in)], b"")
            return
        headers = [header for header in answer.headers if header[0].lower() != b"location"]
        for location in fields.values(answer.headers, b"location")[:1]:
            headers.append((b"Location", location if self._keep_location else self._absolute(location)))
        has_date = any(name.lower() == b"date" for name, _ in headers)
        is_bare = exchange.request.method == b"HEAD" and self._keep_method
        length = answer.announced_bytes if is_bare else len(answer.body)
        exchange.send(ResponseHead(answer.status, headers, length, has_date), answer.body, complete=True)

    def _absolute(self, location: bytes) -> bytes:
        if not location:
            return location
        try:
            return urljoin(self._base, location.decode("ascii")).encode()
        except ValueError as error:
            raise ProxyError(_UNCLEAR, "the auth server's Location is not a URL") from error
