"""Durations and defaults: what is absent, what is zero, and what cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.provider.support import Json
from tests.provider.translate.middlewares import secret, translated

REDIS_DEFAULTS = {
    "endpoints": ["localhost:6379"],
    "readTimeout": "3s",
    "writeTimeout": "3s",
    "dialTimeout": "5s",
}
BREAKER_DEFAULTS = {
    "checkPeriod": "100ms",
    "fallbackDuration": "10s",
    "recoveryDuration": "10s",
    "responseCode": 503,
}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"compress": {}}, {"encodings": ["gzip", "br", "zstd"]}),
        ({"compress": {"encodings": []}}, {}),
        ({"compress": {"encodings": ["br"], "minResponseBodyBytes": 0}}, {"encodings": ["br"]}),
        ({"circuitBreaker": {}}, BREAKER_DEFAULTS),
        ({"circuitBreaker": {"responseCode": 0}}, BREAKER_DEFAULTS),
        ({"circuitBreaker": {"responseCode": 429}}, BREAKER_DEFAULTS | {"responseCode": 429}),
        ({"retry": {}}, {"maxRequestBodyBytes": 2097152}),
        ({"retry": {"maxRequestBodyBytes": 0}}, {"maxRequestBodyBytes": 0}),
        ({"retry": {"maxRequestBodyBytes": -1}}, {"maxRequestBodyBytes": -1}),
        ({"rateLimit": {}}, {"period": "1s", "burst": 1}),
        ({"rateLimit": {"average": 0, "burst": 0, "period": 0}}, {}),
        ({"rateLimit": {"redis": {}}}, {"period": "1s", "burst": 1, "redis": REDIS_DEFAULTS}),
        ({"rateLimit": {"redis": {"endpoints": []}}}, {"period": "1s", "burst": 1, "redis": REDIS_DEFAULTS}),
        (
            {"rateLimit": {"burst": 2, "redis": {"tls": {}, "readTimeout": 0, "dialTimeout": "0"}}},
            {
                "period": "1s",
                "burst": 2,
                "redis": REDIS_DEFAULTS | {"tls": {}, "readTimeout": "0s", "dialTimeout": "0s"},
            },
        ),
    ],
    ids=str,
)
def test_defaults(spec: Json, expected: Json) -> None:
    (type_,) = spec
    assert translated(spec).plain == {type_: expected}


FULL: list[tuple[str, Json, Json]] = [
    (
        "compress",
        {
            "excludedContentTypes": ["a/b"],
            "includedContentTypes": ["c/d"],
            "minResponseBodyBytes": 5,
            "encodings": ["zstd"],
            "defaultEncoding": "zstd",
        },
        {},
    ),
    (
        "circuitBreaker",
        {
            "expression": "NetworkErrorRatio() > 0.5",
            "checkPeriod": "1s",
            "fallbackDuration": 2,
            "recoveryDuration": "90s",
            "responseCode": 400,
        },
        {"fallbackDuration": "2s", "recoveryDuration": "1m30s"},
    ),
    (
        "retry",
        {
            "attempts": 2,
            "initialInterval": "100ms",
            "timeout": 3,
            "maxRequestBodyBytes": 4,
            "status": ["500", "502-504"],
            "disableRetryOnNetworkError": True,
            "retryNonIdempotentMethod": True,
        },
        {"timeout": "3s"},
    ),
    (
        "rateLimit",
        {
            "average": 1,
            "period": "1m",
            "burst": 3,
            "sourceCriterion": {"ipStrategy": {"depth": 2, "excludedIPs": ["10.0.0.1"], "ipv6Subnet": 64}},
        },
        {"period": "1m0s"},
    ),
]


@pytest.mark.parametrize(("type_", "spec", "changed"), FULL, ids=[row[0] for row in FULL])
def test_every_field(type_: str, spec: Json, changed: Json) -> None:
    result = translated({type_: spec})
    assert result.plain == {type_: spec | changed}
    both = type_ == "compress"  # lists that exclude each other
    assert [one.reason for one in result.findings] == (["SeveralLists"] if both else [])


def test_every_field_of_redis() -> None:
    redis = {
        "endpoints": ["a:1", "b:2"],
        "db": 1,
        "poolSize": 2,
        "minIdleConns": 3,
        "maxActiveConns": 4,
        "readTimeout": "1s",
        "writeTimeout": "2s",
        "dialTimeout": "1.5s",
    }
    named: Json = {"secret": "s", "tls": {"caSecret": "ca", "certSecret": "pair", "insecureSkipVerify": True}}
    filled: Json = {
        "username": "u",
        "password": "p",
        "tls": {"ca": "authority", "cert": "chain", "key": "key", "insecureSkipVerify": True},
    }
    result = translated(
        {"rateLimit": {"redis": redis | named}},
        secret("s", username="u", password="p"),
        secret("ca", ca__crt="authority"),
        secret("pair", tls__crt="chain", tls__key="key"),
    )
    assert result.plain["rateLimit"]["redis"] == redis | filled


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(60, "1m0s", marks=pytest.mark.behaviour("PR-71")),
        ("60", "1m0s"),
        ("+5", "5s"),
        ("-1s", "-1s"),
        (-5, "-5s"),
        ("1h30m", "1h30m0s"),
        ("1.5s", "1.5s"),
        ("250ms", "250ms"),
        ("0", ""),
        ("0s", ""),
        (0, ""),
    ],
)
def test_durations(value: Any, text: str) -> None:
    made = translated({"rateLimit": {"period": value}}).plain["rateLimit"]
    assert made.get("period", "") == text


DURATIONS = [
    "circuitBreaker.checkPeriod",
    "circuitBreaker.fallbackDuration",
    "circuitBreaker.recoveryDuration",
    "rateLimit.period",
    "rateLimit.redis.dialTimeout",
    "rateLimit.redis.readTimeout",
    "rateLimit.redis.writeTimeout",
    "retry.initialInterval",
    "retry.timeout",
]


@pytest.mark.behaviour("PR-70")
@pytest.mark.parametrize("path", DURATIONS)
@pytest.mark.parametrize("value", ["10m5", "", "1.5", "soon", "99999999999999999999", 1 << 60])
def test_a_duration_that_cannot_be_read_drops_the_object(path: str, value: Any) -> None:
    spec = value
    for name in reversed(path.split(".")):
        spec = {name: spec}
    result = translated(spec)
    assert result.made is None
    assert result.reasons == [("InvalidDuration", f"spec.{path}")]


@pytest.mark.parametrize(
    ("redis", "reason", "field"),
    [
        ({"secret": "nope"}, "SecretNotFound", "secret"),
        ({"secret": "half"}, "SecretKeyNotFound", "secret"),
        ({"secret": "binary"}, "SecretNotText", "secret"),
        ({"tls": {"caSecret": "nope"}}, "SecretNotFound", "tls.caSecret"),
        ({"tls": {"certSecret": "half"}}, "SecretIncomplete", "tls.certSecret"),
    ],
    ids=str,
)
def test_a_secret_of_redis_that_is_of_no_use_drops_the_object(redis: Json, reason: str, field: str) -> None:
    others = [secret("half", username="u"), secret("binary", username="u", password=b"\xff")]
    result = translated({"rateLimit": {"average": 1, "redis": redis}}, *others)
    assert result.made is None
    assert result.reasons == [(reason, f"spec.rateLimit.redis.{field}")]
