"""MiddlewareTCP: types are copied, of several one counts."""

from __future__ import annotations

import pytest

from tests.provider.support import Json
from tests.provider.translate.middlewares import translated_tcp


@pytest.mark.parametrize(
    "spec",
    [
        {"inFlightConn": {"amount": 3}},
        {"inFlightConn": {}},
        {"ipAllowList": {"sourceRange": ["10.0.0.0/8", "::1"]}},
    ],
    ids=str,
)
def test_types_are_copied(spec: Json) -> None:
    result = translated_tcp(spec)
    assert result.plain == spec
    assert result.findings == []


def test_the_name_is_normalized() -> None:
    made = translated_tcp({"inFlightConn": {"amount": 1}}, name="my..m").output
    assert list(made.of_section("tcp.middlewares")) == ["default-my-m"]


def test_the_old_name_of_the_allow_list() -> None:
    result = translated_tcp({"ipWhiteList": {"sourceRange": ["10.0.0.0/8"]}})
    assert result.plain == {"ipWhiteList": {"sourceRange": ["10.0.0.0/8"]}}
    assert result.reasons == [("Deprecated", "spec.ipWhiteList")]


@pytest.mark.parametrize("spec", [{}, {"inFlightConn": None}], ids=str)
def test_an_object_without_a_type_is_put_out_with_a_finding(spec: Json) -> None:
    result = translated_tcp(spec)
    assert result.made_tcp is not None
    assert result.plain == {}
    assert result.reasons == [("NoType", "spec")]


def test_of_several_types_all_are_put_out_and_the_idle_ones_reported() -> None:
    spec = {"inFlightConn": {"amount": 3}, "ipAllowList": {"sourceRange": ["10.0.0.1"]}}
    result = translated_tcp(spec)
    assert result.plain == spec
    (finding,) = result.findings
    assert (finding.severity, finding.reason, finding.field) == ("warning", "TypeIgnored", "spec.inFlightConn")


def test_types_of_http_are_unknown() -> None:
    result = translated_tcp({"basicAuth": {"secret": "s"}})
    assert result.reasons == [("UnknownField", "spec.basicAuth"), ("NoType", "spec")]


@pytest.mark.parametrize("amount", ["3", 1 << 63, 1.5])
def test_wrong_types_drop_the_object(amount: object) -> None:
    result = translated_tcp({"inFlightConn": {"amount": amount}})
    assert result.made_tcp is None
    assert result.reasons == [("Malformed", "spec.inFlightConn.amount")]
