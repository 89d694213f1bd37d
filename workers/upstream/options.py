"""From the configuration of a servers transport to what a Transport is made of.

Whatever cannot be honoured makes the transport unusable, and with it the services that name it: the original
falls back to default TLS settings there, which would give a server less, or more, trust than was written down.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from config import http, static
from config.units import DurationError, parse_go_duration
from tls.certificates import Certificate, CertificateError
from tls.client import ClientSettings, client_settings
from tls.options import OptionError


class TransportError(ValueError):
    """This transport cannot be made; the message names the field and says why."""


class TransportOptions(NamedTuple):
    """Checked values. Seconds of zero are no limit; `max_idle_per_host` as in Transport."""

    tls: ClientSettings
    dial_seconds: float = 30.0
    response_header_seconds: float = 0.0
    idle_seconds: float = 90.0
    read_idle_seconds: float = 0.0
    ping_seconds: float = 15.0
    max_idle_per_host: int = 0
    disable_http2: bool = False


def named_options(config: http.ServersTransport) -> TransportOptions:
    """Options of a transport in the dynamic configuration. Raises TransportError."""
    timeouts = config.forwarding_timeouts or http.FORWARDING_TIMEOUTS_DEFAULTS
    if config.spiffe is not None:
        raise TransportError(
            "spiffe: there is no SPIFFE workload API in this version; write rootCAs, certificates and peerCertURI"
        )
    return TransportOptions(
        tls=_tls(config),
        dial_seconds=_seconds("dialTimeout", timeouts.dial_timeout),
        response_header_seconds=_seconds("responseHeaderTimeout", timeouts.response_header_timeout),
        idle_seconds=_seconds("idleConnTimeout", timeouts.idle_conn_timeout),
        read_idle_seconds=_seconds("readIdleTimeout", timeouts.read_idle_timeout),
        ping_seconds=_seconds("pingTimeout", timeouts.ping_timeout),
        max_idle_per_host=config.max_idle_conns_per_host,
        disable_http2=config.disable_http2,
    )


def default_options(config: static.ServersTransport) -> TransportOptions:
    """Options of the transport of services that name none. Raises TransportError for a file it cannot use."""
    timeouts = config.forwarding_timeouts
    root_cas = [_file_or_text(one, f"rootCAs[{place}]") for place, one in enumerate(config.root_cas)]
    return TransportOptions(
        tls=client_settings(insecure_skip_verify=config.insecure_skip_verify, root_cas=root_cas),
        dial_seconds=timeouts.dial_timeout_seconds,
        response_header_seconds=timeouts.response_header_timeout_seconds,
        idle_seconds=timeouts.idle_conn_timeout_seconds,
        max_idle_per_host=config.max_idle_conns_per_host,
    )


def _tls(config: http.ServersTransport) -> ClientSettings:
    certificates = []
    for place, pair in enumerate(config.certificates):
        try:
            certificates.append(Certificate.load(pair.cert_file.encode(), pair.key_file.encode()))
        except CertificateError as error:
            raise TransportError(f"certificates[{place}]: {error}") from error
    try:
        return client_settings(
            server_name=config.server_name,
            insecure_skip_verify=config.insecure_skip_verify,
            root_cas=config.root_cas,
            certificates=certificates,
            cipher_suites=config.cipher_suites or None,
            min_version=config.min_version,
            max_version=config.max_version,
            peer_cert_uri=config.peer_cert_uri,
        )
    except OptionError as error:
        raise TransportError(str(error)) from error


def _seconds(field: str, text: str) -> float:
    try:
        return parse_go_duration(text) if text else 0.0
    except DurationError as error:
        raise TransportError(f"forwardingTimeouts.{field}: {error}") from error


def _file_or_text(value: str, field: str) -> str:
    """The PEM text that `value` is, or that stands in the file it names."""
    if "-----BEGIN " in value:
        return value
    try:
        return Path(value).read_text("ascii")
    except (OSError, UnicodeError) as error:
        raise TransportError(f"{field}: {error}") from error
