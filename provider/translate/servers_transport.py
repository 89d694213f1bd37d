"""ServersTransport -> HTTP servers transport.

No error drops a transport: the services that name it would be gone with it. What is wrong costs that item alone,
and the finding says what stands in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from config import http
from provider.findings import Rejected, Report
from provider.resources.kinds import ObjectKey
from provider.resources.traefik_transports import ForwardingTimeouts, ServersTransport, ServersTransportSpec
from provider.translate.holder import Holder
from provider.translate.output import Output
from provider.translate.transport_parts import (
    client_certificates,
    judge,
    lenient_duration,
    pair_flaws,
    root_authorities,
    spiffe,
    spiffe_flaws,
    unbuildable,
)
from provider.translate.view import View
from tls.ciphers import KNOWN_CIPHERS, VERSIONS
from tls.client import client_settings
from tls.options import OptionError

SECTION: Final = "http.serversTransports"
FALLBACK_MIN_VERSION: Final = "VersionTLS12"

_NAMES: Final[Mapping[str, str]] = {
    "dial_timeout": "dialTimeout",
    "response_header_timeout": "responseHeaderTimeout",
    "idle_conn_timeout": "idleConnTimeout",
    "read_idle_timeout": "readIdleTimeout",
    "ping_timeout": "pingTimeout",
}


def translate(view: View, transport: ServersTransport) -> Output:
    """Never raises Rejected: everything wrong ends in the output's findings."""
    metadata, spec = transport.metadata, transport.spec
    output = Output.of(ObjectKey("ServersTransport", metadata.namespace, metadata.name))
    holder = Holder(view, metadata.namespace, output.report)
    minimum, maximum = _versions(output.report, spec)
    value = http.ServersTransport(
        server_name=spec.server_name,
        insecure_skip_verify=spec.insecure_skip_verify,
        root_cas=root_authorities(holder, spec.root_cas_secrets, spec.root_cas, "spec"),
        certificates=client_certificates(holder, spec.certificates_secrets, "spec.certificatesSecrets"),
        cipher_suites=_cipher_suites(output.report, spec.cipher_suites),
        min_version=minimum,
        max_version=maximum,
        max_idle_conns_per_host=spec.max_idle_conns_per_host,
        forwarding_timeouts=_timeouts(output.report, spec.forwarding_timeouts),
        disable_http2=spec.disable_http2,
        peer_cert_uri=spec.peer_cert_uri,
        spiffe=spiffe(spec.spiffe),
    )
    name = SECTION, view.naming.object(metadata.namespace, metadata.name)
    output.put(*name, value)
    judge(output, name, _flaws(value, spec))
    return output


def _flaws(value: http.ServersTransport, spec: ServersTransportSpec) -> Iterator[Rejected]:
    yield from spiffe_flaws(spec.spiffe, "spec.spiffe")
    yield from pair_flaws(value.certificates, "spec.certificatesSecrets")
    try:
        client_settings(
            server_name=value.server_name,
            cipher_suites=value.cipher_suites or None,
            min_version=value.min_version,
            max_version=value.max_version,
            peer_cert_uri=value.peer_cert_uri,
        )
    except OptionError as error:
        yield unbuildable(error.message, f"spec.{error.field}", error.advice)


def _timeouts(report: Report, given: ForwardingTimeouts) -> http.ForwardingTimeouts:
    defaults = http.FORWARDING_TIMEOUTS_DEFAULTS
    return http.ForwardingTimeouts(
        **{
            name: lenient_duration(
                report, getattr(given, name), getattr(defaults, name), f"spec.forwardingTimeouts.{wire_name}"
            )
            for name, wire_name in _NAMES.items()
        }
    )


def _cipher_suites(report: Report, names: list[str]) -> list[str]:
    unknown = [index for index, name in enumerate(names) if name not in KNOWN_CIPHERS]
    if not unknown:
        return names
    report.warning(
        "OptionIgnored",
        f"unknown cipher suite {names[unknown[0]]!r}; the whole list is ignored and the default one used",
        field=f"spec.cipherSuites[{unknown[0]}]",
        advice="correct the name, or remove it to have the other suites counted",
    )
    return []


def _versions(report: Report, spec: ServersTransportSpec) -> tuple[str, str]:
    """The range; empty is unbounded, as far as the defaults go."""
    minimum = _version(report, spec.min_version, "spec.minVersion")
    maximum = _version(report, spec.max_version, "spec.maxVersion")
    if minimum and maximum and VERSIONS[minimum] >= VERSIONS[maximum]:
        report.warning(
            "OptionIgnored",
            f"{minimum} is not below maxVersion {maximum}; {FALLBACK_MIN_VERSION} and above is used",
            field="spec.minVersion",
            advice="lower minVersion, or leave one of the two out",
        )
        return FALLBACK_MIN_VERSION, ""
    return minimum, maximum


def _version(report: Report, name: str, field: str) -> str:
    if not name or name in VERSIONS:
        return name
    report.warning(
        "OptionIgnored",
        f"{name!r} is no TLS version and is ignored",
        field=field,
        advice=f"use one of {', '.join(VERSIONS)}",
    )
    return ""
