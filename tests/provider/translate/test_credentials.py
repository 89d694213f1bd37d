"""Lines, pairs and plugin texts from Secrets; and that no finding and no log line ever shows one."""

from __future__ import annotations

import logging
import traceback

import msgspec
import pytest

from provider.findings import FindingLog, Rejected, Report
from provider.resources.kinds import ObjectKey
from provider.translate.credentials import (
    basic_auth_users,
    digest_auth_users,
    redis_credentials,
    with_secrets,
)
from provider.translate.holder import Holder
from tests.provider.support import Json
from tests.provider.translate.middlewares import NAMESPACE, reads, secret, translated, view

PLANTED = "hunter2"


def holder(*secrets: Json) -> Holder:
    return Holder(view(*secrets), NAMESPACE, Report(ObjectKey("Middleware", NAMESPACE, "m")))


def test_lines_are_taken_as_they_are() -> None:
    content = "\na:$apr1$x \r\n\r\n b:c\n#d:e\nf:g"
    users = basic_auth_users(holder(secret("s", any=content)), "s", "field")
    assert users == ["a:$apr1$x ", " b:c", "#d:e", "f:g"]


@pytest.mark.parametrize(
    ("password", "hashed"),
    [("p", "UWuXg/ylF+7L0dBk2i0WUxCxl1k="), ("", "2jmj7l5rSw0yVb/vlWAYkK/YBwk="), (b"\xff\n", None)],
    ids=repr,
)
def test_a_password_becomes_a_sha(password: str | bytes, hashed: str | None) -> None:
    found = basic_auth_users(
        holder(secret("s", "kubernetes.io/basic-auth", username="ü", password=password)), "s", "field"
    )
    (user,) = found
    assert user.startswith("ü:{SHA}")
    assert hashed is None or user == f"ü:{{SHA}}{hashed}"


def test_further_keys_of_a_typed_secret_do_not_matter() -> None:
    extra = secret("s", "kubernetes.io/basic-auth", username="a", password="p", more="x")
    assert len(basic_auth_users(holder(extra), "s", "field")) == 1


@pytest.mark.parametrize(
    ("form", "content", "number"),
    [("basic", "a:b\nnothing", 2), ("basic", "a:b:c", 1), ("digest", "a:r:h\n\na:h", 2)],
)
def test_users_that_no_one_can_read_are_reported_and_kept(form: str, content: str, number: int) -> None:
    where = holder(secret("s", users=content))
    read = basic_auth_users if form == "basic" else digest_auth_users
    assert len(read(where, "s", "spec.x.secret")) == len(content.split())
    (finding,) = where.report.findings
    assert (finding.severity, finding.reason, finding.field) == (
        "error",
        "UnreadableCredentials",
        "spec.x.secret",
    )
    assert finding.message.startswith(f"user {number} of Secret default/s is not ")


def test_redis_credentials_may_be_empty() -> None:
    assert redis_credentials(holder(secret("s", username="", password="")), "s", "field") == ("", "")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"username": "a"}, "Secret default/s has no key password"),
        ({"password": "a"}, "Secret default/s has no key username"),
        ({}, "Secret default/s has no key username and no key password"),
    ],
    ids=str,
)
def test_redis_credentials_need_both_keys(data: dict[str, str], message: str) -> None:
    with pytest.raises(Rejected) as caught:
        redis_credentials(holder(secret("s", **data)), "s", "field")
    assert (caught.value.reason, caught.value.message) == ("SecretKeyNotFound", message)


def test_plugin_texts_are_replaced_at_any_depth() -> None:
    options = {
        "a": [{"b": "urn:k8s:secret:s:user"}, "urn:k8s:secret:s:tls.key", 1, None],
        "c": "not urn:k8s:secret:s:user",
        "d": {"e": 1.5, "f": True, "g": "URN:k8s:secret:s:user"},
    }
    where = holder(secret("s", user="u", tls__key="k\n"))
    assert with_secrets(where, options, "field") == {
        "a": [{"b": "u"}, "k\n", 1, None],
        "c": "not urn:k8s:secret:s:user",
        "d": {"e": 1.5, "f": True, "g": "URN:k8s:secret:s:user"},
    }


@pytest.mark.parametrize(
    ("written", "read"),
    [(1 << 53, 1 << 53), ((1 << 53) + 1, 1 << 53), (10**20, 10**20), (-(10**20), -(10**20)), (True, True)],
)
def test_numbers_of_plugins_are_floats_to_the_original(written: int, read: int) -> None:
    found = with_secrets(holder(), written, "field")
    assert found == read
    msgspec.msgpack.encode(found)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("urn:k8s:secret:nope:k", "SecretNotFound"),
        ("urn:k8s:secret:s:nope", "SecretKeyNotFound"),
        ("urn:k8s:secret:s", "MalformedSecretURN"),
        ("urn:k8s:secret:s:k:more", "MalformedSecretURN"),
        ("urn:k8s:secret:", "MalformedSecretURN"),
        ("urn:k8s:secret::k", "SecretNotFound"),
        ("urn:k8s:secret:s:binary", "SecretNotText"),
    ],
)
def test_a_text_that_leads_nowhere_is_rejected(text: str, reason: str) -> None:
    where = holder(secret("s", k="v", binary=b"\xff"))
    with pytest.raises(Rejected) as caught:
        with_secrets(where, {"x": [{"y": text}]}, "spec.plugin")
    assert (caught.value.reason, caught.value.field) == (reason, "spec.plugin.x[0].y")


def test_what_is_read_is_remembered_even_if_it_is_not_there() -> None:
    assert ObjectKey("Secret", NAMESPACE, "s") in reads({"basicAuth": {"secret": "s"}})
    assert ObjectKey("Secret", NAMESPACE, "s") in reads({"plugin": {"x": {"y": "urn:k8s:secret:s:k"}}})


PLANTED_SECRETS = [
    secret("one", users=f"{PLANTED}"),
    secret("three", users=f"{PLANTED}:{PLANTED}:{PLANTED}"),
    secret("two", username=PLANTED, password=PLANTED),
    secret("typed", "kubernetes.io/basic-auth", username=PLANTED),
    secret("binary", users=PLANTED.encode() + b":\xff"),
    secret("cert", tls__crt=PLANTED, tls__key=PLANTED),
    secret("half", tls__crt=PLANTED, tls__key=""),
    secret("plain", k=PLANTED),
]
LEADING_TO_SECRETS: list[Json] = [
    *({"basicAuth": {"secret": name}} for name in ("one", "two", "three", "typed", "binary")),
    *({"digestAuth": {"secret": name}} for name in ("one", "two", "binary")),
    *({"rateLimit": {"redis": {"secret": name}}} for name in ("one", "typed")),
    *({"forwardAuth": {"address": "a", "tls": {"caSecret": name}}} for name in ("one", "two", "cert", "binary")),
    *({"forwardAuth": {"address": "a", "tls": {"certSecret": name}}} for name in ("one", "cert", "half")),
    {"plugin": {"x": {"a": "urn:k8s:secret:plain:k", "b": "urn:k8s:secret:plain:nope"}}},
    {"plugin": {"x": {"a": "urn:k8s:secret:plain:k", "b": "urn:k8s:secret:binary:users"}}},
    {"plugin": {"x": {"a": f"urn:k8s:secret:{PLANTED}"}}},
    {"basicAuth": {"secret": "two"}, "retry": {"timeout": True}},
]


@pytest.mark.parametrize("spec", LEADING_TO_SECRETS, ids=str)
def test_no_finding_and_no_log_line_shows_a_secret(spec: Json, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    result = translated(spec, *PLANTED_SECRETS)
    FindingLog().update(result.findings)
    shown = msgspec.json.encode(result.findings).decode() + caplog.text + repr(result.findings)
    assert result.findings
    assert PLANTED not in shown


def test_the_error_itself_shows_no_secret_either() -> None:
    with pytest.raises(Rejected) as caught:
        basic_auth_users(holder(secret("s", users=PLANTED.encode() + b"\xff")), "s", "field")
    assert PLANTED not in "".join(traceback.format_exception(caught.value))
