"""`/api/certificates`: what the original shows of a certificate, and nothing of its key."""

from __future__ import annotations

from tests.tls.pki import Authority
from tls.certificates import Certificate
from workers.api_certificates import WARNING_SECONDS, count_certificates, describe_certificate, status_of
from workers.api_lists import ListQuery, select


def made(*names: str) -> Certificate:
    return Authority().issue(*names, common_name=names[0]).loaded()


def test_what_is_shown() -> None:
    one = made("b.test", "a.test")
    shown = describe_certificate(one)
    assert shown["name"] == shown["certFingerprint"]
    assert len(shown["name"]) == len(shown["publicKeyFingerprint"]) == 64
    assert (shown["commonName"], shown["sans"], shown["version"]) == ("b.test", ["a.test", "b.test"], "v3")
    assert (shown["keyType"], shown["keySize"], shown["signatureAlgorithm"]) == ("ECDSA", 256, "ECDSA-SHA256")
    assert shown["serialNumber"].isdecimal()
    assert shown["notAfter"].endswith("Z")
    assert "PRIVATE" not in str(shown)


def test_status_by_what_is_left() -> None:
    one = made("a.test")
    assert status_of(one, one.not_after - WARNING_SECONDS - 1) == "enabled"
    assert status_of(one, one.not_after - WARNING_SECONDS + 1) == "warning"
    assert status_of(one, one.not_after + 1) == "expired"
    assert count_certificates([one])["total"] == 1


def test_lists_are_searched_by_names() -> None:
    items = [describe_certificate(made(name)) for name in ("a.test", "b.test")]
    assert [one["commonName"] for one in select(items, ListQuery(search="b.te"))] == ["b.test"]
    assert [one["commonName"] for one in select(items, ListQuery(sort_by="cn", descending=True))] == [
        "b.test",
        "a.test",
    ]
    assert select(items, ListQuery(search=items[0]["name"][:12])) == []
