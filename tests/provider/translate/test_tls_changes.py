"""TLS objects step by step: after every change the builder has what a build from scratch gives."""

from __future__ import annotations

from typing import Any

import pytest

from provider.options import TranslationOptions
from provider.resources.decode import from_plain
from provider.resources.kinds import KINDS, ObjectKey
from provider.store import Store
from provider.translate.builder import Builder, build
from tests.provider.translate.tls_cluster import Cluster
from tests.tls.pki import Authority

OPTIONS = TranslationOptions()
PAIR = Authority().issue("a.example")


class Steps:
    """A store and a builder that follows it."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.builder = Builder(OPTIONS)
        self.builder.build_all(self.store)

    @property
    def store(self) -> Store:
        return self.cluster.store

    def put(self, kind: str, name: str, spec: dict[str, Any], namespace: str = "shop") -> None:
        plain = {"metadata": {"name": name, "namespace": namespace}, "spec": spec}
        self.store.insert(KINDS[kind], from_plain(KINDS[kind], plain))

    def remove(self, kind: str, name: str, namespace: str = "shop") -> None:
        self.store.remove(ObjectKey(kind, namespace, name))

    def section(self, name: str) -> set[str]:
        """Names in a section after everything that has changed."""
        self.builder.update(self.store, self.store.take_changed())
        assert self.builder.result(self.store) == build(self.store, OPTIONS)
        return set(self.builder.sections[name])

    def reasons(self) -> list[str]:
        return [finding.reason for finding in self.builder.result(self.store).findings]


@pytest.mark.behaviour("PR-59")
@pytest.mark.parametrize(
    ("kind", "section"),
    [("TLSOption", "tls.options"), pytest.param("TLSStore", "tls.stores", marks=pytest.mark.behaviour("PR-62"))],
)
def test_a_second_default_takes_the_first_one_away_while_it_is_there(kind: str, section: str) -> None:
    steps = Steps()
    steps.put(kind, "default", {})
    assert steps.section(section) == {"default"}
    steps.put(kind, "default", {}, "other")
    assert steps.section(section) == set()
    assert steps.reasons() == ["DuplicateDefault", "DuplicateDefault"]
    steps.remove(kind, "default")
    assert steps.section(section) == {"default"}
    assert steps.reasons() == []


@pytest.mark.behaviour("PR-56")
def test_a_secret_that_comes_later_is_picked_up() -> None:
    steps = Steps()
    steps.put("IngressRoute", "one", {"routes": [], "tls": {"secretName": "cert"}})
    assert steps.section("tls.certificates") == set()
    steps.cluster.secret("cert", tls_crt=PAIR.chain, tls_key=PAIR.key)
    assert steps.section("tls.certificates") == {"shop/cert"}
    assert steps.reasons() == []
    steps.remove("Secret", "cert")
    assert steps.section("tls.certificates") == set()
    assert steps.reasons() == ["SecretNotFound"]


@pytest.mark.behaviour("PR-63")
def test_the_certificate_of_a_store_and_a_route_outlives_either() -> None:
    steps = Steps()
    steps.cluster.secret("cert", tls_crt=PAIR.chain, tls_key=PAIR.key)
    store = {"defaultCertificate": {"secretName": "cert"}, "certificates": [{"secretName": "cert"}]}
    steps.put("TLSStore", "default", store)
    steps.put("IngressRoute", "one", {"routes": [], "tls": {"secretName": "cert"}})
    assert steps.section("tls.certificates") == {"shop/cert"}
    steps.remove("IngressRoute", "one")
    assert steps.section("tls.certificates") == {"shop/cert"}
    steps.put("TLSStore", "default", {**store, "defaultCertificate": {"secretName": "missing"}})
    assert steps.section("tls.certificates") == set()
    assert steps.section("tls.stores") == set()


def test_a_route_hears_of_its_option_when_it_comes() -> None:
    steps = Steps()
    route = {"match": "Host(`a`)", "services": [{"name": "noop@internal", "kind": "TraefikService"}]}
    steps.put("IngressRoute", "one", {"routes": [route], "tls": {"options": {"name": "strict"}}})
    steps.section("tls.options")
    assert steps.reasons() == ["TLSOptionNotFound"]
    steps.put("TLSOption", "strict", {})
    assert steps.section("tls.options") == {"shop-strict"}
    assert steps.reasons() == []


def test_an_authority_that_changes_reaches_the_transport() -> None:
    steps = Steps()
    steps.cluster.config_map("ca", ca_crt=Authority("first").pem)
    steps.put("ServersTransport", "t", {"rootCAs": [{"configMap": "ca"}]})
    steps.section("http.serversTransports")
    before = steps.builder.sections["http.serversTransports"]["shop-t"].root_cas
    steps.cluster.config_map("ca", ca_crt=Authority("second").pem)
    steps.section("http.serversTransports")
    assert steps.builder.sections["http.serversTransports"]["shop-t"].root_cas != before
