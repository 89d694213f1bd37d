"""Connections that a proxy in front passes on: its PROXY header is taken off before anything else is looked at."""

from __future__ import annotations

from config.networks import address_of, parse_network
from config.static_protocols import ProxyProtocol
from workers.proxy_protocol import LARGEST_V1_BYTES, BadHeader, Header, Incomplete, parse
from workers.sniff import look_again
from workers.stream import Stream, StreamBroken, StreamTimeout


class ProxyPolicy:
    """Whose PROXY headers are believed at one entry point. Immutable."""

    __slots__ = ("_insecure", "_networks")

    def __init__(self, options: ProxyProtocol) -> None:
        self._insecure = options.insecure
        self._networks = [parse_network(text) for text in options.trusted_ips]

    def trusts(self, ip: str) -> bool:
        address = address_of(ip)
        return self._insecure or (
            address is not None and any(network.contains(address) for network in self._networks)
        )


def take_header(stream: Stream) -> Header | None:
    """Read a PROXY header and nothing behind it; None if the connection begins with something else, or nothing.

    Waits for the first bytes, to the stream's read deadline; a peer that has not said a word by then has no
    header. Raises StreamError, for a header that is wrong too.
    """
    try:
        data = _first_bytes(stream)
    except StreamTimeout:
        return None
    outcome = parse(data)
    while isinstance(outcome, Incomplete):
        data = look_again(stream, data, outcome.wanted_bytes)
        outcome = parse(data)
    if isinstance(outcome, BadHeader):
        raise StreamBroken(f"PROXY header: {outcome.reason}")
    if not isinstance(outcome, Header):
        return None
    left = outcome.size_bytes
    while left:
        piece = stream.read(min(left, 4096))
        if not piece:
            raise StreamBroken("ended within its PROXY header")
        left -= len(piece)
    return outcome


def _first_bytes(stream: Stream) -> bytes:
    while True:
        stream.wait_readable()
        data = stream.peek(LARGEST_V1_BYTES)
        if data == b"":
            raise StreamBroken("ended without a byte")
        if data:
            return data
