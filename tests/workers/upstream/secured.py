"""Scripted servers behind TLS, and the values with which they are reached."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from typing import Any, NamedTuple

from gevent import ssl

from tests.tls.pki import Authority, Pair
from tests.upstreams import Peer, Script


@functools.cache
def authority() -> Authority:
    return Authority()


@functools.cache
def local_pair() -> Pair:
    """For 127.0.0.1 and localhost."""
    return authority().issue("127.0.0.1", "localhost", uris=("spiffe://test/other", "spiffe://test/web"))


def server_context(
    pair: Pair | None = None,
    *,
    client_ca: str = "",
    only: ssl.TLSVersion | None = None,
    alpn: Sequence[str] = (),
) -> Any:
    """`client_ca`: PEM of an authority whose certificates are demanded of clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = pair or local_pair()
    with tempfile.NamedTemporaryFile() as file:
        file.write(pair.chain + pair.key)
        file.flush()
        context.load_cert_chain(file.name)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=client_ca)
    if only is not None:
        context.minimum_version = context.maximum_version = only
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class Handshake(NamedTuple):
    """What the server knows of a finished one."""

    subject: Any
    cipher: str
    resumed: bool
    alpn: str | None


def secured(script: Script, context: Any = None, seen: list[Handshake] | None = None) -> Script:
    """`script` behind TLS; `seen` collects the handshakes."""
    context = context or server_context()

    def play(peer: Peer) -> None:
        # without a handshake at once: the peer has to know the socket to close it, whatever comes
        peer.socket = one = context.wrap_socket(peer.socket, server_side=True, do_handshake_on_connect=False)
        one.do_handshake()
        if seen is not None:
            subject = (one.getpeercert() or {}).get("subject")
            seen.append(Handshake(subject, one.cipher()[0], one.session_reused, one.selected_alpn_protocol()))
        script(peer)

    return play
