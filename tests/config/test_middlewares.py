"""The kinds of middleware and what absent, empty and zero mean."""

from typing import Any

import msgspec
import pytest

from config.middlewares import Chain, Middleware, kinds_of
from config.middlewares_auth import FORWARD_AUTH_DEFAULTS, ClientTLS, ForwardAuth
from config.middlewares_paths import AddPrefix, StripPrefix
from config.middlewares_responses import COMPRESS_DEFAULTS, Compress, Errors, Headers
from config.middlewares_source import IPStrategy
from config.middlewares_traffic import (
    CIRCUIT_BREAKER_DEFAULTS,
    RATE_LIMIT_DEFAULTS,
    REDIS_DEFAULTS,
    RETRY_DEFAULTS,
    Redis,
)
from config.shape import Shape

KINDS = {
    *("addPrefix", "basicAuth", "buffering", "chain", "circuitBreaker", "compress", "contentType", "digestAuth"),
    *("encodedCharacters", "errors", "forwardAuth", "grpcWeb", "headers", "inFlightReq", "ipAllowList"),
    *("ipWhiteList", "passTLSClientCert", "plugin", "rateLimit", "redirectRegex", "redirectScheme", "replacePath"),
    *("replacePathRegex", "retry", "stripPrefix", "stripPrefixRegex"),
}


def test_every_kind_that_the_custom_resource_has() -> None:
    assert set(Middleware.__struct_encode_fields__) == KINDS


@pytest.mark.parametrize("kind", sorted(KINDS - {"plugin"}))
def test_a_kind_counts_even_if_empty(kind: str) -> None:
    middleware = msgspec.convert({kind: {}}, Middleware)
    assert kinds_of(middleware) == [kind]
    assert msgspec.to_builtins(middleware) == {kind: {}}


def test_none_several_and_plugins() -> None:
    assert kinds_of(Middleware()) == []
    assert kinds_of(Middleware(plugin={})) == []
    assert kinds_of(Middleware(plugin={"demo": {}})) == ["plugin"]
    assert kinds_of(Middleware(compress=Compress(), chain=Chain())) == ["chain", "compress"]


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (Middleware(plugin={"demo": {"a": [1, 1.5, None, {"b": True}]}}), None),
        (AddPrefix(), {}),
        (StripPrefix(force_slash=False), {"forceSlash": False}),
        (Headers(sts_seconds=0, ssl_host="", ssl_redirect=False), None),
        (IPStrategy(excluded_ips=["1.1.1.1"], ipv6_subnet=0), {"excludedIPs": ["1.1.1.1"], "ipv6Subnet": 0}),
        (ForwardAuth(tls=ClientTLS(), max_body_size=0), {"tls": {}, "maxBodySize": 0}),
        (Redis(read_timeout="0s"), {"readTimeout": "0s"}),
        (Headers(force_sts_header=True, custom_browser_xss_value="x"), None),
    ],
)
def test_what_is_left_out(value: Shape, printed: dict[str, Any] | None) -> None:
    encoded = msgspec.to_builtins(value)
    if printed is not None:
        assert encoded == printed
    assert msgspec.convert(encoded, type(value)) == value


@pytest.mark.behaviour("ADV-I-5")
def test_no_request_headers_for_the_error_page_is_not_all_of_them() -> None:
    for headers in (None, [], ["Accept"]):
        value = Errors(error_request_headers=headers)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=Errors) == value


@pytest.mark.parametrize(
    ("defaults", "printed"),
    [
        (COMPRESS_DEFAULTS, {"encodings": ["gzip", "br", "zstd"]}),
        (RATE_LIMIT_DEFAULTS, {"period": "1s", "burst": 1}),
        (RETRY_DEFAULTS, {"maxRequestBodyBytes": 2097152}),
        (FORWARD_AUTH_DEFAULTS, {"maxBodySize": -1}),
        (
            CIRCUIT_BREAKER_DEFAULTS,
            {"checkPeriod": "100ms", "fallbackDuration": "10s", "recoveryDuration": "10s", "responseCode": 503},
        ),
        (
            REDIS_DEFAULTS,
            {
                "endpoints": ["localhost:6379"],
                "readTimeout": "3s",
                "writeTimeout": "3s",
                "dialTimeout": "5s",
            },
        ),
    ],
)
def test_what_is_filled_in_before_reading(defaults: Shape, printed: dict[str, Any]) -> None:
    assert msgspec.to_builtins(defaults) == printed
