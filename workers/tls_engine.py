"""What all TLS connections of a process tree share, made in the master before the fork.

Every worker, those of later reloads included, then takes up the tickets of every other and shows the same
certificate of last resort.
"""

from __future__ import annotations

import secrets
import socket
from typing import Final

from tls.contexts import ContextCache
from tls.generated import generate_default_certificate
from tls.server import Selection, ServerBase, ServerConnection
from tls.store import Bundle

_SECRET_BYTES: Final = 32


class TLSEngine:
    """Ticket keys and the generated default certificate; contexts are each process' own, across generations."""

    def __init__(self, default: Bundle | None = None) -> None:
        """Takes up to a second of CPU unless `default` is given."""
        self.default = default or Bundle([generate_default_certificate()])
        self.secret = secrets.token_bytes(_SECRET_BYTES)
        """What other keys that all workers share are made from."""
        self._base = ServerBase()
        self._contexts = ContextCache()

    def connect(self, selection: Selection, transport: socket.socket) -> ServerConnection:
        """As ServerBase.connect. Raises SSL.Error."""
        return self._base.connect(selection, self._contexts, transport)
