"""TLS options: what users write, checked and turned into settings that a context can be made from.

Names and defaults are those of the original (a TLSOption object, `tls.options` in files). Nothing of OpenSSL is
loaded here, so the provider can judge an option with the very code that the workers run. A broken option is an
error and never a weaker setting: who refers to it must refuse connections.
"""

from __future__ import annotations

import difflib
import enum
import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from config.tls import ClientAuth, TLSOptions
from tls import ciphers
from tls.certificates import certificates_in

DEFAULT_ALPN: Final = ("h2", "http/1.1", "acme-tls/1")


class ClientAuthType(enum.StrEnum):
    """What is asked of the client. The two verifying ones need certificate authorities."""

    NONE = "NoClientCert"
    REQUEST = "RequestClientCert"
    REQUIRE_ANY = "RequireAnyClientCert"
    VERIFY_IF_GIVEN = "VerifyClientCertIfGiven"
    REQUIRE_AND_VERIFY = "RequireAndVerifyClientCert"

    @property
    def verifies(self) -> bool:
        return self in (ClientAuthType.VERIFY_IF_GIVEN, ClientAuthType.REQUIRE_AND_VERIFY)

    @property
    def requires(self) -> bool:
        return self in (ClientAuthType.REQUIRE_ANY, ClientAuthType.REQUIRE_AND_VERIFY)


class OptionError(Exception):
    """An option that must not be used. `field` is its path inside the option, `advice` what to change."""

    def __init__(self, field: str, message: str, advice: str = "") -> None:
        super().__init__(f"{field}: {message}" + (f" ({advice})" if advice else ""))
        self.field = field
        self.message = message
        self.advice = advice


Admission = tuple[str, ClientAuthType, tuple[str, ...]]
"""An option's name, what it demands of clients, and whom it believes: certificates as PEM."""


class TLSSettings(NamedTuple):
    """A checked option. `identity` covers the name and every other field but the warnings (32 bytes).

    Connections may share a session exactly when their settings have the same identity. Versions are wire
    numbers (0x0303 is TLS 1.2), `cipher_list` and `curves` in OpenSSL's words; empty curves: the default ones.
    Empty `alpn`: what clients offer is passed over, and they speak HTTP/1.1.
    """

    name: str
    identity: bytes
    min_version: int
    max_version: int
    cipher_list: str
    curves: str
    client_auth: ClientAuthType
    client_ca_pems: tuple[str, ...]
    sni_strict: bool
    alpn: tuple[bytes, ...]
    tickets: bool
    warnings: tuple[str, ...]

    @property
    def admission(self) -> Admission:
        """What a connection has to have been made with to be let in to where this option holds."""
        return self.name, self.client_auth, self.client_ca_pems


def resolve(options: TLSOptions, name: str = "default", *, unserved: Collection[str] = ()) -> TLSSettings:
    """Check `options` and translate them. `name`: qualified option name, part of the identity.

    `unserved`: ALPN protocols this process does not speak; they are never offered. Raises OptionError.
    """
    warnings: list[str] = []
    low, high = version_range(options.min_version, options.max_version, warnings)
    cipher_list = cipher_string(options.cipher_suites, warnings)
    if not cipher_list:
        low = _only_fixed_ciphers(low, high)
    auth, authorities = _client_auth(options.client_auth)
    settings = TLSSettings(
        name=name,
        identity=b"",
        min_version=low,
        max_version=high,
        cipher_list=cipher_list,
        curves=curve_string(options.curve_preferences),
        client_auth=auth,
        client_ca_pems=authorities,
        sni_strict=options.sni_strict,
        alpn=_alpn(options.alpn_protocols, unserved),
        tickets=not options.disable_session_tickets,
        warnings=tuple(warnings),
    )
    return settings._replace(identity=_identity(settings))


def version_range(minimum: str, maximum: str, warnings: list[str]) -> tuple[int, int]:
    """Wire numbers of the lowest and highest version; unknown names are ignored with a warning, as ever.

    Raises OptionError if no version is left.
    """
    low = _version("minVersion", minimum, ciphers.LOWEST_DEFAULT, warnings)
    high = _version("maxVersion", maximum, ciphers.HIGHEST, warnings)
    if low > high:
        shown = minimum or "VersionTLS12, the default"
        raise OptionError("minVersion", f"{shown} is above maxVersion {maximum}", "lower minVersion")
    return low, high


def cipher_string(names: Sequence[str] | None, warnings: list[str]) -> str:
    """OpenSSL's list for TLS 1.2 and below, in Go's preference order; empty: none. Raises OptionError."""
    if names is None:
        names = ciphers.DEFAULT_CIPHERS
    for position, name in enumerate(names):
        if name not in ciphers.KNOWN_CIPHERS:
            raise OptionError(
                f"cipherSuites[{position}]",
                f"unknown cipher suite {name!r}",
                _nearest(name, ciphers.KNOWN_CIPHERS),
            )
        if name in ciphers.GONE_CIPHERS:
            warnings.append(f"cipherSuites[{position}]: {name} is insecure and no longer available; left out")
    chosen = set(names)
    return ":".join(dict.fromkeys(theirs for ours, theirs in ciphers.CIPHERS.items() if ours in chosen))


def curve_string(names: Sequence[str]) -> str:
    """OpenSSL's group list, the user's order kept; empty: the default groups. Raises OptionError."""
    found: list[str] = []
    for position, name in enumerate(names):
        if name not in ciphers.CURVES:
            raise OptionError(
                f"curvePreferences[{position}]", f"unknown curve {name!r}", _nearest(name, ciphers.CURVES)
            )
        found.append(ciphers.CURVES[name])
    return ":".join(dict.fromkeys(found))


def _version(field: str, name: str, default: int, warnings: list[str]) -> int:
    if name and name not in ciphers.VERSIONS:
        warnings.append(f"{field}: {name!r} is no TLS version and is ignored; {_nearest(name, ciphers.VERSIONS)}")
    return ciphers.VERSIONS.get(name, default)


def _only_fixed_ciphers(low: int, high: int) -> int:
    if high < ciphers.HIGHEST:
        raise OptionError("cipherSuites", "no suite is left for TLS 1.2 and below", "name one, or allow TLS 1.3")
    return max(low, ciphers.HIGHEST)


def _client_auth(auth: ClientAuth) -> tuple[ClientAuthType, tuple[str, ...]]:
    for position, pem in enumerate(auth.ca_files):
        if not certificates_in(pem.encode()):
            raise OptionError(
                f"clientAuth.caFiles[{position}]", "no readable certificate", "give certificates in PEM form"
            )
    default = ClientAuthType.REQUIRE_AND_VERIFY if auth.ca_files else ClientAuthType.NONE
    kind = _client_auth_type(auth.client_auth_type) if auth.client_auth_type else default
    if kind.verifies and not auth.ca_files:
        raise OptionError(
            "clientAuth.caFiles",
            f"{kind.value} needs a certificate authority",
            "name a Secret with tls.ca or ca.crt",
        )
    return kind, tuple(auth.ca_files)


def _client_auth_type(name: str) -> ClientAuthType:
    try:
        return ClientAuthType(name)
    except ValueError:
        known = [kind.value for kind in ClientAuthType]
        raise OptionError("clientAuth.clientAuthType", f"unknown type {name!r}", _nearest(name, known)) from None


def _alpn(protocols: Sequence[str] | None, unserved: Collection[str]) -> tuple[bytes, ...]:
    found = []
    for position, protocol in enumerate(DEFAULT_ALPN if protocols is None else protocols):
        encoded = protocol.encode()
        if not 1 <= len(encoded) <= 255:
            raise OptionError(f"alpnProtocols[{position}]", "a protocol name has 1 to 255 bytes")
        if protocol not in unserved:
            found.append(encoded)
    return tuple(dict.fromkeys(found))


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.3)
    return f"did you mean {close[0]}?" if close else f"one of {', '.join(names)}"


def _identity(settings: TLSSettings) -> bytes:
    # warnings and the empty identity itself left out; msgpack frames every field, so nothing can run together
    fields = settings._replace(warnings=())
    return hashlib.sha256(msgspec.msgpack.encode(tuple(fields))).digest()
