"""Connections taken from a transport by hand."""

from __future__ import annotations

from workers.upstream.pool import UpstreamConnection
from workers.upstream.transport import Transport, UpstreamServer


def connection_to(transport: Transport, server: UpstreamServer | str) -> UpstreamConnection:
    """One that serves a single request at a time."""
    found = transport.acquire(UpstreamServer(server) if isinstance(server, str) else server)
    assert isinstance(found, UpstreamConnection)
    return found
