"""TLS alerts that we send ourselves, before OpenSSL has seen a byte of the connection.

Until a ServerHello is out, an alert travels as one plaintext record that every TLS version understands. A
refusal decided from the sniffed ClientHello alone can therefore be answered without a context or certificate.
"""

from __future__ import annotations

from typing import Final

HANDSHAKE_FAILURE: Final = 40
DECODE_ERROR: Final = 50
INTERNAL_ERROR: Final = 80
UNRECOGNIZED_NAME: Final = 112
NO_APPLICATION_PROTOCOL: Final = 120


def alert_record(description: int) -> bytes:
    """The seven bytes of a fatal alert, ready to be written to the client before the connection is closed.

    >>> alert_record(UNRECOGNIZED_NAME).hex(" ")
    '15 03 01 00 02 02 70'
    """
    return bytes((21, 3, 1, 0, 2, 2, description))


class HandshakeRefused(Exception):
    """This connection must not be served. `alert` is a description number, or None: close without a word."""

    def __init__(self, reason: str, alert: int | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.alert = alert

    @property
    def record(self) -> bytes:
        """What to write before closing; empty where Traefik closes silently."""
        return b"" if self.alert is None else alert_record(self.alert)
