"""What rules can see of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class RoutedRequest(Protocol):
    """The part of a request that matchers read; `workers.exchange.Request` has it.

    `host` is canonical (lower case, without port and brackets, empty if there is none), `host_header` as received,
    `routing_path` decoded but for reserved characters, `peer_ip` the address of the connection's other end.
    """

    @property
    def method(self) -> bytes: ...
    @property
    def host(self) -> bytes: ...
    @property
    def host_header(self) -> bytes: ...
    @property
    def routing_path(self) -> bytes: ...
    @property
    def peer_ip(self) -> str: ...

    def header_values(self, lower_name: bytes, /) -> Sequence[bytes]:
        """Values of all lines of that name, in order."""

    def query_values(self) -> Mapping[bytes, Sequence[bytes]]:
        """Decoded parameters."""
