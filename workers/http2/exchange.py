"""An exchange on an HTTP/2 stream: the same words as everywhere, said in frames.

The response head, a body that fits and the end of the stream are one write. Names go out in lower case, what
belongs to an HTTP/1 connection stays behind (RFC 9113 section 8.2.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from workers import errors
from workers.errors import Answer, Failure, ProxyError
from workers.exchange import TEXT_HEADERS, Exchange, Header, ResponseHead
from workers.http2.channel import Channel
from workers.http2.codes import ErrorCode
from workers.http2.hpack import Field
from workers.http2.names import outgoing
from workers.http2.requests import Http2Request
from workers.stream import StreamBroken, StreamTimeout

if TYPE_CHECKING:
    from workers.http2.serving import ServingLink

_WITHOUT_BODY: Final = frozenset({204, 304})
_STATUSES: Final[dict[int, Field]] = {status: (b":status", b"%d" % status, False) for status in range(100, 1000)}
_CONTINUE: Final = [_STATUSES[100]]
_HEADERS_OF: Final[dict[Answer, Sequence[Header]]] = {Answer.TEXT: TEXT_HEADERS, Answer.BARE: TEXT_HEADERS[:1]}


def fields_of(status: int, headers: Iterable[Header]) -> list[Field]:
    """The fields of a response head, without length and date."""
    fields = [_STATUSES[status]]
    fields += [field for field in map(outgoing, headers) if field is not None]
    return fields


class Http2Exchange(Exchange):
    """Made by ServingLink for one stream; see Exchange for what handlers may do."""

    __slots__ = ("_connection", "_continued", "_silent", "channel", "finished")

    request: Http2Request

    def __init__(self, connection: ServingLink, channel: Channel, request: Http2Request) -> None:
        self.request = request
        self.status = 0
        self.hooks = None
        self.upstream = None
        self.client_gone = False
        self.note = None
        self.failure = None
        self.sent_bytes = 0
        self.channel = channel
        self._connection = connection
        self._continued = self._silent = False
        self.finished = False

    # The request body

    @property
    def body_complete(self) -> bool:
        return self.channel.is_read

    def take_body(self) -> bytes:
        piece = self.channel.take()
        if self.note is not None:
            self.note.received_bytes += len(piece)
        return piece

    def read_body(self) -> bytes:
        channel = self.channel
        if self.request.awaits_continue and not self._continued and not channel.remote_ended:
            self._continue()
        try:
            piece = channel.read()
        except StreamTimeout as error:
            raise ProxyError(errors.BODY_TIMEOUT) from error
        except StreamBroken as error:
            self.client_gone = True
            raise ProxyError(errors.CLIENT_GONE, str(error)) from error
        if self.note is not None:
            self.note.received_bytes += len(piece)
        return piece

    def _continue(self) -> None:
        self._continued = True
        if not self.status and self.channel.broken is None:
            self.channel.put_head(_CONTINUE, False)

    def cancel_read(self) -> None:
        self.channel.cancel_read()

    # The response

    def send(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        if self.hooks is not None:
            self.run_hooks(head)
        status, length = head.status, head.content_length
        self.status = status
        fields = fields_of(status, head.headers)
        if length >= 0 and status not in _WITHOUT_BODY:
            fields.append((b"content-length", b"%d" % length, False))
        if head.trailer:
            fields.append((b"trailer", head.trailer, False))
        if not head.has_date:
            fields.append((b"date", self._connection.site.date.line[6:], False))
        self.finished = complete
        self.channel.wait_for_room()
        if status in _WITHOUT_BODY or self.request.method == b"HEAD":
            self._silent = True
            self.channel.send_head(fields, True)
        else:
            self.sent_bytes += len(body)
            self.channel.send_head(fields, complete, body)

    def write(self, data: bytes) -> None:
        if data and not self._silent:
            self.sent_bytes += len(data)
            self.channel.send(data, False)

    def finish(self, data: bytes = b"", trailers: Sequence[Header] = ()) -> None:
        self.finished = True
        if trailers and self.note is not None:
            self.note.grpc_lines = trailers
        if self._silent:
            return
        self.sent_bytes += len(data)
        fields = [field for field in map(outgoing, trailers) if field is not None] if trailers else None
        if not fields:
            self.channel.send(data, True)
            return
        if data:
            self.channel.send(data, False)
        self.channel.wait_for_room()
        self.channel.send_head(fields, True)

    def respond_error(self, failure: Failure) -> None:
        if failure.answer is Answer.SILENT:
            self.abort()
        else:
            self.respond(failure.status, _HEADERS_OF.get(failure.answer, ()), failure.body)

    def inform(self, status: int, headers: Iterable[Header]) -> None:
        if status == 100:
            if self._continued or not self.request.awaits_continue:
                return
            self._continued = True
        self.channel.wait_for_room()
        self.channel.send_head(fields_of(status, headers), False)

    def abort(self) -> None:
        self.finished = True
        if not self.channel.local_ended:
            self.channel.reset(ErrorCode.INTERNAL_ERROR)

    def end_connection(self) -> None:
        self._connection.leave()

    # The other side

    def give_up(self) -> None:
        """The client is gone: nobody is to work for it any more."""
        self.client_gone = True
        if self.upstream is not None:
            self.upstream.shutdown()

    def upgrade(self, head: ResponseHead, first: bytes) -> NoReturn:
        """Streams are not upgraded (RFC 9113 section 8.6); no request asks for it."""
        raise ProxyError(errors.WRONG_UPGRADE, "HTTP/2 has no upgrades")
