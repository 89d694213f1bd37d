"""Server connections of one client connection alone, where the server authenticates connections (NTLM, Negotiate).

Once a server has answered with such a challenge (RFC 4559), its connection may be about to carry somebody's
identity: from then on all requests of this client connection through the same servers transport go by pools that
nobody else reaches, and the challenged connection is the first one in them. So do those of a client that brings
such credentials without having been asked: the server may never say that it has believed them. They are closed
with the client's connection.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from workers.headers import authenticates_connection

if TYPE_CHECKING:
    from workers.exchange import Request
    from workers.forwarded import Client
    from workers.upstream.pool import UpstreamConnection
    from workers.upstream.transport import Transport

MOST_OWNERS: Final = 4096
"""So many client connections of a worker may have server connections of their own. Those of later ones are closed
after each challenge: they cannot authenticate, and still share nothing."""

log = logging.getLogger(__name__)


class Own:
    """The private copies of servers transports that belong to one client connection."""

    __slots__ = ("_copies", "is_over")

    def __init__(self) -> None:
        self._copies: dict[Transport, Transport] = {}
        self.is_over = False

    def get(self, transport: Transport) -> Transport | None:
        """The private copy of `transport`, if there is one."""
        return self._copies.get(transport)

    def copy_of(self, transport: Transport) -> Transport:
        """The private copy of `transport`; made at the first call. It may be one already."""
        if transport in self._copies.values():
            return transport
        copy = self._copies.get(transport)
        if copy is None:
            for old in [one for one in self._copies if one.is_closed]:  # of configurations before this one
                del self._copies[old]
            copy = self._copies[transport] = transport.copied()
        return copy

    def close(self) -> None:
        """The client's connection is over: so are these."""
        self.is_over = True
        _owners.discard(self)
        for copy in self._copies.values():
            copy.close()
        self._copies.clear()


_owners: Final[set[Own]] = set()
_GONE: Final = Own()
_GONE.is_over = True


def transport_for(request: Request, transport: Transport) -> Transport:
    """What to reach servers through on behalf of this request: the client's own copy, where it has one."""
    client: Client | None = getattr(request, "client", None)  # the proxy's own requests come from nobody
    copy = client.own.get(transport) if client is not None and client.own is not None else None
    if copy is not None:
        return copy
    if not authenticates_connection(request.received_values(b"authorization")):
        return transport
    own = _own(client) if client is not None else None
    return own.copy_of(transport) if own is not None else transport.copied(keeps_connections=False)


def keep_for_client(request: Request, connection: UpstreamConnection) -> bool:
    """A server has challenged `connection`: let it serve this client connection and nobody else.

    False if that cannot be; it must be closed then.
    """
    client: Client | None = getattr(request, "client", None)
    own = _own(client) if client is not None else None
    transport = connection.pool.transport
    if own is None or transport is None:
        return False
    pool = own.copy_of(transport).pool_like(connection.pool)
    connection.pool = pool
    pool.put(connection)
    return True


def _own(client: Client) -> Own | None:
    own = client.own
    if own is None:
        if len(_owners) >= MOST_OWNERS:
            log.warning("more than %d clients want server connections of their own", MOST_OWNERS)
            return None
        own = client.own = Own()
        _owners.add(own)
    return None if own.is_over else own


def release(client: Client) -> None:
    """The client's connection is over; what is still asked on its behalf keeps nothing."""
    own, client.own = client.own, _GONE
    if own is not None:
        own.close()
