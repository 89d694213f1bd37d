"""What holds for all types: copying, names, dropping, and what the findings say of unusable objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from config.middlewares import Middleware
from provider.resources.traefik_middlewares import MiddlewareSpec
from provider.translate.middleware import CONVERTERS, DEPRECATED
from tests.provider.support import Json
from tests.provider.translate.middlewares import secret, translated, web

SHAPES = Path(__file__).parents[2] / "differential" / "shapes.yaml"
"""Every option of every type; test_middlewares.py beside it compares them with the original."""

COPIED = [
    (name, spec)
    for name, spec in yaml.safe_load(SHAPES.read_text())["Middleware"].items()
    if spec and not set(spec) & set(CONVERTERS)
]


@pytest.mark.parametrize(("name", "spec"), COPIED, ids=[name for name, _ in COPIED])
def test_types_without_a_converter_are_copied(name: str, spec: Json) -> None:
    assert translated(spec).made == msgspec.convert(spec, Middleware)


def test_every_type_is_copied_or_converted() -> None:
    written = {field.encode_name: field for field in msgspec.structs.fields(MiddlewareSpec)}
    meant = {field.encode_name: field for field in msgspec.structs.fields(Middleware)}
    assert set(written) == set(meant)
    assert set(CONVERTERS) == {name for name, field in written.items() if field.type != meant[name].type}


def test_the_name_is_normalized() -> None:
    made = translated({"addPrefix": {"prefix": "/a"}}, name="my..m").output
    assert list(made.of_section("http.middlewares")) == ["default-my-m"]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({}, "NoType"),
        ({"compress": None}, "NoType"),
        ({"plugin": {}}, "NoType"),
        ({"plugin": {"demo": {"a": 1}}}, "UnknownPlugin"),
    ],
    ids=str,
)
def test_an_object_that_no_one_can_build_is_put_out_with_a_finding(spec: Json, reason: str) -> None:
    result = translated(spec)
    assert result.made is not None
    assert [finding.reason for finding in result.findings] == [reason]
    assert result.findings[0].severity == "error"


@pytest.mark.behaviour("PR-67")
def test_several_types_are_put_out_with_a_finding() -> None:
    result = translated({"headers": {"frameDeny": True}, "compress": {}})
    assert result.plain == {
        "headers": {"frameDeny": True},
        "compress": {"encodings": ["gzip", "br", "zstd"]},
    }
    (finding,) = result.findings
    assert (finding.severity, finding.reason, finding.field) == ("error", "SeveralTypes", "spec")
    assert "headers and compress" in finding.message
    assert "disabled" in finding.message


def test_one_failing_type_takes_the_whole_object() -> None:
    result = translated({"addPrefix": {"prefix": "/a"}, "retry": {"timeout": "soon"}, "basicAuth": {}})
    assert result.made is None
    assert result.reasons == [
        ("SecretNotFound", "spec.basicAuth.secret"),
        ("InvalidDuration", "spec.retry.timeout"),
    ]


def test_a_dropped_object_brings_no_service_along() -> None:
    result = translated({"errors": {"service": {"name": "web", "port": 80}}, "retry": {"timeout": "soon"}}, *web())
    assert result.made is None
    assert result.services == {}


@pytest.mark.parametrize(
    ("spec", "field", "advice"),
    [
        ({"basicAuht": {}}, "spec.basicAuht", "did you mean basicAuth?"),
        ({"StripPrefix": {}}, "spec.StripPrefix", "did you mean stripPrefix?"),
        ({"ratelimit": {"average": 1}}, "spec.ratelimit", "did you mean rateLimit?"),
        ({"zzz": {}}, "spec.zzz", "remove it"),
        ({"headers": {"customResponseHeader": {}}}, "spec.headers.customResponseHeader", "customResponseHeaders?"),
        ({"chain": {"middlewares": [{"nam": "a"}]}}, "spec.chain.middlewares[0].nam", "did you mean name?"),
        ({"inFlightReq": {"sourceCriterion": {"ipStrategy": {"dept": 1}}}}, ".ipStrategy.dept", "mean depth?"),
    ],
    ids=str,
)
def test_unknown_fields_are_named_with_the_nearest_known(spec: Json, field: str, advice: str) -> None:
    result = translated(spec)
    assert result.made is not None
    finding = result.findings[0]
    assert (finding.severity, finding.reason) == ("warning", "UnknownField")
    assert finding.field.endswith(field)
    assert finding.advice.endswith(advice)


def test_headers_and_plugin_options_may_have_any_name() -> None:
    result = translated({"headers": {"customRequestHeaders": {"anything": "x"}, "sslProxyHeaders": {"b": "c"}}})
    assert result.findings == []


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"inFlightReq": {"amount": "5"}}, "spec.inFlightReq.amount"),
        ({"stripPrefix": {"prefixes": "/a"}}, "spec.stripPrefix.prefixes"),
        ({"redirectScheme": {"port": 443}}, "spec.redirectScheme.port"),
        ({"headers": {"customRequestHeaders": {"a": 1}}}, "spec.headers.customRequestHeaders[...]"),
        ({"compress": "yes"}, "spec.compress"),
        ({"compress": {"minResponseBodyBytes": 1.5}}, "spec.compress.minResponseBodyBytes"),
        ({"rateLimit": {"period": True}}, "spec.rateLimit.period"),
        ({"inFlightReq": {"amount": 1 << 63}}, "spec.inFlightReq.amount"),
        ({"errors": {"statusRewrites": {"500": 1 << 70}}}, "spec.errors.statusRewrites.500"),
        ({"plugin": {"demo": "text"}}, "spec.plugin.demo"),
    ],
    ids=str,
)
def test_wrong_types_drop_the_object(spec: Json, field: str) -> None:
    result = translated(spec)
    assert result.made is None
    assert result.reasons == [("Malformed", field)]
    assert result.findings[0].severity == "error"


def test_null_counts_as_absent() -> None:
    spec = {"compress": None, "headers": {"customRequestHeaders": None, "stsSeconds": None, "frameDeny": True}}
    assert translated(spec).plain == {"headers": {"frameDeny": True}}


@pytest.mark.parametrize("path", DEPRECATED)
def test_deprecated_fields_have_advice(path: str) -> None:
    value: Any = "" if path in {"headers.featurePolicy", "headers.sslHost"} else False
    spec: Any = {"sourceRange": ["10.0.0.0/8"]} if path == "ipWhiteList" else value
    for name in reversed(path.split(".")):
        spec = {name: spec}
    if "forwardAuth" in spec:
        spec["forwardAuth"]["address"] = "http://auth"
    result = translated(spec)
    assert result.made is not None
    assert result.reasons == [("Deprecated", f"spec.{path}")]
    assert result.findings[0].advice == DEPRECATED[path]


def test_an_object_without_deprecated_fields_has_no_findings() -> None:
    assert translated({"basicAuth": {"secret": "users"}}, secret("users", users="a:b")).findings == []
