"""An exchange on an HTTP/1 client connection: its request body, and its response as bytes on the wire.

Decides how a response is framed (length, chunks, end of connection) and whether the connection goes on; the
connection (server.py) acts on it. Headers are written as they are given: what may be passed on was decided
where the head was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from workers import errors
from workers.errors import Answer, Failure, ProxyError
from workers.exchange import TEXT_HEADERS, Exchange, Header, ResponseHead
from workers.headers import encode
from workers.http1.codec import IncomingRequest
from workers.http1.framing import ChunkedDecoder, Decoder, FramingError, LengthDecoder, chunk, last_chunk
from workers.http1.heads import message
from workers.phrases import reason_phrase
from workers.splicing import LEAST_BYTES, Splice, can_splice
from workers.stream import Stream, StreamBroken, StreamTimeout

if TYPE_CHECKING:
    from workers.http1.server import ServerConnection

DRAIN_BYTES: Final = 256 * 1024
"""So much of a request body that nobody wanted is read to keep the connection."""

_WITHOUT_BODY: Final = frozenset({204, 304})
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS_LINES: Final = {
    status: b"HTTP/1.1 %d %b" % (status, reason_phrase(status) or b"status code %d" % status)
    for status in range(100, 1000)
}
"""The original's text for unknown ones."""
_OLD_STATUS_LINES: Final = {status: line.replace(b"/1.1", b"/1.0", 1) for status, line in _STATUS_LINES.items()}


def bare_answer(failure: Failure) -> bytes:
    """What goes out for a request that could not even be read."""
    return b"HTTP/1.1 %d %b\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n%b" % (
        failure.status,
        failure.reason,
        failure.body,
    )


class Http1Exchange(Exchange):
    """Made by ServerConnection for one request; see Exchange for what handlers may do."""

    __slots__ = ("_chunked", "_connection", "_continued", "_decoder", "_silent", "_unread", "closes", "finished")

    def __init__(self, connection: ServerConnection, request: IncomingRequest, unread: bytes) -> None:
        self.request = request
        self.status = 0
        self.hooks = None
        self.upstream = None
        self.client_gone = False
        self.note = None
        self.failure = None
        self.sent_bytes = 0
        self._connection = connection
        self._unread = unread
        self._chunked = self._silent = self._continued = False
        self.closes = not request.keep_alive
        self.finished = False
        length = request.content_length
        self._decoder: Decoder | None = None
        if length:
            self._decoder = LengthDecoder(length) if length > 0 else ChunkedDecoder()

    # The request body

    @property
    def body_complete(self) -> bool:
        decoder = self._decoder
        return decoder is None or decoder.done

    @property
    def rest(self) -> bytes:
        """What came behind the request; true once the body is complete."""
        decoder = self._decoder
        return self._unread if decoder is None else decoder.rest

    def take_body(self) -> bytes:
        return self._decode() if self._unread and not self.body_complete else b""

    def read_body(self) -> bytes:
        while not self.body_complete:
            if not self._unread:
                self._unread = self._read_more()
            piece = self._decode()
            if piece:
                return piece
        return b""

    def _read_more(self) -> bytes:
        connection = self._connection
        try:
            if self.request.expect_continue and not self._continued:
                self._continue()
            data = connection.stream.read()
        except StreamTimeout as error:
            raise ProxyError(errors.BODY_TIMEOUT) from error
        except StreamBroken as error:
            self.client_gone = True
            raise ProxyError(errors.CLIENT_GONE) from error
        if not data:
            self.client_gone = True
            raise ProxyError(errors.CLIENT_GONE, "the request body was cut")
        return data

    def _decode(self) -> bytes:
        assert self._decoder is not None
        data, self._unread = self._unread, b""
        try:
            piece = self._decoder.feed(data)
        except FramingError as error:
            self.closes = True
            raise ProxyError(errors.MALFORMED_BODY, str(error)) from error
        if self.note is not None:
            self.note.received_bytes += len(piece)
        return piece

    def _continue(self) -> None:
        self._continued = True
        if not self.status:
            self._connection.stream.write(_CONTINUE)

    def splice_request(self, target: Stream) -> bool:
        decoder, source = self._decoder, self._connection.stream
        if not isinstance(decoder, LengthDecoder) or decoder.left < LEAST_BYTES or self._unread:
            return False
        if not can_splice(source, target):
            return False
        splice = Splice(source, target, decoder.left)
        try:
            splice.run()
        except StreamTimeout as error:
            raise ProxyError(errors.BODY_TIMEOUT) from error
        if self.note is not None:
            self.note.received_bytes += splice.moved
        if not decoder.skip(splice.moved):
            self.client_gone = True
            raise ProxyError(errors.CLIENT_GONE, "the request body was cut")
        return True

    def cancel_read(self) -> None:
        self._connection.stream.cancel_read()

    def drain(self) -> bool:
        """Read what is left of the body, up to DRAIN_BYTES; False if there is more or it does not come."""
        left = DRAIN_BYTES
        try:
            while not self.body_complete and left > 0:
                left -= len(self.read_body())
        except ProxyError:
            return False
        return self.body_complete

    def _too_much_unread(self) -> bool:
        """Is it known already that the rest of the body is not worth reading?"""
        decoder = self._decoder
        if decoder is None or decoder.done:
            return False
        if self.request.expect_continue and not self._continued:
            return True
        return isinstance(decoder, LengthDecoder) and decoder.left - len(self._unread) > DRAIN_BYTES

    # The response

    def respond(self, status: int, headers: Iterable[Header], body: bytes) -> None:
        connection = self._connection
        if (
            self.hooks is not None
            or self._decoder is not None
            or self.closes
            or connection.may_end
            or not self.request.minor_version
            or self.request.method == b"HEAD"
            or status in _WITHOUT_BODY
        ):
            super().respond(status, headers, body)
            return
        # Nobody is to see the head, and nothing in it depends on anything: what `send` would make of it.
        self.status = status
        self.finished = True
        self.sent_bytes += len(body)
        end = b"Content-Length: %d\r\n%b\r\n\r\n" % (len(body), connection.site.date.line)
        connection.stream.write(message(_STATUS_LINES[status], list(headers), end, body))

    def send(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        if self.hooks is not None:
            self.run_hooks(head)
        request, connection = self.request, self._connection
        status, length = head.status, head.content_length
        self.status = status
        old = not request.minor_version
        tail = b"Content-Length: %d\r\n" % length if length >= 0 and status not in _WITHOUT_BODY else b""
        if status in _WITHOUT_BODY or request.method == b"HEAD":
            self._silent = True
            body = b""
        else:
            self.sent_bytes += len(body)
            if length < 0:
                tail, body = self._frame(head, body, complete)
        if not head.has_date:
            tail = b"%b%b\r\n" % (tail, connection.site.date.line)
        if connection.may_end and connection.ends_soon():
            self.closes = True
        if self._decoder is not None and self._too_much_unread():
            self.closes = True
        if self.closes is not old:  # what the version does not say by itself
            tail += b"Connection: close\r\n" if self.closes else b"Connection: keep-alive\r\n"
        self.finished = complete
        first = _OLD_STATUS_LINES[status] if old else _STATUS_LINES[status]
        connection.stream.write(message(first, head.headers, tail, b"\r\n", body))

    def _frame(self, head: ResponseHead, body: bytes, complete: bool) -> tuple[bytes, bytes]:
        """A body of unknown length: in chunks where the client knows them, else up to the connection's end.

        Returns the header lines that say so, and the first piece in its frame.
        """
        if self.request.minor_version == 0:
            self.closes = True
            return b"", body
        self._chunked = True
        lines = b"Transfer-Encoding: chunked\r\n"
        if head.trailer:
            lines += b"Trailer: %b\r\n" % head.trailer
        if body:
            body = chunk(body)
        return lines, body + last_chunk(()) if complete else body

    def write(self, data: bytes) -> None:
        if data and not self._silent:
            self.sent_bytes += len(data)
            self._connection.stream.write(chunk(data) if self._chunked else data)

    def splice_response(self, source: Stream, size_bytes: int) -> int:
        target = self._connection.stream
        if self._chunked or self._silent or not can_splice(source, target):
            return 0
        splice = Splice(source, target, size_bytes)
        try:
            splice.run()
        finally:
            self.sent_bytes += splice.moved
        return splice.moved

    def finish(self, data: bytes = b"", trailers: Sequence[Header] = ()) -> None:
        self.finished = True
        if trailers and self.note is not None:
            self.note.grpc_lines = trailers
        if self._silent:
            return
        self.sent_bytes += len(data)
        if self._chunked:
            data = (chunk(data) if data else b"") + last_chunk(trailers)
        if data:
            self._connection.stream.write(data)

    def respond_error(self, failure: Failure) -> None:
        if failure.closes:
            self.closes = True
        if failure.answer is Answer.SILENT:
            self.finished = self.closes = True
        elif failure.answer is Answer.BARE:
            self.finished, self.status = True, failure.status
            self._connection.stream.write(bare_answer(failure))
        else:
            self.respond(failure.status, TEXT_HEADERS if failure.answer is Answer.TEXT else (), failure.body)

    def end_connection(self) -> None:
        self.closes = True

    def inform(self, status: int, headers: Iterable[Header]) -> None:
        if self.request.minor_version == 0:
            return
        if status == 100:
            if self._continued or not self.request.expect_continue:
                return
            self._continued = True
        lines = encode(headers)
        self._connection.stream.write(b"%b\r\n%b\r\n" % (_STATUS_LINES[status], lines))

    def abort(self) -> None:
        self.finished = self.closes = True
        stream = self._connection.stream
        # Without length and chunks a plain end would look like success.
        if self.request.minor_version == 0:
            stream.reset()
        stream.close()

    # The other side

    def upgrade(self, head: ResponseHead, first: bytes) -> tuple[Stream, bytes]:
        stream = self._connection.detach()
        self.status = head.status
        self.finished = self.closes = True
        lines = encode(head.headers)
        stream.write(b"%b\r\n%b\r\n%b" % (_STATUS_LINES[head.status], lines, first))
        unread, self._unread, self._decoder = self.rest, b"", None
        return stream, unread
