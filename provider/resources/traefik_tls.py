"""TLSOption and TLSStore, typed: whom to shake hands with and how, and which certificates to show.

As in `traefik.py` every value may be nonsense here. Secrets are named without a namespace: they are always
those of the object's own.
"""

from __future__ import annotations

from provider.resources.core import Metadata, Resource
from provider.resources.traefik import Domain


class CertificateSecret(Resource, frozen=True, kw_only=True):
    """A Secret with `tls.crt` and `tls.key`."""

    secret_name: str = ""


class GeneratedCertificate(Resource, frozen=True, kw_only=True):
    resolver: str = ""
    domain: Domain | None = None


class TLSStoreSpec(Resource, frozen=True, kw_only=True):
    default_certificate: CertificateSecret | None = None
    default_generated_cert: GeneratedCertificate | None = None
    certificates: list[CertificateSecret] = []


class TLSStore(Resource, frozen=True, kw_only=True):
    metadata: Metadata
    spec: TLSStoreSpec = TLSStoreSpec()


class ClientAuth(Resource, frozen=True, kw_only=True):
    secret_names: list[str] = []
    client_auth_type: str = ""


class TLSOptionSpec(Resource, frozen=True, kw_only=True):
    """None and an empty list differ: not given, and given as nothing."""

    min_version: str = ""
    max_version: str = ""
    cipher_suites: list[str] | None = None
    curve_preferences: list[str] = []
    client_auth: ClientAuth = ClientAuth()
    sni_strict: bool = False
    alpn_protocols: list[str] | None = None
    disable_session_tickets: bool = False
    prefer_server_cipher_suites: bool | None = None


class TLSOption(Resource, frozen=True, kw_only=True):
    metadata: Metadata
    spec: TLSOptionSpec = TLSOptionSpec()
