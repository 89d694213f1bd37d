"""Annotations of Ingresses and Services, name by name."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import http
from provider.findings import Rejected
from provider.resources.core import ANNOTATION_PREFIX
from provider.translate.ingress_annotations import router_options, service_options


def noted(**given: str) -> dict[str, str]:
    """Names in Python's spelling: `router__tls__options` is `router.tls.options`."""
    return {ANNOTATION_PREFIX + name.replace("__", "."): value for name, value in given.items()}


def test_nothing_said() -> None:
    options = router_options({})
    assert (options.path_matcher, options.entry_points, options.middlewares) == ("PathPrefix", [], [])
    assert (options.priority, options.rule_syntax, options.tls) == (0, "", None)
    assert options.observability == http.Observability()
    service = service_options({})
    assert (service.servers_scheme, service.servers_transport, service.middlewares) == ("", "", [])
    assert (service.pass_host_header, service.native_lb, service.node_port_lb) == (True, None, False)
    assert service.sticky is None


def test_annotations_of_others_mean_nothing() -> None:
    foreign = {"router.priority": "x", "kubernetes.io/ingress.class": "x", "example.org/router.foo": "x"}
    assert router_options(foreign | noted(service__foo="x", foo="x", router="x")) == router_options({})
    assert service_options(foreign | noted(router__foo="x")) == service_options({})


@pytest.mark.parametrize(
    ("value", "is_on"),
    [("", True), ("true", True), ("TRUE", True), ("false", False), ("1", False), ("yes", False)],
)
def test_a_section_is_on_or_off(value: str, is_on: bool) -> None:
    options = router_options(noted(router__tls=value, router__tls__options="o@file"))
    assert options.tls == (http.RouterTLS(options="o@file") if is_on else None)
    sticky = service_options(noted(service__sticky__cookie=value)).sticky
    assert sticky == (http.Sticky(cookie=http.Cookie(path="/")) if is_on else http.Sticky())


def test_domains_are_ordered_by_the_text_of_their_number() -> None:
    options = router_options(
        noted(
            router__tls__domains__2__main="second",
            router__tls__domains__10__sans=" a.example , b.example",
            router__tls__domains__0__main="first",
        )
    )
    assert options.tls is not None
    assert options.tls.domains == [
        http.Domain(main="first"),
        http.Domain(sans=["a.example", "b.example"]),
        http.Domain(main="second"),
    ]


@pytest.mark.parametrize(
    ("name", "value", "reason", "advice"),
    [
        ("router.priority", "high", "InvalidAnnotation", "write a whole number, or remove the annotation"),
        ("router.priority", "9223372036854775808", "InvalidAnnotation", "write a whole number"),
        ("router.priority", "٣", "InvalidAnnotation", "write a whole number"),
        ("router.observability.tracing", "", "InvalidAnnotation", "write true or false"),
        ("router.middleware", "x", "UnknownAnnotation", "did you mean router.middlewares?"),
        ("router.tls.domains.0.name", "x", "UnknownAnnotation", ""),
        ("router.zzz", "x", "UnknownAnnotation", "correct or remove it"),
        ("service.nativelb", "x", "InvalidAnnotation", "write true or false"),
        ("service.sticky.cookie.maxage", "1h", "InvalidAnnotation", "write a whole number"),
        ("service.serverscheme", "https", "UnknownAnnotation", "did you mean service.serversscheme?"),
        ("service.tls.domains.0.main", "x", "UnknownAnnotation", ""),
    ],
)
def test_what_cannot_be_understood_is_named(name: str, value: str, reason: str, advice: str) -> None:
    reader: Any = router_options if name.startswith("router") else service_options
    with pytest.raises(Rejected) as raised:
        reader({ANNOTATION_PREFIX + name: value})
    assert raised.value.reason == reason
    assert raised.value.field == f"metadata.annotations[{ANNOTATION_PREFIX}{name}]"
    assert advice in raised.value.advice


NAMES = st.one_of(
    st.sampled_from(
        (
            "router.tls",
            "Router.Priority",
            "router.tls.domains.0.main",
            "router.entrypoints",
            "service.sticky.cookie",
            "service.nativeLB",
        )
    ),
    st.text(max_size=20).map(lambda text: f"router.{text}"),
    st.text(max_size=20),
)


@given(st.dictionaries(NAMES.map(lambda name: ANNOTATION_PREFIX + name), st.text(max_size=10), max_size=6))
def test_any_annotations_give_options_or_our_error(given: dict[str, str]) -> None:
    readers: list[Any] = [router_options, service_options]
    for reader in readers:
        with contextlib.suppress(Rejected):
            reader(given)
