"""PassTLSClientCert: the client's certificate, or facts about it, in headers for the server.

What a client without a certificate sends in these headers has been removed by the entry point, unless it is one
whose word counts.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus
from weakref import WeakKeyDictionary

from cryptography.hazmat.primitives.serialization import Encoding

from config.middlewares_auth import PassTLSClientCert
from workers.exchange import Exchange, Handler, Header
from workers.middlewares.base import Context, Wrap
from workers.middlewares.certificate_info import certificate_info

if TYPE_CHECKING:
    from tls.server import ServerConnection

Lines = tuple[frozenset[bytes], list[Header]]
"""What a connection's requests get, behind the names of it in lower case."""

_PEM: Final = b"X-Forwarded-Tls-Client-Cert"
_INFO: Final = b"X-Forwarded-Tls-Client-Cert-Info"


def pass_tls_client_cert(options: PassTLSClientCert, context: Context) -> Wrap:
    """The headers are made once a connection."""
    made: WeakKeyDictionary[ServerConnection, Lines] = WeakKeyDictionary()

    def lines_for(connection: ServerConnection) -> Lines:
        found = made.get(connection)
        if found is None:
            lines = _lines(connection, options)
            found = made[connection] = frozenset(name.lower() for name, _ in lines), lines
        return found

    def wrap(handler: Handler) -> Handler:
        def passed(exchange: Exchange) -> None:
            request = exchange.request
            connection = request.client.tls
            if connection is not None:
                names, lines = lines_for(connection)
                if lines:
                    request.replace_headers(names, lines)
            handler(exchange)

        return passed

    return wrap


def _lines(connection: ServerConnection, options: PassTLSClientCert) -> list[Header]:
    """No lines if the client showed no certificate."""
    certificates = connection.client_certificates
    if not certificates:
        return []
    lines = []
    if options.pem:
        encoded = [b64encode(one.public_bytes(Encoding.DER)) for one in certificates]
        lines.append((_PEM, b",".join(encoded)))
    if options.info is not None:
        text = ",".join(certificate_info(one, options.info) for one in certificates)
        lines.append((_INFO, quote_plus(text, safe="").encode()))
    return lines
