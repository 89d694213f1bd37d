"""Middlewares of HTTP routers: BUILDERS is the one table of them.

Kinds are named as on the wire. `chain` is no builder: its members take its place, see `chains.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from workers.middlewares.base import Builder
from workers.middlewares.basic_auth import basic_auth
from workers.middlewares.buffering import buffering
from workers.middlewares.circuit_breaker import circuit_breaker
from workers.middlewares.compress import compress
from workers.middlewares.content_type import content_type
from workers.middlewares.digest_auth import digest_auth
from workers.middlewares.encoded_characters import encoded_characters
from workers.middlewares.errors import errors
from workers.middlewares.forward_auth import forward_auth
from workers.middlewares.grpc_web import grpc_web
from workers.middlewares.headers import headers
from workers.middlewares.in_flight_req import in_flight_req
from workers.middlewares.ip_allow_list import ip_allow_list, ip_white_list
from workers.middlewares.pass_tls_client_cert import pass_tls_client_cert
from workers.middlewares.paths import (
    add_prefix,
    replace_path,
    replace_path_regex,
    strip_prefix,
    strip_prefix_regex,
)
from workers.middlewares.plugins import plugin
from workers.middlewares.rate_limit import rate_limit
from workers.middlewares.redirects import redirect_regex, redirect_scheme
from workers.middlewares.retry import retry

BUILDERS: Final[Mapping[str, Builder]] = {
    "addPrefix": add_prefix,
    "basicAuth": basic_auth,
    "buffering": buffering,
    "circuitBreaker": circuit_breaker,
    "compress": compress,
    "contentType": content_type,
    "digestAuth": digest_auth,
    "encodedCharacters": encoded_characters,
    "errors": errors,
    "forwardAuth": forward_auth,
    "grpcWeb": grpc_web,
    "headers": headers,
    "inFlightReq": in_flight_req,
    "ipAllowList": ip_allow_list,
    "ipWhiteList": ip_white_list,
    "passTLSClientCert": pass_tls_client_cert,
    "plugin": plugin,
    "rateLimit": rate_limit,
    "redirectRegex": redirect_regex,
    "redirectScheme": redirect_scheme,
    "replacePath": replace_path,
    "replacePathRegex": replace_path_regex,
    "retry": retry,
    "stripPrefix": strip_prefix,
    "stripPrefixRegex": strip_prefix_regex,
}
