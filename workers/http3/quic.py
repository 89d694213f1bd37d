"""A QUIC connection of aioquic, with what a proxy needs otherwise: this module is the door to it.

What differs from aioquic's own: the certificate is chosen by the ClientHello (`quic_tls.py`); connection ids say
whose they are (`identifiers.py`); and windows grow when what came has been passed on, not when it came, so that a
fast client never fills the memory for a slow server. Clients open as many streams as the entry point allows.
The overridden methods are private to aioquic, whose releases are pinned below the next minor one for that.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.quic import connection, events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.packet import QuicErrorCode, QuicFrameType, QuicProtocolVersion
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.quic.stream import QuicStream

from tls.parsed import ParsedPairs
from workers.http3.identifiers import ID_BYTES, Identifiers
from workers.http3.quic_tls import PROTOCOL, Choose, ServerTLS

STREAM_WINDOW_BYTES: Final = 1 << 18
"""What a client may send on one stream before we have passed any of it on."""
WINDOW_BYTES: Final = 1 << 20
"""The same for all streams of a connection together."""
_UPDATE_BYTES: Final = WINDOW_BYTES // 4
MOST_UNIDIRECTIONAL: Final = 16
"""Streams for control and header tables, of which a client needs three, and those that are there for greasing."""
MOST_CONNECTION_IDS: Final = 4
"""That we give out at once, for a client that moves from one network to another."""
LONGEST_CHAIN_BYTES: Final = 1 << 16
MOST_PIECES: Final = 1024
"""Of one stream, with gaps between them. A window of full packets with every other one lost has a tenth of it."""
_VERSIONS: Final = [int(QuicProtocolVersion.VERSION_1)]
_UNDECIDED: Final = object()

# what clients do wrong is theirs; what we need to know comes as an event
logging.getLogger("quic").setLevel(logging.CRITICAL + 1)


def configuration(idle_seconds: float) -> QuicConfiguration:
    """Of all connections of an entry point."""
    return QuicConfiguration(
        alpn_protocols=[PROTOCOL],
        certificate=_UNDECIDED,
        connection_id_length=ID_BYTES,
        idle_timeout=idle_seconds,
        is_client=False,
        max_data=WINDOW_BYTES,
        max_stream_data=STREAM_WINDOW_BYTES,
        private_key=_UNDECIDED,
        supported_versions=_VERSIONS,
    )


class ServerQuic(connection.QuicConnection):
    """`receive_datagram` first of all: nothing else works before a packet could be read."""

    tls: ServerTLS

    def __init__(
        self,
        settings: QuicConfiguration,
        identifiers: Identifiers,
        choose: Choose,
        pairs: ParsedPairs,
        most_streams: int,
        original_id: bytes,
        retry_id: bytes | None,
    ) -> None:
        """`original_id`: what the client's first packet was for; `retry_id`: what we told it to use instead."""
        super().__init__(
            configuration=settings,
            original_destination_connection_id=original_id,
            retry_source_connection_id=retry_id,
        )
        self._identifiers = identifiers
        self._choose = choose
        self._pairs = pairs
        self._is_shown_address = retry_id is not None
        first = self._host_cids[0]
        first.cid = self.host_cid = self._local_initial_source_connection_id = identifiers.make()
        first.stateless_reset_token = identifiers.reset_token(first.cid)
        self._local_max_streams_bidi.value = self._local_max_streams_bidi.sent = most_streams
        self._local_max_streams_uni.value = self._local_max_streams_uni.sent = MOST_UNIDIRECTIONAL
        self._unannounced = 0

    # What is asked from outside

    @property
    def has_begun(self) -> bool:
        """Could a packet be read?"""
        return self._state is not connection.QuicConnectionState.FIRSTFLIGHT

    @property
    def is_over(self) -> bool:
        """Closed by either side, or silent for too long: nothing is to be sent or received any more."""
        return self._state in connection.END_STATES

    @property
    def is_secure(self) -> bool:
        """Is the handshake complete?"""
        return self._handshake_complete

    @property
    def own_ids(self) -> list[bytes]:
        return [one.cid for one in self._host_cids]

    @property
    def original_id(self) -> bytes:
        """What the client's first packet with keys for it was for, until it knows an id of ours."""
        return self._retry_source_connection_id or self._original_destination_connection_id

    @property
    def proven_address(self) -> Any:
        """Where the client is, if it has shown that it receives what is sent there; else None."""
        path = self._network_paths[0]
        return path.addr if path.is_validated else None

    def queued_bytes(self) -> int:
        """Of all streams: sent and not acknowledged, or waiting to be sent."""
        return sum([len(stream.sender._buffer) for stream in self._streams.values()])

    def send_window(self, stream_id: int) -> int:
        """How many bytes of a stream may be queued that the client is ready to take."""
        stream = self._streams.get(stream_id)
        return stream.max_stream_data_remote - stream.sender._buffer_stop if stream is not None else 0

    def undelivered_bytes(self, stream_id: int) -> int:
        """Of a stream that the client has reset: counted against the window, and never to come."""
        stream = self._streams.get(stream_id)
        return stream.receiver.highest_offset - stream.receiver.starting_offset() if stream is not None else 0

    def put(self, stream_id: int, data: bytes, end_stream: bool) -> bool:
        """Queue what is to be sent on a stream; False if the client does not want it any more."""
        try:
            self.send_stream_data(stream_id, data, end_stream)
        except (RuntimeError, ValueError):  # stopped a moment ago, or over already
            return False
        return True

    def credit(self, size: int) -> None:
        """So many bytes are passed on or thrown away: the client may send as many more."""
        self._unannounced += size
        if self._unannounced >= _UPDATE_BYTES:
            self._local_max_data.value += self._unannounced
            self._unannounced = 0

    def widen(self, stream_id: int, size: int) -> None:
        """The client may send so many bytes more on a stream."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream.max_stream_data_local += size

    # What aioquic does otherwise

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        made: tls.Context = self.tls
        self.tls = ServerTLS(self._choose, self._pairs, self._logger)
        self.tls.handshake_extensions = made.handshake_extensions
        self.tls.alpn_cb = made.alpn_cb
        self.tls.update_traffic_key_cb = made.update_traffic_key_cb
        self._crypto_buffers[tls.Epoch.HANDSHAKE] = Buffer(capacity=LONGEST_CHAIN_BYTES)
        if self._is_shown_address:  # a token came back from there
            self._network_paths[0].is_validated = True

    def _handle_stream_frame(self, context: connection.QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        start = buf.tell()
        stream_id = buf.pull_uint_var()
        buf.seek(start)
        super()._handle_stream_frame(context, frame_type, buf)
        stream = self._streams.get(stream_id)
        if stream is not None:
            _refuse_crumbs(stream, frame_type)

    def _handle_crypto_frame(self, context: connection.QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        super()._handle_crypto_frame(context, frame_type, buf)
        _refuse_crumbs(self._crypto_streams[context.epoch], frame_type)

    def _replenish_connection_ids(self) -> None:
        while len(self._host_cids) < min(MOST_CONNECTION_IDS, self._remote_active_connection_id_limit):
            made = self._identifiers.make()
            self._host_cids.append(
                connection.QuicConnectionId(
                    cid=made,
                    sequence_number=self._host_cid_seq,
                    stateless_reset_token=self._identifiers.reset_token(made),
                )
            )
            self._host_cid_seq += 1

    def _write_connection_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace) -> None:
        data = self._local_max_data
        for limit in (data, self._local_max_streams_bidi, self._local_max_streams_uni):
            if limit.value == limit.sent:
                continue
            if limit is not data and limit.sent - limit.used >= limit.value - limit.sent:
                continue  # a grant at a time when it is worth a frame
            buffer = builder.start_frame(
                limit.frame_type,
                capacity=connection.CONNECTION_LIMIT_FRAME_CAPACITY,
                handler=self._on_connection_limit_delivery,
                handler_args=(limit,),
            )
            buffer.push_uint_var(limit.value)
            limit.sent = limit.value

    def _write_stream_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream) -> None:
        if stream.max_stream_data_local_sent == stream.max_stream_data_local or stream.receiver.is_finished:
            return
        buffer = builder.start_frame(
            QuicFrameType.MAX_STREAM_DATA,
            capacity=connection.MAX_STREAM_DATA_FRAME_CAPACITY,
            handler=self._on_max_stream_data_delivery,
            handler_args=(stream,),
        )
        buffer.push_uint_var(stream.stream_id or 0)
        buffer.push_uint_var(stream.max_stream_data_local)
        stream.max_stream_data_local_sent = stream.max_stream_data_local


def _refuse_crumbs(stream: QuicStream, frame_type: int) -> None:
    """Every piece costs a look at all the others. Raises QuicConnectionError."""
    if len(stream.receiver._ranges) > MOST_PIECES:
        raise connection.QuicConnectionError(
            error_code=QuicErrorCode.INTERNAL_ERROR, frame_type=frame_type, reason_phrase="too many gaps"
        )


__all__ = ["STREAM_WINDOW_BYTES", "WINDOW_BYTES", "QuicErrorCode", "ServerQuic", "configuration", "events"]
