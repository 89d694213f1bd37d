"""One HTTP middleware of the dynamic configuration. The options of each kind are in `middlewares_*.py`.

A field of Middleware is a kind: the name it has on the wire is the one that users write under `spec`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from config.middlewares_auth import BasicAuth, DigestAuth, ForwardAuth, PassTLSClientCert
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
from config.middlewares_responses import Compress, ContentType, Errors, GrpcWeb, Headers
from config.middlewares_source import IPAllowList, IPWhiteList
from config.middlewares_traffic import Buffering, CircuitBreaker, InFlightReq, RateLimit, Retry
from config.shape import Shape


class Chain(Shape, frozen=True, kw_only=True):
    """Other middlewares, in order. References without `@` stay in the chain's own provider."""

    middlewares: list[str] = []


class Middleware(Shape, frozen=True, kw_only=True):
    """Whatever the object said; exactly one member must be set for it to be built, see `kinds_of`.

    `plugin` maps a plugin's name to its options, which are any JSON.
    """

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
    basic_auth: BasicAuth | None = None
    digest_auth: DigestAuth | None = None
    forward_auth: ForwardAuth | None = None
    in_flight_req: InFlightReq | None = None
    buffering: Buffering | None = None
    circuit_breaker: CircuitBreaker | None = None
    compress: Compress | None = None
    pass_tls_client_cert: PassTLSClientCert | None = msgspec.field(default=None, name="passTLSClientCert")
    retry: Retry | None = None
    content_type: ContentType | None = None
    grpc_web: GrpcWeb | None = None
    plugin: dict[str, Any] = {}


def kinds_of(middleware: Middleware) -> list[str]:
    """Names on the wire of the kinds that are set, in the order of the fields.

    >>> kinds_of(Middleware(add_prefix=AddPrefix(prefix="/a"), compress=Compress()))
    ['addPrefix', 'compress']
    """
    names = zip(Middleware.__struct_fields__, Middleware.__struct_encode_fields__, strict=True)
    return [wire_name for name, wire_name in names if getattr(middleware, name) not in (None, {})]
