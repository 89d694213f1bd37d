"""Where a request comes from: the token that limits count by, and the address that allow lists test.

Tokens are bytes. An empty one is a source like any other: all requests without the header, or with fewer
entries in X-Forwarded-For than were asked for, share it.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Callable, Sequence
from typing import Final

from config.middlewares_source import IPStrategy, SourceCriterion
from config.networks import NetworkError, address_of, parse_network
from workers.exchange import Request
from workers.middlewares.base import BuildError

Source = Callable[[Request], bytes]

_FORWARDED_FOR: Final = b"x-forwarded-for"
_IPV6_BITS: Final = 128
MOST_ENTRIES: Final = 1000
"""Of X-Forwarded-For that are looked at for one that is not excluded; a client could send very many."""


class AddressPool:
    """A list of addresses and networks. Raises BuildError for an entry that is neither, and for an empty list."""

    __slots__ = ("_networks",)

    def __init__(self, texts: Sequence[str]) -> None:
        if not texts:
            raise BuildError("no trusted IPs provided")
        try:
            self._networks = [parse_network(text) for text in texts]
        except NetworkError:
            wrong = next(text for text in texts if not _is_network(text))
            raise BuildError(f"parsing CIDR trusted IPs <nil>: invalid CIDR address: {wrong}") from None

    def __contains__(self, text: bytes) -> bool:
        """Is this address in the list? A port and an IPv6 zone are left aside; what is no address is not in."""
        written = text.decode("latin-1")
        address = address_of(written) or address_of(_without_port(written))
        return address is not None and any(network.contains(address) for network in self._networks)


def _is_network(text: str) -> bool:
    try:
        parse_network(text)
    except NetworkError:
        return False
    return True


def _without_port(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not port.isdigit():
        return ""
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1]
    return "" if ":" in host else host


def address_source(options: IPStrategy | None) -> Source:
    """Finds the client's address; empty where there is none that counts. Raises BuildError."""
    if options is None:
        return _peer
    if options.excluded_ips and options.depth <= 0:
        return _first_outside(AddressPool(options.excluded_ips))
    bits = options.ipv6_subnet
    if bits is not None and not 0 < bits <= _IPV6_BITS:
        raise BuildError(f"invalid IPv6 subnet {bits} value, should be greater to 0 and lower or equal to 128")
    find = _from_the_right(options.depth) if options.depth > 0 else _peer
    return find if bits is None else lambda request: in_subnet(find(request), bits)


def request_source(criterion: SourceCriterion | None, by_host: bool = False) -> Source:
    """Finds the token of a request; without a criterion its peer, or its host if `by_host`. Raises BuildError."""
    given = criterion or SourceCriterion()
    if given.ip_strategy is not None and given.request_header_name:
        raise BuildError("iPStrategy and RequestHeaderName are mutually exclusive")
    if given.ip_strategy is not None and given.request_host:
        raise BuildError("iPStrategy and RequestHost are mutually exclusive")
    if given.request_host and given.request_header_name:
        raise BuildError("requestHost and RequestHeaderName are mutually exclusive")
    if given.request_header_name:
        return _header(given.request_header_name.lower().encode())
    if given.request_host or (by_host and given.ip_strategy is None):
        return _host
    return address_source(given.ip_strategy)


def in_subnet(address: bytes, bits: int) -> bytes:
    """The first address of the IPv6 network of `bits` bits around `address`; anything else stays as it is."""
    try:
        value = int(ipaddress.IPv6Address(address.decode("latin-1").partition("%")[0]))
    except ValueError:
        return address
    kept = value >> (_IPV6_BITS - bits) << (_IPV6_BITS - bits)
    return str(ipaddress.IPv6Address(kept)).encode()


def _peer(request: Request) -> bytes:
    return request.client.ip.encode()


def _host(request: Request) -> bytes:
    return request.host_header


def _header(lower_name: bytes) -> Source:
    def first_value(request: Request) -> bytes:
        return next(iter(request.header_values(lower_name)), b"")

    def first_received(request: Request) -> bytes:
        return next((value for name, value in request._headers if name.lower() == lower_name), b"")

    is_ours = lower_name == b"x-real-ip" or lower_name.startswith(b"x-forwarded-")
    return first_value if is_ours else first_received


def _forwarded_for(request: Request, most: int) -> list[bytes]:
    """What the client's side claims, leftmost first: the last `most` entries, before them the rest as it is.

    Looked up, as other headers are, without adding the proxy's own ones first: the entry point has removed this
    one where it does not count, and never adds it.
    """
    lines = [value for name, value in request._headers if name.lower() == _FORWARDED_FOR]
    return b",".join(lines).rsplit(b",", most)


def _from_the_right(depth: int) -> Source:
    most = min(depth, sys.maxsize)

    def entry(request: Request) -> bytes:
        parts = _forwarded_for(request, most)
        return parts[-depth].strip() if depth <= len(parts) else b""

    return entry


def _first_outside(pool: AddressPool) -> Source:
    def entry(request: Request) -> bytes:
        parts = map(bytes.strip, reversed(_forwarded_for(request, MOST_ENTRIES)[-MOST_ENTRIES:]))
        return next((part for part in parts if part and part not in pool), b"")

    return entry
