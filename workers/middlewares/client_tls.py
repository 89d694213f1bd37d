"""TLS towards a server that a middleware asks for itself: from its options to a transport.

Middlewares with equal options share one transport, and so its connections, for as long as one of them lives.
"""

from __future__ import annotations

from typing import Final
from weakref import WeakValueDictionary

from config.middlewares_auth import ClientTLS
from tls.certificates import Certificate, CertificateError
from tls.client import ClientSettings, client_settings
from tls.options import OptionError
from workers.building import BuildError
from workers.timers import TimerWheel, current_wheel
from workers.upstream.outgoing import outgoing
from workers.upstream.transport import Transport

_transports: Final[WeakValueDictionary[tuple[TimerWheel, bytes], Transport]] = WeakValueDictionary()


def transport_for(options: ClientTLS) -> Transport:
    """A transport that trusts and shows what the options say. Raises BuildError."""
    settings = _settings(options)
    key = current_wheel(), settings.identity
    transport = _transports.get(key)
    if transport is None:
        transport = _transports[key] = Transport(tls=settings, outgoing=outgoing())
    return transport


def _settings(options: ClientTLS) -> ClientSettings:
    failure = "unable to create client TLS configuration"
    if bool(options.cert) != bool(options.key):
        raise BuildError(f"{failure}: certificate and key belong together, only one is there")
    try:
        certificates = [Certificate.load(options.cert.encode(), options.key.encode())] if options.cert else []
        settings = client_settings(
            insecure_skip_verify=options.insecure_skip_verify,
            root_cas=[options.ca] if options.ca else [],
            certificates=certificates,
        )
    except (CertificateError, OptionError) as error:
        raise BuildError(f"{failure}: {error}") from error
    if settings.warnings:
        raise BuildError(f"{failure}: failed to parse CA")
    return settings
