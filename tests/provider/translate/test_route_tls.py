"""`spec.tls` of an IngressRoute: the certificate it names, and TLS options that lead nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from config.tls import StoredCertificate
from provider.resources.kinds import ObjectKey
from provider.resources.traefik import IngressRoute
from provider.translate.ingressroute import translate
from provider.translate.output import Output
from tests.provider.translate.tls_cluster import NAMESPACE, Cluster, found
from tests.tls.pki import Authority, Pair

PAIR = Authority().issue("a.example")
CERTIFICATES = "tls.certificates"


def translated(tls: dict[str, Any] | None, cluster: Cluster | None = None, **more: Any) -> Output:
    """An IngressRoute with one route to a service that needs nothing else."""
    service = {"name": "noop@internal", "kind": "TraefikService"}
    spec = {"routes": [{"match": "Host(`a.example`)", "services": [service]}], **more}
    if tls is not None:
        spec["tls"] = tls
    return (cluster or Cluster()).translated(translate, IngressRoute, spec)


def with_secret(pair: Pair = PAIR) -> Cluster:
    return Cluster().secret("cert", tls_crt=pair.chain, tls_key=pair.key)


def has_tls_router(output: Output) -> bool:
    (router,) = output.routers.values()
    return router.tls is not None


def test_the_certificate_is_stored_for_everybody() -> None:
    output = translated({"secretName": "cert"}, with_secret())
    stored = StoredCertificate(cert_file=PAIR.chain.decode(), key_file=PAIR.key.decode())
    assert output.of_section(CERTIFICATES) == {"shop/cert": stored}
    assert has_tls_router(output)
    assert found(output) == []


@pytest.mark.behaviour("PR-55")
def test_no_secret_no_certificate() -> None:
    output = translated({})
    assert output.of_section(CERTIFICATES) == {}
    assert has_tls_router(output)
    assert found(output) == []


def test_without_tls_nothing_is_looked_for() -> None:
    output = translated(None, with_secret())
    assert output.of_section(CERTIFICATES) == {}
    assert not has_tls_router(output)


@pytest.mark.behaviour("PR-56")
def test_a_missing_secret_costs_the_certificate_until_it_is_there() -> None:
    cluster = Cluster()
    output = translated({"secretName": "cert"}, cluster)
    assert output.of_section(CERTIFICATES) == {}
    assert has_tls_router(output)
    assert found(output) == [("error", "SecretNotFound", "spec.tls.secretName")]
    cluster.store.take_changed()
    cluster.secret("cert", tls_crt=PAIR.chain, tls_key=PAIR.key)
    assert cluster.store.take_changed() == {ObjectKey("Secret", NAMESPACE, "cert")}
    assert set(translated({"secretName": "cert"}, cluster).of_section(CERTIFICATES)) == {"shop/cert"}


@pytest.mark.behaviour("PR-61")
def test_a_secret_without_a_key_costs_the_certificate() -> None:
    output = translated({"secretName": "cert"}, Cluster().secret("cert", tls_crt=PAIR.chain))
    assert output.of_section(CERTIFICATES) == {}
    assert has_tls_router(output)
    assert found(output) == [("error", "SecretIncomplete", "spec.tls.secretName")]


def test_the_certificate_does_not_depend_on_the_routes() -> None:
    output = translated({"secretName": "cert"}, with_secret(), parentRefs=[{"name": "missing"}])
    assert set(output.of_section(CERTIFICATES)) == {"shop/cert"}
    assert output.routers == {}


@pytest.mark.behaviour("PR-57")
def test_the_default_option_cannot_be_named() -> None:
    output = translated({"options": {"name": "default"}})
    (router,) = output.routers.values()
    assert router.tls is not None
    assert router.tls.options == "shop-default"
    assert found(output) == [("error", "DefaultOptionNamed", "spec.tls.options.name")]


def test_an_option_that_does_not_exist_is_said_and_looked_for_again() -> None:
    cluster = Cluster()
    output = translated({"options": {"name": "strict"}}, cluster)
    (router,) = output.routers.values()
    assert router.tls is not None
    assert router.tls.options == "shop-strict"
    assert found(output) == [("error", "TLSOptionNotFound", "spec.tls.options.name")]


def test_options_of_another_provider_are_not_looked_for() -> None:
    assert found(translated({"options": {"name": "strict@file"}})) == []
    assert found(translated({"options": {"name": ""}})) == []
