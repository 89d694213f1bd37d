"""Options of the middlewares that ask who the client is: passwords, an auth server, certificates.

What only files can say (`usersFile`) is left out.
"""

from __future__ import annotations

from typing import Final

import msgspec

from config.shape import Shape


class BasicAuth(Shape, frozen=True, kw_only=True):
    """`users` are htpasswd lines, `name:hash`. An empty realm means `traefik`."""

    users: list[str] = []
    realm: str = ""
    remove_header: bool = False
    header_field: str = ""


class DigestAuth(Shape, frozen=True, kw_only=True):
    """`users` are htdigest lines, `name:realm:hash`. An empty realm means `traefik`."""

    users: list[str] = []
    realm: str = ""
    remove_header: bool = False
    header_field: str = ""


class ClientTLS(Shape, frozen=True, kw_only=True):
    """TLS towards a server of a middleware. PEM texts; `ca_optional` is accepted and has no effect."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    insecure_skip_verify: bool = False
    ca_optional: bool | None = None


class ForwardAuth(Shape, frozen=True, kw_only=True):
    """The auth server and what travels to and from it.

    `trust_forward_header` has three states, None is the legacy one. Body sizes are in bytes; None and -1 mean
    no limit, 0 allows no body. No `auth_request_headers` means all.
    """

    address: str = ""
    tls: ClientTLS | None = None
    trust_forward_header: bool | None = None
    auth_response_headers: list[str] = []
    auth_response_headers_regex: str = ""
    auth_request_headers: list[str] = []
    max_response_body_size: int | None = None
    add_auth_cookies_to_response: list[str] = []
    header_field: str = ""
    forward_body: bool = False
    max_body_size: int | None = None
    preserve_location_header: bool = False
    preserve_request_method: bool = False
    auth_signin_url: str = msgspec.field(default="", name="authSigninURL")


FORWARD_AUTH_DEFAULTS: Final = ForwardAuth(max_body_size=-1)


class IssuerInfo(Shape, frozen=True, kw_only=True):
    """Which attributes of a certificate's issuer are passed on."""

    country: bool = False
    province: bool = False
    locality: bool = False
    organization: bool = False
    common_name: bool = False
    serial_number: bool = False
    domain_component: bool = False


class SubjectInfo(IssuerInfo, frozen=True, kw_only=True):
    """Which attributes of a certificate's subject are passed on."""

    organizational_unit: bool = False


class ClientCertificateInfo(Shape, frozen=True, kw_only=True):
    not_after: bool = False
    not_before: bool = False
    sans: bool = False
    serial_number: bool = False
    subject: SubjectInfo | None = None
    issuer: IssuerInfo | None = None


class PassTLSClientCert(Shape, frozen=True, kw_only=True):
    """`pem`: the whole certificate in a header; `info`: chosen facts in another."""

    pem: bool = False
    info: ClientCertificateInfo | None = None
