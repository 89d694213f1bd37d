"""Whom to ask for an alias, and asking: the name servers of a resolv.conf, all at once, over UDP.

Greenlets wait, the worker does not. Questions are bounded in servers, bytes, tries and time.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import gevent
from gevent import socket

from workers.dns import LARGEST_BYTES, Alias, DNSError, alias_in, is_answer, question
from workers.upstream.dial import numeric_address

PORT: Final = 53
MOST_SERVERS: Final = 8
TRIES: Final = 2
TRY_SECONDS: Final = 1.5
"""So long a server has for an answer, so often."""
OTHERS_SECONDS: Final = 0.25
"""So long the other servers have once one has answered."""
_LARGEST_FILE_BYTES: Final = 65536


class NameServers:
    """Those of one resolv.conf, which is read again when it has changed."""

    def __init__(self, path: str, port: int = PORT) -> None:
        self._path = Path(path)
        self._port = port
        self._seen: tuple[int, int, int] | None = None
        self._addresses: list[str] = []

    def addresses(self) -> Sequence[str]:
        """Raises DNSError for a file that cannot be used."""
        try:
            status = self._path.stat()
            seen = status.st_mtime_ns, status.st_size, status.st_ino
            if seen != self._seen:
                with self._path.open("rb") as file:
                    self._addresses = list(_addresses(file.read(_LARGEST_FILE_BYTES)))
                self._seen = seen
        except OSError as error:
            raise DNSError(f"invalid resolver configuration file: {self._path}: {error.strerror}") from error
        if not self._addresses:
            raise DNSError(f"invalid resolver configuration file: {self._path}: no nameserver")
        return self._addresses

    def alias_of(self, name: bytes) -> Alias | None:
        """What `name` is an alias of; of different answers the one that holds longest, as the original does.

        None if it is none. Raises DNSError, also where nobody answers.
        """
        question(0, name)
        asking = [gevent.spawn(_ask, address, self._port, name) for address in self.addresses()]
        try:
            for one in gevent.iwait(asking, timeout=TRIES * TRY_SECONDS + OTHERS_SECONDS):
                if not isinstance(one.value, DNSError):
                    gevent.joinall(asking, timeout=OTHERS_SECONDS)
                    break
        finally:
            gevent.killall(asking, block=False)
        results: list[Alias | DNSError | None] = [one.value for one in asking if one.successful()]
        aliases = [one for one in results if isinstance(one, Alias)]
        if aliases:
            return max(aliases, key=lambda one: one.ttl_seconds)
        if None in results:
            return None
        raise next((one for one in results if isinstance(one, DNSError)), DNSError("no answer"))


def _addresses(text: bytes) -> Sequence[str]:
    found: list[str] = []
    for line in text.decode("latin-1").splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver" or len(found) >= MOST_SERVERS:
            continue
        try:
            ip_address(words[1])
        except ValueError:
            continue
        found.append(words[1])
    return found


def _ask(address: str, port: int, name: bytes) -> Alias | DNSError | None:
    """One server; errors are answers here, as greenlets report what is raised in them."""
    failure = DNSError(f"{address}: no answer")
    for _ in range(TRIES):
        try:
            return _try(address, port, name)
        except TimeoutError:
            continue
        except DNSError as error:
            return DNSError(f"{address}: {error}")
        except OSError as error:
            failure = DNSError(f"{address}: {error}")
    return failure


def _try(address: str, port: int, name: bytes) -> Alias | None:
    """A new port and a new number each time: who cannot see the question can hardly answer it."""
    asked = question(secrets.randbits(16), name)
    place = numeric_address(address, port)
    if place is None:
        raise DNSError("no address")
    connection: Any
    with socket.socket(place.family, socket.SOCK_DGRAM) as connection, gevent.Timeout(TRY_SECONDS, TimeoutError):
        connection.connect(place.name)
        connection.send(asked)
        while True:
            data = connection.recv(LARGEST_BYTES)
            if is_answer(data, asked):
                return alias_in(data, asked)
