"""Middleware and MiddlewareTCP of `traefik.io/v1alpha1`, typed.

Most types of middleware are written exactly as the dynamic configuration has them; those fields hold the
structs of `config`. Structs of their own have the types that differ: names of Secrets instead of their content,
references instead of names, durations as int-or-string, and None where absent is not zero.

The objects keep their `spec` as plain data until it is translated: only there a mistyped name can still be seen.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from config.layer4 import InFlightConn, TCPIPAllowList
from config.middlewares_auth import PassTLSClientCert
from config.middlewares_paths import (
    AddPrefix,
    EncodedCharacters,
    RedirectRegex,
    RedirectScheme,
    ReplacePath,
    ReplacePathRegex,
    StripPrefix,
    StripPrefixRegex,
)
from config.middlewares_responses import ContentType, GrpcWeb, Headers
from config.middlewares_source import IPAllowList, IPWhiteList, SourceCriterion
from config.middlewares_traffic import Buffering, InFlightReq
from provider.resources.core import Int64, Metadata, Resource
from provider.resources.traefik import LoadBalancerSpec, ObjectReference

Duration = Int64 | str | None
"""An integer counts seconds; None is absent."""


class Chain(Resource, frozen=True, kw_only=True):
    middlewares: list[ObjectReference] = []


class SecretAuth(Resource, frozen=True, kw_only=True):
    """Basic and digest authentication: users from a Secret of the object's namespace."""

    secret: str = ""
    realm: str = ""
    remove_header: bool = False
    header_field: str = ""


class ClientTLS(Resource, frozen=True, kw_only=True):
    """TLS towards a server of a middleware. `ca_optional` is deprecated, without effect."""

    ca_secret: str = ""
    cert_secret: str = ""
    insecure_skip_verify: bool = False
    ca_optional: bool | None = None


class RedisTLS(Resource, frozen=True, kw_only=True):
    ca_secret: str = ""
    cert_secret: str = ""
    insecure_skip_verify: bool = False


class ForwardAuth(Resource, frozen=True, kw_only=True):
    address: str = ""
    trust_forward_header: bool | None = None
    auth_response_headers: list[str] = []
    auth_response_headers_regex: str = ""
    auth_request_headers: list[str] = []
    tls: ClientTLS | None = None
    add_auth_cookies_to_response: list[str] = []
    header_field: str = ""
    forward_body: bool = False
    max_body_size: Int64 | None = None
    max_response_body_size: Int64 | None = None
    preserve_location_header: bool = False
    preserve_request_method: bool = False
    auth_signin_url: str = msgspec.field(default="", name="authSigninURL")


class Compress(Resource, frozen=True, kw_only=True):
    excluded_content_types: list[str] = []
    included_content_types: list[str] = []
    min_response_body_bytes: Int64 | None = None
    encodings: list[str] | None = None
    default_encoding: str | None = None


class CircuitBreaker(Resource, frozen=True, kw_only=True):
    """Unlike all others a `response_code` of 0 is absent."""

    expression: str = ""
    check_period: Duration = None
    fallback_duration: Duration = None
    recovery_duration: Duration = None
    response_code: Int64 = 0


class Retry(Resource, frozen=True, kw_only=True):
    attempts: Int64 = 0
    initial_interval: Duration = None
    timeout: Duration = None
    max_request_body_bytes: Int64 | None = None
    status: list[str] = []
    disable_retry_on_network_error: bool = False
    retry_non_idempotent_method: bool = False


class Redis(Resource, frozen=True, kw_only=True):
    endpoints: list[str] = []
    secret: str = ""
    tls: RedisTLS | None = None
    db: Int64 = 0
    pool_size: Int64 = 0
    min_idle_conns: Int64 = 0
    max_active_conns: Int64 = 0
    read_timeout: Duration = None
    write_timeout: Duration = None
    dial_timeout: Duration = None


class RateLimit(Resource, frozen=True, kw_only=True):
    average: Int64 | None = None
    period: Duration = None
    burst: Int64 | None = None
    source_criterion: SourceCriterion | None = None
    redis: Redis | None = None


class Errors(Resource, frozen=True, kw_only=True):
    """`error_request_headers` None passes all headers on, an empty list none."""

    status: list[str] = []
    status_rewrites: dict[str, Int64] = {}
    service: LoadBalancerSpec | None = None
    query: str = ""
    error_request_headers: list[str] | None = None


class MiddlewareSpec(Resource, frozen=True, kw_only=True):
    """One field a type; the names are those of `config.middlewares.Middleware`. One of them should be set."""

    add_prefix: AddPrefix | None = None
    strip_prefix: StripPrefix | None = None
    strip_prefix_regex: StripPrefixRegex | None = None
    replace_path: ReplacePath | None = None
    replace_path_regex: ReplacePathRegex | None = None
    chain: Chain | None = None
    ip_white_list: IPWhiteList | None = None
    ip_allow_list: IPAllowList | None = None
    headers: Headers | None = None
    encoded_characters: EncodedCharacters | None = None
    errors: Errors | None = None
    rate_limit: RateLimit | None = None
    redirect_regex: RedirectRegex | None = None
    redirect_scheme: RedirectScheme | None = None
    basic_auth: SecretAuth | None = None
    digest_auth: SecretAuth | None = None
    forward_auth: ForwardAuth | None = None
    in_flight_req: InFlightReq | None = None
    buffering: Buffering | None = None
    circuit_breaker: CircuitBreaker | None = None
    compress: Compress | None = None
    pass_tls_client_cert: PassTLSClientCert | None = msgspec.field(default=None, name="passTLSClientCert")
    retry: Retry | None = None
    content_type: ContentType | None = None
    grpc_web: GrpcWeb | None = None
    plugin: dict[str, Any] | None = None


class MiddlewareTCPSpec(Resource, frozen=True, kw_only=True):
    """All types are copied as they are."""

    in_flight_conn: InFlightConn | None = None
    ip_white_list: TCPIPAllowList | None = None
    ip_allow_list: TCPIPAllowList | None = None


class Middleware(Resource, frozen=True, kw_only=True):
    """`spec` is what MiddlewareSpec describes, as plain data."""

    metadata: Metadata
    spec: Annotated[dict[str, Any], msgspec.Meta(extra={"schema": MiddlewareSpec})] = {}


class MiddlewareTCP(Resource, frozen=True, kw_only=True):
    """`spec` is what MiddlewareTCPSpec describes, as plain data."""

    metadata: Metadata
    spec: Annotated[dict[str, Any], msgspec.Meta(extra={"schema": MiddlewareTCPSpec})] = {}
