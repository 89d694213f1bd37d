"""Names as users see them in metrics, logs and cookies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import names


@pytest.mark.parametrize(
    ("rule", "digits"),
    [
        ("Host(`foo.com`) && PathPrefix(`/bar`)", "6b204d94623b3df4370c"),
        ("Host(`example.com`)", "c6f977443c7bb29d98b0"),
        ("PathPrefix(`/`)", "a431b128267aabc954fd"),
        ("HostSNI(`foo.com`)", "fdd3e9338e47a45efefc"),
        ("HostSNI(`*`)", "673acf455cb2dab0b43a"),
    ],
)
def test_rule_hash(rule: str, digits: str) -> None:
    assert names.rule_hash(rule) == digits


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a--b__c..d", "a-b-c-d"), ("-a-", "a"), ("Ünï.Cöde٣", "Ünï-Cöde٣"), ("½x", "½x"), ("", ""), ("..", "")],
)
def test_normalize(text: str, expected: str) -> None:
    assert names.normalize(text) == expected


@pytest.mark.behaviour("PR-6")
def test_router_name_of_a_dotted_object() -> None:
    name = names.http_router_name("default", "test.route", "Host(`foo.com`) && PathPrefix(`/bar`)")
    assert name == "default-test-route-6b204d94623b3df4370c"


@pytest.mark.behaviour("PR-6")
def test_names_of_tcp_and_udp_keep_dots() -> None:
    tcp = names.tcp_router_name("default", "test.route", "HostSNI(`foo.com`)")
    assert tcp == "default-test.route-fdd3e9338e47a45efefc"
    assert names.layer4_child_name(tcp, "whoami.x", 80) == f"{tcp}-whoami.x-80"
    assert names.udp_router_name("default", "dns.v2", 0) == "default-dns.v2-0"


@pytest.mark.behaviour("PR-4")
def test_a_blank_makes_another_router() -> None:
    assert names.rule_hash("Host(`a`)&&Path(`/b`)") != names.rule_hash("Host(`a`) && Path(`/b`)")


@given(st.text())
def test_normalize_is_idempotent_and_clean(text: str) -> None:
    once = names.normalize(text)
    assert names.normalize(once) == once
    assert not once.startswith("-")
    assert not once.endswith("-")
    assert "--" not in once


def test_references_stay_in_the_provider_of_their_holder() -> None:
    assert names.resolve_reference("svc", "route@kubernetescrd") == "svc@kubernetescrd"
    assert names.resolve_reference("svc@file", "route@kubernetescrd") == "svc@file"
    assert names.provider_of("a@b") == "b"
    assert names.provider_of("a") == ""
    assert names.object_id("", "n") == "n"
