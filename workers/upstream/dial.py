"""From a server's name to a connected stream: resolve, then try the addresses in order."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any, Final, NamedTuple

import gevent
from gevent import get_hub

from workers.errors import DIAL_TIMEOUT, UNREACHABLE, ProxyError
from workers.stream import Stream, StreamTimeout
from workers.timers import NEVER, TimerWheel

REMEMBER_SECONDS: Final = 5.0
"""Names are asked for again after this long, so that a moved service is found soon."""
_REMEMBERED_NAMES: Final = 1024
_SHORTEST_ATTEMPT_TICKS: Final = 20
_TIMEOUT_ERRNOS: Final = (errno.ETIMEDOUT,)


class Address(NamedTuple):
    """What socket() and connect() want to know."""

    family: int
    name: tuple[Any, ...]


def numeric_address(host: str, port: int) -> Address | None:
    """The address if `host` is one already. Zones of IPv6 and old ways to write IPv4 are left to the system."""
    is_long = ":" in host
    try:  # nearly all servers are plain addresses, and getaddrinfo costs six times as much
        socket.inet_pton(socket.AF_INET6 if is_long else socket.AF_INET, host)
    except OSError:
        return _read_by_system(host, port)
    return Address(socket.AF_INET6, (host, port, 0, 0)) if is_long else Address(socket.AF_INET, (host, port))


def _read_by_system(host: str, port: int) -> Address | None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except OSError:
        return None
    return Address(found[0][0], found[0][4])


class Resolver:
    """Names to addresses through gevent's thread pool, remembered for a few seconds. One for each worker.

    A name is asked for once at a time, however many requests wait for it: the threads are few, and one name
    whose servers are silent must not take them all.
    """

    def __init__(self, wheel: TimerWheel) -> None:
        self._wheel = wheel
        self._known: dict[tuple[str, int], tuple[int, list[Address]]] = {}
        self._asked: dict[tuple[str, int], gevent.Greenlet[..., list[Address] | OSError]] = {}

    def resolve(self, host: str, port: int, timeout_seconds: float) -> list[Address]:
        """Addresses in the system's order. Raises ProxyError."""
        known = self._known.get((host, port))
        if known is not None and self._wheel.tick < known[0]:
            return known[1]
        question = self._asked.get((host, port))
        if question is None:
            question = self._asked[host, port] = gevent.spawn(self._ask, host, port)
        question.join(timeout_seconds if timeout_seconds > 0 else None)
        answer: list[Address] | OSError | None = question.value
        if isinstance(answer, OSError):
            raise ProxyError(UNREACHABLE, f"{host}: {answer}") from answer
        if not answer:
            raise ProxyError(DIAL_TIMEOUT, f"{host}: no answer from the resolver")
        return answer

    def _ask(self, host: str, port: int) -> list[Address] | OSError:
        try:
            found = get_hub().resolver.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
        except OSError as error:
            return error
        finally:
            del self._asked[host, port]
        addresses = [Address(one[0], one[4]) for one in found]
        if len(self._known) >= _REMEMBERED_NAMES:
            self._known.clear()
        self._known[host, port] = self._wheel.tick + TimerWheel.ticks(REMEMBER_SECONDS), addresses
        return addresses


def connect(addresses: list[Address], deadline: int, wheel: TimerWheel) -> Stream:
    """A stream to the first address that answers before `deadline` (a tick, NEVER for none). Raises ProxyError."""
    for number, address in enumerate(addresses):
        left = len(addresses) - number
        until = deadline
        if deadline != NEVER and left > 1:
            share = max((deadline - wheel.tick) // left, _SHORTEST_ATTEMPT_TICKS)
            until = min(deadline, wheel.tick + share)
        try:
            return _connect(address, until, wheel)
        except ProxyError:
            # raised from here, not kept for later: an error in a variable of the frame that it names is a cycle
            if left == 1:
                raise
    raise ProxyError(UNREACHABLE, "no address")


def _connect(address: Address, until: int, wheel: TimerWheel) -> Stream:
    try:
        connection = socket.socket(address.family, socket.SOCK_STREAM)
    except OSError as error:
        raise ProxyError(UNREACHABLE, str(error)) from error
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
    number = connection.connect_ex(address.name)
    if number == errno.EINPROGRESS:  # a server on this machine has answered by now: no turn of the loop for it
        number = connection.connect_ex(address.name)
    if number not in (0, errno.EALREADY):
        connection.close()
        raise _refusal(number, address)
    stream = Stream(connection, wheel)
    if number:
        try:
            stream.set_write_deadline(until)
            number = stream.finish_connect()
        except StreamTimeout as error:
            stream.close()
            raise ProxyError(DIAL_TIMEOUT, f"{address.name[0]}:{address.name[1]}") from error
        if number:
            stream.close()
            raise _refusal(number, address)
        stream.set_write_deadline(NEVER)
    return stream


def _refusal(number: int, address: Address) -> ProxyError:
    failure = DIAL_TIMEOUT if number in _TIMEOUT_ERRNOS else UNREACHABLE
    return ProxyError(failure, f"{address.name[0]}:{address.name[1]}: {os.strerror(number)}")
