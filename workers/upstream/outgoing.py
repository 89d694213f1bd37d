"""Which servers are reached through another proxy: HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment.

The rules are those of Go's `net/http.ProxyFromEnvironment`, read once a process: the name in capitals counts
first, a URL without a scheme is one of http, `localhost` and loopback addresses are never asked for through a
proxy. A proxy that cannot be used is no reason to go without: its servers are refused.
"""

from __future__ import annotations

import logging
import os
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from workers.errors import PROXY_REFUSED, ProxyError
from workers.upstream.dial import Address, numeric_address

_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_SECURE: Final = "HTTPS_PROXY"
_PLAIN: Final = "HTTP_PROXY"

log = logging.getLogger(__name__)


class OutgoingProxy:
    """One proxy, by its URL. Its credentials are in `user` and `password` and shown nowhere."""

    __slots__ = ("address", "authorization", "host", "password", "port", "scheme", "user")

    def __init__(self, parts: SplitResult) -> None:
        """Raises ValueError for what cannot be one; the message does not hold the URL."""
        if parts.scheme not in _PORTS:
            raise ValueError("its scheme is none of http, https, socks5 and socks5h")
        if not parts.hostname:
            raise ValueError("there is no host in it")
        self.scheme = parts.scheme
        self.host: str = parts.hostname
        self.port: int = parts.port or _PORTS[self.scheme]
        self.address: Address | None = numeric_address(self.host, self.port)
        name, at, _ = parts.netloc.rpartition("@")
        user, _, password = name.partition(":")
        self.user, self.password = unquote_to_bytes(user), unquote_to_bytes(password)
        self.authorization = b""
        """Value of Proxy-Authorization, b"" for none."""
        if at:
            self.authorization = b"Basic " + b64encode(b"%b:%b" % (self.user, self.password))

    @property
    def is_socks(self) -> bool:
        return self.scheme.startswith("socks")

    def __repr__(self) -> str:
        return f"<OutgoingProxy {self}>"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


class Exempt:
    """What NO_PROXY lists: names with all below them, addresses (both with a port, if wanted), networks, or `*`.

    What cannot be read is passed over.
    """

    def __init__(self, listed: str) -> None:
        self._everything = False
        self._networks: list[IPv6Network] = []
        self._addresses: list[tuple[IPv6Address, str]] = []
        self._names: list[tuple[str, str]] = []
        for entry in listed.split(","):
            self._add(entry.strip().lower())

    def _add(self, entry: str) -> None:
        if entry == "*":
            self._everything = True
            return
        if network := _network(entry):
            self._networks.append(network)
            return
        host, port = _split(entry)
        if address := _address(host):
            self._addresses.append((address, port))
        elif host:
            self._names.append((host.removeprefix("*") if host.startswith("*.") else host, port))

    def covers(self, host: str, port: int) -> bool:
        """Is this server asked directly?"""
        address = _address(host)
        if self._everything or host == "localhost" or (address is not None and _is_loopback(address)):
            return True
        wanted = ("", str(port))
        if address is not None:
            return any(address in one for one in self._networks) or any(
                address == one and number in wanted for one, number in self._addresses
            )
        return any(_is_below(host, name) and number in wanted for name, number in self._names)


class Outgoing:
    """The proxies of one environment. Immutable."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._exempt = Exempt(_value(environ, "NO_PROXY"))
        self._by_name = {name: _proxy(name, _value(environ, name)) for name in (_PLAIN, _SECURE)}
        if environ.get("REQUEST_METHOD") and self._by_name[_PLAIN] is not None:
            self._by_name[_PLAIN] = "REQUEST_METHOD is set too: it may come from a client's Proxy header"

    @property
    def is_empty(self) -> bool:
        """Is every server asked directly?"""
        return all(one is None for one in self._by_name.values())

    def find(self, host: str, port: int, *, is_secure: bool) -> OutgoingProxy | None:
        """The proxy towards this server (`host` in lower case), None for none. Raises ProxyError."""
        name = _SECURE if is_secure else _PLAIN
        found = self._by_name[name]
        if found is None or self._exempt.covers(host, port):
            return None
        if isinstance(found, str):
            raise ProxyError(PROXY_REFUSED, f"{name} cannot be used: {found}")
        return found

    def report(self) -> None:
        """Say what cannot be used."""
        for name, found in self._by_name.items():
            if isinstance(found, str):
                log.error("%s cannot be used, and servers it is for are not asked: %s", name, found)
            elif found is not None:
                log.info("servers are asked through %s (%s)", found, name)


@cache
def outgoing() -> Outgoing | None:
    """That of this process's environment; None if it names no proxy."""
    found = Outgoing(os.environ)
    if found.is_empty:
        return None
    found.report()
    return found


def _value(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.lower(), "")


def _proxy(name: str, url: str) -> OutgoingProxy | str | None:
    """The proxy, or why there is none that can be used."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        if not parts.netloc:
            parts = urlsplit(f"http://{url}")
        return OutgoingProxy(parts)
    except ValueError as error:
        reason = str(error)
        return reason if reason.startswith(("its ", "there ")) else "it is not a URL"


def _network(entry: str) -> IPv6Network | None:
    _, slash, bits = entry.partition("/")
    if not slash or not bits.isdigit():
        return None
    try:
        network = ip_network(entry, strict=False)
    except ValueError:
        return None
    if isinstance(network, IPv6Network):
        return network
    return IPv6Network((_long(network.network_address), network.prefixlen + 96))


def _split(entry: str) -> tuple[str, str]:
    """Host and port of `host`, `host:port`, `address`, `[address]:port`."""
    host, colon, port = entry.rpartition(":")
    if not colon or (":" in host and not (host.startswith("[") and host.endswith("]"))):
        return entry.removeprefix("[").removesuffix("]"), ""
    return host.removeprefix("[").removesuffix("]"), port


def _address(text: str) -> IPv6Address | None:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return _long(found)


def _long(address: IPv4Address | IPv6Address) -> IPv6Address:
    """IPv4 in its IPv6 form, so that the two spellings are one address."""
    return address if isinstance(address, IPv6Address) else IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)


def _is_loopback(address: IPv6Address) -> bool:
    short = address.ipv4_mapped
    return short.is_loopback if short is not None else address.is_loopback


def _is_below(host: str, name: str) -> bool:
    """`.name` stands for what is below it alone, `name` for itself as well."""
    if name.startswith("."):
        return host.endswith(name)
    return host == name or host.endswith(f".{name}")
