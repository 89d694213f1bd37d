"""From a sniffed ClientHello to option and certificate: the table of one entry point, immutable.

The option is chosen from the server name alone, before any HTTP is read. What cannot be decided safely is
refused: an option that is missing or broken closes the connection, it never becomes a weaker one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from tls.alerts import UNRECOGNIZED_NAME, HandshakeRefused
from tls.hello import ClientHello
from tls.options import TLSSettings
from tls.server import Selection
from tls.server_names import NameTable, normalize_server_name
from tls.store import Bundle, CertificateStore

DEFAULT_OPTION: Final = "default"
ACME_PROTOCOL: Final = b"acme-tls/1"


class OptionClaim(NamedTuple):
    """A router on this entry point that wants `option` (qualified name) for the hosts its rule names."""

    router: str
    hosts: tuple[str, ...]
    option: str


class AssignedOptions(NamedTuple):
    """`hosts`: option name by host. `fallen`: routers that get the default option, with the reason."""

    hosts: NameTable[str]
    fallen: dict[str, str]


def assign_options(claims: Iterable[OptionClaim], default: str = DEFAULT_OPTION) -> AssignedOptions:
    """Which option each host gets.

    Routers that disagree over a host all fall to the default, on every host they name. A host that a router
    still standing wants keeps that option: a neighbour's quarrel elsewhere never takes its demands away.
    """
    listed = list(claims)
    options: defaultdict[str, set[str]] = defaultdict(set)
    for claim in listed:
        for host in claim.hosts:
            options[normalize_server_name(host)].add(claim.option)
    fallen = {claim.router: reason for claim in listed if (reason := _reason_to_fall(claim, options, default))}
    hosts: dict[str, str] = {}
    for claim in listed:
        for host in map(normalize_server_name, claim.hosts):
            if claim.router in fallen:
                hosts.setdefault(host, default)
            else:
                hosts[host] = claim.option
    return AssignedOptions(NameTable(hosts.items()), fallen)


def _reason_to_fall(claim: OptionClaim, options: Mapping[str, set[str]], default: str) -> str:
    if not claim.hosts:
        return "" if claim.option == default else f"option {claim.option} needs a rule with Host; default is used"
    for host in claim.hosts:
        rivals = options[normalize_server_name(host)]
        if len(rivals) > 1:
            return f"routers of host {host} want different options ({', '.join(sorted(rivals))}); default is used"
    return ""


class TLSTable:
    """Options by host, certificates by name, ACME challenges. Replaced whole by a reload."""

    __slots__ = ("_challenges", "_default", "_hosts", "_options", "_store", "has_catch_all")

    def __init__(
        self,
        store: CertificateStore,
        options: Mapping[str, TLSSettings],
        hosts: NameTable[str] | None = None,
        *,
        default: str = DEFAULT_OPTION,
        challenges: Mapping[str, Bundle] | None = None,
        hostless: bool = False,
    ) -> None:
        """`options`: the usable ones by name; a name that is referred to and not there closes connections.

        `hostless`: there are HTTPS routers whose rule names no host.
        """
        self._store = store
        self._options = options
        self._hosts: NameTable[str] = hosts or NameTable()
        self._default = default
        self._challenges = challenges or {}
        self.has_catch_all = hostless or self._hosts.has_catch_all
        """Is there an HTTPS router for any server name?"""

    def option_name(self, server_name: str) -> str:
        """The option of a normalized server name, whether it is usable or not."""
        return self._hosts.find(server_name) or self._default

    @property
    def has_routers(self) -> bool:
        """Is there any HTTPS router?"""
        return self.has_catch_all or len(self._hosts) > 0

    def is_named(self, server_name: str) -> bool:
        """Is there an HTTPS router for just this (normalized) name or its wildcard?"""
        return self._hosts.find_named(server_name) is not None

    def is_challenged(self, server_name: str, alpn: Sequence[bytes]) -> bool:
        """Does an ACME server ask, and is the answer here?"""
        return ACME_PROTOCOL in alpn and server_name in self._challenges

    def select(self, hello: ClientHello, local_ip: str = "", option: str = "") -> Selection:
        """`option`: what a TCP router wants, for HTTPS the one of the server name.

        Raises HandshakeRefused; write its `record`, then close.
        """
        name = option or self.option_name(hello.server_name)
        settings = self._options.get(name)
        if settings is None:
            raise HandshakeRefused(f"TLS option {name!r} is missing or broken", None)
        return Selection(settings, self._bundle(hello, settings, local_ip), hello.server_name)

    def _bundle(self, hello: ClientHello, settings: TLSSettings, local_ip: str) -> Bundle:
        if ACME_PROTOCOL not in hello.alpn:
            return self._store.choose(hello.server_name, local_ip, strict=settings.sni_strict)
        bundle = self._challenges.get(hello.server_name)
        if bundle is None:
            raise HandshakeRefused(f"no ACME challenge for {hello.server_name!r}", UNRECOGNIZED_NAME)
        return bundle
