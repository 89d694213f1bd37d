"""An exchange on an HTTP/3 stream: that of HTTP/2 in all it says, for heads, bodies and trailers mean the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, cast

from workers import errors
from workers.errors import ProxyError
from workers.exchange import ResponseHead
from workers.http2.exchange import Http2Exchange
from workers.http2.requests import Http2Request
from workers.http3.channel import RequestChannel
from workers.http3.codes import ErrorCode

if TYPE_CHECKING:
    from workers.http2.serving import ServingLink as Http2Serving
    from workers.http3.serving import ServingLink


class Http3Request(Http2Request):
    """A request that came over HTTP/3."""

    __slots__ = ()

    protocol = b"HTTP/3.0"


class Http3Exchange(Http2Exchange):
    """Made by ServingLink for one stream."""

    __slots__ = ()

    channel: RequestChannel

    def __init__(self, connection: ServingLink, channel: RequestChannel, request: Http2Request) -> None:
        # what the base asks of a connection both have: the site, and to leave
        super().__init__(cast("Http2Serving", connection), channel, request)

    def abort(self) -> None:
        self.finished = True
        if not self.channel.local_ended:
            self.channel.reset(ErrorCode.INTERNAL_ERROR)

    def upgrade(self, head: ResponseHead, first: bytes) -> NoReturn:
        raise ProxyError(errors.WRONG_UPGRADE, "HTTP/3 has no upgrades")
