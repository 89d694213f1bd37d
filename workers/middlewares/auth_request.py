"""What an auth server is told of a request: its headers, filtered, and the X-Forwarded-* that describe it.

Whose word counts for X-Forwarded-* is decided twice: by the entry point, for all that follow, and here by
`trustForwardHeader`. None of its three states is better than what the entry point let through.
"""

from __future__ import annotations

from typing import Final

from config.middlewares_auth import ForwardAuth
from workers.exchange import Header, Request
from workers.middlewares import fields

_MANAGED: Final = frozenset(
    {
        b"x-forwarded-proto",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-server",
        b"x-forwarded-uri",
        b"x-forwarded-method",
        b"x-forwarded-prefix",
        b"x-forwarded-tls-client-cert",
        b"x-forwarded-tls-client-cert-info",
        b"x-real-ip",
    }
)
_NEVER_SENT: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"te",
        b"trailer",
        b"trailers",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
        b"host",
        b"content-length",
        b"expect",
    }
)


class AuthHeaders:
    """Makes the headers of the requests to one auth server."""

    def __init__(self, options: ForwardAuth) -> None:
        self._trust = options.trust_forward_header
        names = {name.lower().encode() for name in options.auth_request_headers}
        self._listed = names | (_MANAGED if self._trust else set()) if names else None

    def of(self, request: Request) -> list[Header]:
        """Headers for the auth server, Host excluded."""
        headers = [header for header in request.headers if self._is_sent(header[0])]
        if self._trust:
            self._complete(headers, request)
        else:
            self._overwrite(headers, request)
        return headers

    def _is_sent(self, name: bytes) -> bool:
        lower = name.lower()
        if lower in _NEVER_SENT or (self._trust is False and fields.look_alike(name) in _MANAGED):
            return False
        return self._listed is None or lower in self._listed

    def _overwrite(self, headers: list[Header], request: Request) -> None:
        """Only what this connection and request show."""
        ours = [
            (b"X-Forwarded-For", request.peer_ip.encode()),
            (b"X-Forwarded-Method", request.method),
            (b"X-Forwarded-Proto", b"https" if request.is_tls else b"http"),
            (b"X-Forwarded-Uri", request.target),
        ]
        if request.host_header:
            ours.append((b"X-Forwarded-Host", request.host_header))
        if self._trust is False:
            ours.append((b"X-Forwarded-Port", _port(request)))
        fields.remove_alike(headers, {name.lower() for name, _ in ours} | {b"x-forwarded-host"})
        headers += ours

    def _complete(self, headers: list[Header], request: Request) -> None:
        """What is missing; the peer behind those before it."""
        chain = [*fields.values(headers, b"x-forwarded-for"), request.peer_ip.encode()]
        fields.remove_alike(headers, (b"x-forwarded-for",))
        headers.append((b"X-Forwarded-For", b", ".join(chain)))
        for name, value in (
            (b"X-Forwarded-Method", request.method),
            (b"X-Forwarded-Proto", b"https" if request.is_tls else b"http"),
            (b"X-Forwarded-Host", request.host_header),
            (b"X-Forwarded-Uri", request.target),
            (b"X-Forwarded-Port", _port(request)),
        ):
            if value and not fields.first(headers, name.lower()):
                fields.remove_alike(headers, (name.lower(),))
                headers.append((name, value))


def _port(request: Request) -> bytes:
    _, colon, port = request.host_header.rpartition(b":")
    if colon and port and not port.endswith(b"]"):
        return port
    return b"443" if request.is_tls else b"80"
