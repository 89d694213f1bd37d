"""chain, errors, plugin: what they lead to, who may lead where, and what a dead end costs."""

from __future__ import annotations

from typing import Any

import pytest

from provider.store import presence_of
from tests.provider.support import Json, endpoints, service
from tests.provider.translate.middlewares import NAMESPACE, Translated, reads, secret, translated, web


def chain(*members: Json, **options: Any) -> Translated:
    return translated({"chain": {"middlewares": list(members)}}, **options)


def errors(reference: Json, *objects: Json, **options: Any) -> Translated:
    return translated({"errors": {"service": reference}}, *objects, **options)


def test_members_of_a_chain_keep_their_order() -> None:
    result = chain({"name": "b.c"}, {"name": "a", "namespace": NAMESPACE}, {"name": "x@file"})
    assert result.plain == {"chain": {"middlewares": ["default-b-c", "default-a", "x@file"]}}


def test_a_chain_may_be_empty() -> None:
    assert translated({"chain": {}}).plain == {"chain": {}}


def test_a_member_that_does_not_exist_is_kept_and_reported() -> None:
    result = chain({"name": "nope"}, {"name": "x@file"})
    assert result.plain == {"chain": {"middlewares": ["default-nope", "x@file"]}}
    assert result.reasons == [("MiddlewareNotFound", "spec.chain.middlewares[0].name")]


def test_a_chain_is_translated_again_when_a_member_comes() -> None:
    assert presence_of("Middleware", NAMESPACE, "a") in reads({"chain": {"middlewares": [{"name": "a"}]}})


@pytest.mark.behaviour("PR-42")
def test_a_member_of_another_namespace_drops_the_chain() -> None:
    result = chain({"name": "a"}, {"name": "a", "namespace": "other"})
    assert result.made is None
    assert result.reasons == [("CrossNamespaceNotAllowed", "spec.chain.middlewares[1]")]


@pytest.mark.parametrize(
    ("member", "options", "name"),
    [
        ({"name": "a", "namespace": "other"}, {"allow_cross_namespace": True}, "other-a"),
        ({"name": "other-a@kubernetescrd"}, {"allow_cross_namespace": True}, "other-a@kubernetescrd"),
        ({"name": "other-a@kubernetescrd"}, {}, ""),
        (
            {"name": "a", "namespace": "other"},
            {"allow_cross_namespace": True, "namespaces": frozenset({NAMESPACE})},
            "other-a",
        ),
        ({"name": "a@file"}, {"cross_provider_namespaces": frozenset()}, ""),
        ({"name": "a@file"}, {"cross_provider_namespaces": frozenset({NAMESPACE})}, "a@file"),
        ({"name": "a@file", "namespace": "other"}, {}, "a@file"),
    ],
    ids=str,
)
def test_who_may_be_a_member(member: Json, options: dict[str, Any], name: str) -> None:
    result = chain(member, **options)
    assert result.plain == ({"chain": {"middlewares": [name]}} if name else None)
    # of what is not there a finding says so, whether or not it may be named
    assert result.findings or "@kubernetescrd" in name or name == "a@file"


def test_every_field_of_errors() -> None:
    spec = {
        "status": ["404", "500-599"],
        "statusRewrites": {"418": 404, "500-502": 500},
        "query": "/{status}",
        "errorRequestHeaders": ["X-A"],
    }
    result = translated({"errors": spec | {"service": {"name": "web", "port": 80}}}, *web())
    assert result.plain == {"errors": spec | {"service": "default-m-errorpage-service"}}


@pytest.mark.parametrize("headers", [None, [], ["X-A"]])
def test_absent_and_empty_request_headers_differ(headers: list[str] | None) -> None:
    spec: Json = {"service": {"name": "web", "port": 80}, "errorRequestHeaders": headers}
    made = translated({"errors": spec}, *web()).made
    assert made is not None
    assert made.errors is not None
    assert made.errors.error_request_headers == headers


def test_the_service_of_the_pages_is_brought_along() -> None:
    options = {"scheme": "https", "passHostHeader": False, "strategy": "p2c", "serversTransport": "t"}
    result = errors({"name": "web", "port": 80, **options}, *web(), name="my..m")
    assert result.plain == {"errors": {"service": "default-my-m-errorpage-service"}}
    assert list(result.services) == ["default-my-m-errorpage-service"]
    balancer = result.services["default-my-m-errorpage-service"].load_balancer
    assert balancer is not None
    assert [server.url for server in balancer.servers] == ["https://10.1.0.1:8080"]
    assert (balancer.pass_host_header, balancer.strategy) == (False, "p2c")
    assert balancer.servers_transport == "default-t"


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ({"name": "t.s", "kind": "TraefikService"}, "default-t-s"),
        ({"name": "t@file", "kind": "TraefikService"}, "t@file"),
    ],
    ids=str,
)
def test_a_traefik_service_is_only_named(reference: Json, name: str) -> None:
    result = errors(reference)
    assert result.plain == {"errors": {"service": name}}
    assert result.services == {}


@pytest.mark.parametrize(("native", "url"), [(None, "http://10.1.0.1:8080"), (True, "http://10.0.0.1:80")])
def test_native_load_balancing_is_never_the_default(native: bool | None, url: str) -> None:
    result = errors({"name": "web", "port": 80, "nativeLB": native}, *web(), native_lb_by_default=True)
    (found,) = result.services.values()
    assert found.load_balancer is not None
    assert [server.url for server in found.load_balancer.servers] == [url]


def test_node_ports_without_nodes_are_an_error() -> None:
    result = errors(
        {"name": "n", "port": 80, "nodePortLB": True},
        service("n", 80, type="NodePort"),
        disable_cluster_scope_resources=True,
    )
    assert result.made is None
    assert result.reasons == [("NodesLookupDisabled", "spec.errors.service.nodePortLB")]


@pytest.mark.behaviour("PR-68")
def test_pages_without_an_endpoint_drop_the_object() -> None:
    result = errors({"name": "empty", "port": 80}, service("empty", 80))
    assert result.made is None
    assert result.services == {}
    assert result.reasons == [("NoEndpoints", "spec.errors.service.name")]


def test_pages_without_an_endpoint_may_be_allowed() -> None:
    result = errors({"name": "empty", "port": 80}, service("empty", 80), allow_empty_services=True)
    assert result.made is not None
    assert len(result.services) == 1


@pytest.mark.parametrize(
    ("reference", "reason", "field"),
    [
        (None, "ServiceMissing", ""),
        ({"name": "nope", "port": 80}, "ServiceNotFound", ".name"),
        ({"name": "x@file", "port": 80}, "ServiceNotFound", ".name"),
        ({"name": "web"}, "PortMissing", ".port"),
        ({"name": "web", "port": "80"}, "PortNotFound", ".port"),
        ({"name": "web", "port": 80, "kind": "Pod"}, "UnsupportedKind", ".kind"),
        ({"name": "web", "port": 80, "scheme": "grpc"}, "InvalidScheme", ".scheme"),
        ({"name": "web", "port": 80, "strategy": "best"}, "UnknownStrategy", ".strategy"),
        ({"name": "web", "port": 80, "namespace": "other"}, "CrossNamespaceNotAllowed", ".namespace"),
        ({"name": "t", "kind": "TraefikService", "namespace": "other"}, "CrossNamespaceNotAllowed", ".namespace"),
        ({"name": "t@file", "kind": "TraefikService"}, "CrossProviderNotAllowed", ".name"),
    ],
    ids=str,
)
def test_a_service_of_no_use_drops_the_object(reference: Json | None, reason: str, field: str) -> None:
    spec = {"errors": {} if reference is None else {"service": reference}}
    others = [service("web", 80, namespace="other"), endpoints("web", "10.2.0.1", namespace="other")]
    result = translated(spec, *web(), *others, cross_provider_namespaces=frozenset())
    assert result.made is None
    assert result.reasons == [(reason, f"spec.errors.service{field}")]
    assert result.findings[0].advice


@pytest.mark.behaviour("PR-69")
def test_a_plugin_without_its_secret_drops_the_object() -> None:
    result = translated({"plugin": {"x": {"key": "urn:k8s:secret:s:k"}}})
    assert result.made is None
    assert result.reasons == [("SecretNotFound", "spec.plugin.x.key")]


def test_a_plugin_gets_the_text_of_its_secret() -> None:
    spec = {"plugin": {"x": {"key": "urn:k8s:secret:s:k", "n": None}, "y": {}, "z": None}}
    assert translated(spec, secret("s", k="text")).plain == {
        "plugin": {"x": {"key": "text", "n": None}, "y": {}, "z": None}
    }


@pytest.mark.behaviour("PR-69")
@pytest.mark.parametrize("urn", ["urn:k8s:secret:s:nope", "urn:k8s:secret:s", "urn:k8s:secret:s:k:more"])
def test_a_secret_named_wrongly_drops_the_object(urn: str) -> None:
    assert translated({"plugin": {"x": [1, {"key": urn}]}}, secret("s", k="text")).made is None


def test_what_is_not_watched_is_named_all_the_same() -> None:
    options = {"allow_cross_namespace": True, "namespaces": frozenset({NAMESPACE})}
    result = errors({"name": "t", "kind": "TraefikService", "namespace": "other"}, **options)
    assert result.plain == {"errors": {"service": "other-t"}}
    assert result.reasons == [("NamespaceNotWatched", "spec.errors.service.namespace")]
