"""From a connection to an outgoing proxy to one to the server behind it.

An http(s) proxy carries plaintext HTTP/1 as requests in absolute form (RFC 9112 section 3.2.2); everything else is
tunnelled (CONNECT, RFC 9110 section 9.3.6). What is tunnelled is the server's own: TLS, HTTP/2, its certificate.
"""

from __future__ import annotations

import socket
from typing import Final

import gevent

from tls.client import ClientContext
from workers.errors import DIAL_TIMEOUT, PROXY_REFUSED, UNREACHABLE, ProxyError
from workers.http1.responses import IncomingHead, parse_response
from workers.sniff import look_again
from workers.stream import Stream, StreamError, StreamTimeout
from workers.timers import NEVER, TimerWheel
from workers.tunnel import Tunnel
from workers.upstream.outgoing import OutgoingProxy
from workers.upstream.pool import Pool, UpstreamConnection
from workers.upstream.secure import secure
from workers.upstream.server import UpstreamServer
from workers.upstream.socks import SocksError, ask

ANSWER_TICKS: Final = TimerWheel.ticks(60.0)
"""So long a proxy may take to reach the server."""
AFTER_END_SECONDS: Final = 60.0
"""So long one direction through a proxy with TLS may go on after the other has ended."""
_LARGEST_ANSWER_BYTES: Final = 8192
_HEAD_END: Final = b"\r\n\r\n"


class ProxiedConnection(UpstreamConnection):
    """A connection to a proxy that is asked for a plaintext server, request by request."""

    __slots__ = ("_proxy",)

    def __init__(self, stream: Stream, pool: Pool, proxy: OutgoingProxy) -> None:
        super().__init__(stream, pool)
        self._proxy = proxy

    def absolute(self, head: bytes, server: UpstreamServer) -> bytes:
        """`head`, which is in origin form and begins with its Host, as the proxy is to have it.

        The target names the server and nothing that came from a client: it decides where the proxy connects to.
        Host has to say the same (RFC 9112 section 3.2).
        """
        first, _, rest = head.partition(b"\r\n")
        method, target, version = first.split(b" ")
        _, _, lines = rest.partition(b"\r\n")
        host = server.host_header
        if self._proxy.authorization:
            lines = b"Proxy-Authorization: %b\r\n%b" % (self._proxy.authorization, lines)
        return b"%b http://%b%b %b\r\nHost: %b\r\n%b" % (method, host, target, version, host, lines)


def pass_through(stream: Stream, proxy: OutgoingProxy, host: str, port: int, *, tunnels: bool, until: int) -> None:
    """Make of `stream`, connected to `proxy`, a way to the server; it is closed where that fails.

    `tunnels`: the server is to be spoken to, not the proxy. `until`: a tick that ends it. Raises ProxyError.
    """
    limit = min(until, stream.wheel.tick + ANSWER_TICKS)
    stream.set_read_deadline(limit)
    stream.set_write_deadline(limit)
    try:
        if proxy.is_socks:
            ask(stream, proxy, host, port)
        elif tunnels:
            _connect(stream, proxy, host, port)
    except StreamTimeout as error:
        stream.close()
        raise ProxyError(DIAL_TIMEOUT, f"{proxy}: no answer") from error
    except (StreamError, SocksError, UnicodeError) as error:
        stream.close()
        raise ProxyError(UNREACHABLE if proxy.is_socks else PROXY_REFUSED, f"{proxy}: {error}") from error
    except BaseException:
        stream.close()
        raise
    stream.set_read_deadline(NEVER)
    stream.set_write_deadline(NEVER)


def _connect(stream: Stream, proxy: OutgoingProxy, host: str, port: int) -> None:
    place = b"%b:%d" % (f"[{host}]".encode() if ":" in host else host.encode("idna"), port)
    lines = [b"CONNECT %b HTTP/1.1" % place, b"Host: " + place]
    if proxy.authorization:
        lines.append(b"Proxy-Authorization: " + proxy.authorization)
    stream.write(b"\r\n".join(lines) + _HEAD_END)
    head = parse_response(_answer(stream))
    if not isinstance(head, IncomingHead):
        raise ProxyError(PROXY_REFUSED, f"{proxy}: its answer is no HTTP")
    if not 200 <= head.status < 300:
        raise ProxyError(PROXY_REFUSED, f"{proxy} does not connect to the server: status {head.status}")


def _answer(stream: Stream) -> bytes:
    """The proxy's head and not a byte more: what follows is the server's. Raises StreamError."""
    data = b""
    while _HEAD_END not in data and len(data) < _LARGEST_ANSWER_BYTES:
        data = look_again(stream, data, len(data) + 1)
    size = data.find(_HEAD_END) + len(_HEAD_END)
    head = b""
    while len(head) < size:
        head += stream.read(size - len(head))
    return head


def bridged(stream: Stream, context: ClientContext, host: str, until: int) -> Stream:
    """TLS to a proxy, handed out as if there were none: what goes through it may be TLS of its own, which wants a
    descriptor. Costs a copy each way. `stream` is used up. Raises ProxyError.
    """
    secured = secure(stream, context, host, None, until)
    try:
        near, far = socket.socketpair()
    except OSError as error:
        secured.close()
        raise ProxyError(UNREACHABLE, f"{host}: {error.strerror}") from error
    near.setblocking(False)
    far.setblocking(False)
    inner, outer = Stream(near, stream.wheel), Stream(far, stream.wheel)
    gevent.spawn(_carry, outer, secured)
    return inner


def _carry(outer: Stream, secured: Stream) -> None:
    try:
        Tunnel(outer, secured, delay_seconds=AFTER_END_SECONDS).run()
    finally:
        outer.close()
        secured.close()
