"""basicAuth, digestAuth, forwardAuth: Secrets in, contents out; every failure drops the object."""

from __future__ import annotations

import pytest

from tests.provider.support import Json
from tests.provider.translate.middlewares import secret, translated

SHA_OF_P = "{SHA}UWuXg/ylF+7L0dBk2i0WUxCxl1k="
AUTHORITY = secret("ca", tls__ca="first", ca__crt="second")
PAIR = secret("pair", tls__crt="chain", tls__key="key")


def forward(**tls: object) -> Json:
    return {"forwardAuth": {"address": "http://auth", "tls": tls}}


def test_basic_auth() -> None:
    spec = {"basicAuth": {"secret": "users", "realm": "r", "removeHeader": True, "headerField": "X-User"}}
    result = translated(spec, secret("users", users="a:hash\nb:hash\n"))
    assert result.plain == {
        "basicAuth": {"users": ["a:hash", "b:hash"], "realm": "r", "removeHeader": True, "headerField": "X-User"}
    }


def test_basic_auth_from_a_secret_of_its_type() -> None:
    result = translated(
        {"basicAuth": {"secret": "s"}}, secret("s", "kubernetes.io/basic-auth", username="a", password="p")
    )
    assert result.plain == {"basicAuth": {"users": [f"a:{SHA_OF_P}"]}}


def test_digest_auth() -> None:
    spec = {"digestAuth": {"secret": "users", "realm": "r", "removeHeader": True, "headerField": "X-User"}}
    result = translated(spec, secret("users", users="a:r:hash"))
    assert result.plain == {
        "digestAuth": {"users": ["a:r:hash"], "realm": "r", "removeHeader": True, "headerField": "X-User"}
    }


@pytest.mark.behaviour("PR-65")
def test_basic_auth_with_two_keys_is_dropped() -> None:
    result = translated({"basicAuth": {"secret": "s"}}, secret("s", one="a:b", two="c:d"))
    assert result.made is None
    assert result.reasons == [("SecretNotSingleKey", "spec.basicAuth.secret")]


@pytest.mark.behaviour("PR-66")
def test_user_name_and_password_need_their_own_type_of_secret() -> None:
    result = translated({"basicAuth": {"secret": "s"}}, secret("s", username="a", password="p"))
    assert result.made is None
    assert result.reasons == [("SecretNotSingleKey", "spec.basicAuth.secret")]
    assert "type: kubernetes.io/basic-auth" in result.findings[0].advice


def test_forward_auth_with_every_field() -> None:
    spec = {
        "address": "http://auth",
        "trustForwardHeader": False,
        "authResponseHeaders": ["a"],
        "authResponseHeadersRegex": "r",
        "authRequestHeaders": ["b"],
        "addAuthCookiesToResponse": ["c"],
        "headerField": "h",
        "forwardBody": True,
        "maxBodySize": 0,
        "maxResponseBodySize": 0,
        "preserveLocationHeader": True,
        "preserveRequestMethod": True,
        "authSigninURL": "http://sign.in",
    }
    assert translated({"forwardAuth": spec}).plain == {"forwardAuth": spec}


def test_defaults_of_forward_auth() -> None:
    assert translated({"forwardAuth": {"address": "http://auth"}}).plain == {
        "forwardAuth": {"address": "http://auth", "maxBodySize": -1}
    }


def test_forward_auth_takes_certificates_from_secrets() -> None:
    spec = forward(caSecret="ca", certSecret="pair", insecureSkipVerify=True, caOptional=True)
    made = translated(spec, AUTHORITY, PAIR).plain
    assert made["forwardAuth"]["tls"] == {
        "ca": "first",
        "cert": "chain",
        "key": "key",
        "insecureSkipVerify": True,
        "caOptional": True,
    }


def test_an_empty_tls_section_stays() -> None:
    assert translated(forward()).plain["forwardAuth"]["tls"] == {}


@pytest.mark.parametrize(
    ("data", "authority"),
    [({"ca__crt": "c"}, "c"), ({"tls__ca": "t", "ca__crt": "c"}, "t"), ({"anything": "a"}, "a")],
    ids=str,
)
def test_the_key_of_an_authority(data: dict[str, str], authority: str) -> None:
    made = translated(forward(caSecret="s"), secret("s", **data)).plain
    assert made["forwardAuth"]["tls"] == {"ca": authority}


@pytest.mark.parametrize(
    ("spec", "reason", "field"),
    [
        ({"basicAuth": {}}, "SecretNotFound", "spec.basicAuth.secret"),
        ({"basicAuth": {"secret": "nope"}}, "SecretNotFound", "spec.basicAuth.secret"),
        ({"basicAuth": {"secret": "elsewhere"}}, "SecretNotFound", "spec.basicAuth.secret"),
        ({"basicAuth": {"secret": "helm"}}, "SecretNotFound", "spec.basicAuth.secret"),
        ({"basicAuth": {"secret": "half"}}, "SecretKeyNotFound", "spec.basicAuth.secret"),
        ({"basicAuth": {"secret": "blank"}}, "NoCredentials", "spec.basicAuth.secret"),
        ({"basicAuth": {"secret": "empty"}}, "SecretNotSingleKey", "spec.basicAuth.secret"),
        ({"basicAuth": {"secret": "binary"}}, "SecretNotText", "spec.basicAuth.secret"),
        ({"digestAuth": {}}, "SecretNotFound", "spec.digestAuth.secret"),
        ({"digestAuth": {"secret": "pair"}}, "SecretNotSingleKey", "spec.digestAuth.secret"),
        ({"digestAuth": {"secret": "half"}}, "", ""),
        ({"forwardAuth": {}}, "AddressMissing", "spec.forwardAuth.address"),
        (forward(caSecret="nope"), "SecretNotFound", "spec.forwardAuth.tls.caSecret"),
        (forward(caSecret="two"), "AuthorityMissing", "spec.forwardAuth.tls.caSecret"),
        (forward(certSecret="nope"), "SecretNotFound", "spec.forwardAuth.tls.certSecret"),
        (forward(certSecret="ca"), "SecretIncomplete", "spec.forwardAuth.tls.certSecret"),
        (forward(certSecret="no-key"), "SecretIncomplete", "spec.forwardAuth.tls.certSecret"),
    ],
    ids=str,
)
def test_what_drops_the_object(spec: Json, reason: str, field: str) -> None:
    helm = secret("helm", users="a:b")
    helm["metadata"]["labels"] = {"owner": "helm"}
    result = translated(
        spec,
        AUTHORITY,
        PAIR,
        helm,
        secret("elsewhere", users="a:b", namespace="other"),
        secret("half", "kubernetes.io/basic-auth", username="a:r:h"),
        secret("blank", users="\n\r\n"),
        secret("empty"),
        secret("binary", users=b"a:\xff"),
        secret("two", one="1", two="2"),
        secret("no-key", tls__crt="chain", tls__key=""),
        allow_cross_namespace=True,
    )
    assert (result.made is None) == bool(reason)
    assert result.reasons == ([(reason, field)] if reason else [])
    assert all(finding.advice for finding in result.findings)
