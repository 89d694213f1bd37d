"""Packets outside of any connection: first ones judged, and the answers that need no memory of who asked."""

from __future__ import annotations

import os
import time
from typing import Final, NamedTuple

from aioquic._buffer import Buffer, BufferReadError
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE
from aioquic.quic.packet import (
    QuicPacketType,
    QuicProtocolVersion,
    encode_quic_retry,
    encode_quic_version_negotiation,
    pull_quic_header,
)
from aioquic.quic.retry import QuicRetryTokenHandler
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.http3.identifiers import SHORTEST_CLIENT_ID_BYTES
from workers.udp.addressing import Peer

VERSION: Final = int(QuicProtocolVersion.VERSION_1)
RETRY_ID_BYTES: Final = 8


class First(NamedTuple):
    """A packet that may begin a connection: what it is for, who sends it, and a token that we gave out."""

    destination: bytes
    source: bytes
    token: bytes


def judge(data: bytes) -> First | bytes | None:
    """A client's first packet; or the versions that we speak, as a packet, for one of another; or None."""
    if len(data) < SMALLEST_MAX_DATAGRAM_SIZE:
        return None
    try:
        header = pull_quic_header(Buffer(data=data), host_cid_length=0)
    except (ValueError, BufferReadError):
        version = int.from_bytes(data[1:5], "big")
        return None if version in (0, VERSION) else _versions_for_unread(data)
    if header.packet_type is QuicPacketType.VERSION_NEGOTIATION or header.version is None:
        return None
    if header.version != VERSION:
        return _versions(header.destination_cid, header.source_cid)
    if header.packet_type is not QuicPacketType.INITIAL or len(header.destination_cid) < SHORTEST_CLIENT_ID_BYTES:
        return None
    return First(header.destination_cid, header.source_cid, header.token)


def _versions(destination: bytes, source: bytes) -> bytes:
    return encode_quic_version_negotiation(destination, source, [VERSION])


def _versions_for_unread(data: bytes) -> bytes | None:
    """Of an unknown version only the ids can be read (RFC 8999)."""
    size = data[5]
    source_at = 6 + size
    source = data[source_at + 1 : source_at + 1 + data[source_at]] if len(data) > source_at else b""
    return _versions(data[6:source_at], source) if size <= 20 and len(source) <= 20 else None


class Retries:
    """Tokens by which a client shows that it receives what is sent to it, before it costs us anything."""

    def __init__(self, key: bytes) -> None:
        """`key`: the same in all workers."""
        self._tokens = QuicRetryTokenHandler()
        self._tokens._aead = AESGCM(key)

    def packet(self, first: First, peer: Peer) -> bytes:
        """The answer that makes the client come back with a token."""
        retry_id = os.urandom(RETRY_ID_BYTES)
        token = self._tokens.create_token(
            address=peer[:2],
            original_destination_connection_id=first.destination,
            retry_source_connection_id=retry_id,
            now=time.monotonic(),
        )
        return encode_quic_retry(
            version=VERSION,
            source_cid=retry_id,
            destination_cid=first.source,
            original_destination_cid=first.destination,
            retry_token=token,
        )

    def original_id(self, first: First, peer: Peer) -> bytes | None:
        """What the client's very first packet was for; None if the token is none of ours, or another's."""
        try:
            return self._tokens.validate_token(
                address=peer[:2], destination_cid=first.destination, token=first.token, now=time.monotonic()
            )
        except (ValueError, BufferReadError):
            return None
