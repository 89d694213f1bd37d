"""Packets that no honest client makes: frames of one's own, with the keys of a client's connection."""

from __future__ import annotations

from aioquic import tls
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicPacketBuilder

from tests.http3_client import Http3Client
from workers.http3.frames import integer

PADDING = 0
PING = 1
ROOM_BYTES = 1100
STOP_SENDING = 5
RESET_STREAM = 4
RETIRE_CONNECTION_ID = 0x19


def stream_frame(stream_id: int, offset: int, data: bytes, *, end: bool = False) -> bytes:
    numbers = (0x0E | end, stream_id, offset, len(data))
    return b"".join(map(integer, numbers)) + data


def frame_of(kind: int, *numbers: int) -> bytes:
    return b"".join(map(integer, (kind, *numbers)))


def datagram(client: Http3Client, frames: bytes) -> bytes:
    """One packet with a short header; what it says is unknown to the client's own state. At most ROOM_BYTES."""
    quic = client.quic
    builder = QuicPacketBuilder(
        host_cid=quic.host_cid,
        peer_cid=quic._peer_cid.cid,
        version=quic._version or 1,
        is_client=True,
        max_datagram_size=1200,
        packet_number=quic._packet_number,
    )
    builder.start_packet(QuicPacketType.ONE_RTT, quic._cryptos[tls.Epoch.ONE_RTT])
    kind, rest = frames[0], frames[1:]
    builder.start_frame(kind, capacity=len(rest) + 1).push_bytes(rest)
    datagrams, _ = builder.flush()
    quic._packet_number = builder.packet_number
    return datagrams[0]


def send_frames(client: Http3Client, frames: bytes) -> None:
    client.sock.send(datagram(client, frames))
