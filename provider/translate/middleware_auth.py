"""Middlewares that ask who the client is: basicAuth, digestAuth, forwardAuth, with what they take from Secrets."""

from __future__ import annotations

import msgspec

from config.middlewares_auth import FORWARD_AUTH_DEFAULTS, BasicAuth, ClientTLS, DigestAuth, ForwardAuth
from provider.findings import Rejected
from provider.resources import traefik_middlewares as written
from provider.translate.conversion import Conversion
from provider.translate.credentials import basic_auth_users, digest_auth_users
from provider.translate.holder import Holder
from provider.translate.secrets import certificate, certificate_authority


def basic_auth(conversion: Conversion, given: written.SecretAuth, field: str) -> BasicAuth:
    return BasicAuth(
        users=basic_auth_users(conversion.holder, given.secret, f"{field}.secret"),
        realm=given.realm,
        remove_header=given.remove_header,
        header_field=given.header_field,
    )


def digest_auth(conversion: Conversion, given: written.SecretAuth, field: str) -> DigestAuth:
    return DigestAuth(
        users=digest_auth_users(conversion.holder, given.secret, f"{field}.secret"),
        realm=given.realm,
        remove_header=given.remove_header,
        header_field=given.header_field,
    )


def forward_auth(conversion: Conversion, given: written.ForwardAuth, field: str) -> ForwardAuth:
    if not given.address:
        raise Rejected(
            "AddressMissing",
            "forward authentication needs the address of a server to ask",
            field=f"{field}.address",
            advice="write a URL such as http://auth.default.svc/verify",
        )
    tls = None
    if given.tls is not None:
        tls = client_tls(conversion.holder, given.tls, f"{field}.tls")
        tls = msgspec.structs.replace(tls, ca_optional=given.tls.ca_optional)
    size = given.max_body_size
    return ForwardAuth(
        address=given.address,
        tls=tls,
        trust_forward_header=given.trust_forward_header,
        auth_response_headers=given.auth_response_headers,
        auth_response_headers_regex=given.auth_response_headers_regex,
        auth_request_headers=given.auth_request_headers,
        max_response_body_size=given.max_response_body_size,
        add_auth_cookies_to_response=given.add_auth_cookies_to_response,
        header_field=given.header_field,
        forward_body=given.forward_body,
        max_body_size=FORWARD_AUTH_DEFAULTS.max_body_size if size is None else size,
        preserve_location_header=given.preserve_location_header,
        preserve_request_method=given.preserve_request_method,
        auth_signin_url=given.auth_signin_url,
    )


def client_tls(holder: Holder, given: written.ClientTLS | written.RedisTLS, field: str) -> ClientTLS:
    """The Secrets' content in place of their names. Raises Rejected."""
    authority = chain = key = ""
    if given.ca_secret:
        authority = certificate_authority(holder, given.ca_secret, f"{field}.caSecret")
    if given.cert_secret:
        own = certificate(holder, given.cert_secret, f"{field}.certSecret")
        chain, key = own.cert_file, own.key_file
    return ClientTLS(ca=authority, cert=chain, key=key, insecure_skip_verify=given.insecure_skip_verify)
