"""Which of several objects named `default` counts."""

from __future__ import annotations

import pytest

from config.static_load import from_mapping
from provider.options import TranslationOptions
from provider.translate.builder import BuildResult
from tests.provider.support import Json, route, rule, secret
from tests.provider.translate.routes import built, custom
from tests.tls.pki import Authority

PAIR = Authority().issue("a.example")
ADMIN = "infra"


def pair(namespace: str) -> Json:
    return secret("pair", namespace, **{"tls.crt": PAIR.chain.decode(), "tls.key": PAIR.key.decode()})


def found(result: BuildResult) -> list[tuple[str, str, str, str]]:
    return [(one.kind, one.namespace, one.severity, one.reason) for one in result.findings]


def test_the_option_is_read() -> None:
    given = {"defaultTLSResourcesNamespace": ADMIN}
    crd = from_mapping({"providers": {"kubernetesCRD": given}}).providers.kubernetes_crd
    assert crd is not None
    assert TranslationOptions.of(crd).default_tls_resources_namespace == ADMIN


@pytest.mark.behaviour("PR-59")
def test_nobody_cancels_the_option_of_the_namespace_that_may_have_one() -> None:
    options = [
        custom("TLSOption", "default", namespace, minVersion=version)
        for namespace, version in ((ADMIN, "VersionTLS13"), ("tenant", "VersionTLS12"))
    ]
    both = built(*options)
    assert both.configuration.tls.options == {}
    assert [reason for *_, reason in found(both)] == ["DuplicateDefault", "DuplicateDefault"]
    one = built(*options, default_tls_resources_namespace=ADMIN)
    assert one.configuration.tls.options["default"].min_version == "VersionTLS13"
    assert found(one) == [("TLSOption", "tenant", "error", "DefaultNotAllowed")]
    assert "providers.kubernetesCRD.defaultTLSResourcesNamespace" in one.findings[0].advice


def test_not_even_an_only_default_of_another_namespace_counts() -> None:
    tenant = custom("TLSOption", "default", "tenant", minVersion="VersionTLS12")
    assert built(tenant).configuration.tls.options.keys() == {"default"}
    assert built(tenant, default_tls_resources_namespace=ADMIN).configuration.tls.options == {}


@pytest.mark.behaviour("PR-62")
def test_a_store_that_does_not_count_claims_no_certificate() -> None:
    stores = [
        custom("TLSStore", "default", namespace, defaultCertificate={"secretName": "pair"}, certificates=[more])
        for namespace, more in ((ADMIN, {"secretName": "pair"}), ("tenant", {"secretName": "pair"}))
    ]
    objects = [*stores, pair(ADMIN), pair("tenant")]
    one = built(*objects, default_tls_resources_namespace=ADMIN).configuration.tls
    assert one.stores.keys() == {"default"}
    assert one.certificates.keys() == {f"{ADMIN}/pair"}
    to_nothing = rule("Host(`a.example`)", {"name": "noop@internal", "kind": "TraefikService"})
    named = route("r", to_nothing, namespace="tenant", tls={"secretName": "pair"})
    with_route = built(*objects, named, default_tls_resources_namespace=ADMIN).configuration.tls
    assert with_route.certificates.keys() == {f"{ADMIN}/pair", "tenant/pair"}, "routes may name it all the same"
    assert with_route.certificates["tenant/pair"].stores == []


def test_other_names_are_not_touched() -> None:
    more = custom("TLSOption", "strict", "tenant", sniStrict=True)
    result = built(more, default_tls_resources_namespace=ADMIN)
    assert result.configuration.tls.options.keys() == {"tenant-strict"}
    assert found(result) == []
