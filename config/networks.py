"""Addresses and networks in Go's spelling, as values that compare fast.

Python's ipaddress is a little more generous (netmasks, zones in rules); what it takes beyond Go is refused, so
that a rule means the same here and there. An IPv4-mapped IPv6 address is the IPv4 address it holds, everywhere.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final, NamedTuple

_MAPPED_PREFIX: Final = 0xFFFF
_MAPPED_BITS: Final = 96
_IPV4_ONES: Final = (1 << 32) - 1
_LONGEST_CHARACTERS: Final = 128
"""Of an address with a zone. Clients can send a megabyte in its place, which is not to be remembered."""


class NetworkError(ValueError):
    """The text is neither an address nor a network; the message shows both forms."""


class Network(NamedTuple):
    """`version` 4 or 6; an address belongs to it if `address & mask == base`."""

    version: int
    base: int
    mask: int

    def contains(self, address: tuple[int, int]) -> bool:
        """`address` as address_of() gives it."""
        return address[0] == self.version and address[1] & self.mask == self.base


def parse_network(text: str) -> Network:
    """`10.0.0.1`, `10.0.0.0/8`, `::1` or `fe80::/10`; host bits may be set. Raises NetworkError."""
    address, slash, digits = text.partition("/")
    try:
        if "%" in address or (slash and not (digits.isascii() and digits.isdigit())):
            raise ValueError
        written = ipaddress.ip_address(address)
        bits = int(digits) if slash else written.max_prefixlen
        if bits > written.max_prefixlen:
            raise ValueError
    except ValueError:
        raise NetworkError(
            f"{text!r} is neither an IP address nor a network; write 10.0.0.1, 10.0.0.0/8, ::1 or fe80::/10"
        ) from None
    mask = ((1 << bits) - 1) << (written.max_prefixlen - bits)
    if written.version == 6 and bits >= _MAPPED_BITS and _is_mapped(int(written)):
        return Network(4, int(written) & mask & _IPV4_ONES, mask & _IPV4_ONES)
    return Network(written.version, int(written) & mask, mask)


def address_of(text: str) -> tuple[int, int] | None:
    """(version, value) of a peer address, its IPv6 zone ignored; None where `text` is no address."""
    return _remembered_address(text) if len(text) <= _LONGEST_CHARACTERS else None


@lru_cache(maxsize=4096)
def _remembered_address(text: str) -> tuple[int, int] | None:
    try:
        return _value(text.partition("%")[0])
    except ValueError:
        return None


def _value(text: str) -> tuple[int, int]:
    address = ipaddress.ip_address(text)
    value = int(address)
    if address.version == 6 and _is_mapped(value):
        return 4, value & _IPV4_ONES
    return address.version, value


def _is_mapped(value: int) -> bool:
    return value >> 32 == _MAPPED_PREFIX
