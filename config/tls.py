"""TLS part of the dynamic configuration: certificates, options and stores as data.

Everything here is content, never a path: a Secret that happens to hold the name of a file on the proxy's disk
must not open that file. What the texts are worth is for the `tls` room to judge.
"""

from __future__ import annotations

from config.shape import Shape


class Domain(Shape, frozen=True, kw_only=True):
    """Names that a certificate is to be had for."""

    main: str = ""
    sans: list[str] = []


class Certificate(Shape, frozen=True, kw_only=True):
    """A chain and its private key, both PEM texts. The names are Traefik's, which also takes paths."""

    cert_file: str = ""
    key_file: str = ""

    def __repr__(self) -> str:
        """Without the texts: a key must not be given away by chance, and it may stand in the wrong field."""
        return f"<{type(self).__name__} of {len(self.cert_file)} and {len(self.key_file)} characters>"


class StoredCertificate(Certificate, frozen=True, kw_only=True):
    """A certificate for handshakes with clients. No stores means: the default one, the only one served from."""

    stores: list[str] = []


class ClientAuth(Shape, frozen=True, kw_only=True):
    """`ca_files`: PEM texts. An empty type with CAs given means RequireAndVerifyClientCert."""

    ca_files: list[str] = []
    client_auth_type: str = ""


class TLSOptions(Shape, frozen=True, kw_only=True):
    """One TLSOption as written. None and an empty list differ: not given, and given as nothing."""

    min_version: str = ""
    max_version: str = ""
    cipher_suites: list[str] | None = None
    curve_preferences: list[str] = []
    client_auth: ClientAuth = ClientAuth()
    sni_strict: bool = False
    alpn_protocols: list[str] | None = None
    disable_session_tickets: bool = False


class GeneratedCertificate(Shape, frozen=True, kw_only=True):
    """A default certificate to be had from an ACME resolver."""

    resolver: str = ""
    domain: Domain | None = None


class TLSStore(Shape, frozen=True, kw_only=True):
    """`default_certificate` wins over `default_generated_cert`. Only the store named `default` is used."""

    default_certificate: Certificate | None = None
    default_generated_cert: GeneratedCertificate | None = None


class TLSConfiguration(Shape, frozen=True, kw_only=True):
    """Certificates are keyed by `namespace/secret`; Traefik has a list in the order of these keys.

    The order matters for certificates with the same names: the first one is used.
    """

    certificates: dict[str, StoredCertificate] = {}
    options: dict[str, TLSOptions] = {}
    stores: dict[str, TLSStore] = {}
