"""Certificates as objects, and chains of clients by the rules that OpenSSL has for the other protocols."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.tls.pki import Authority, Pair
from tls import parsed
from tls.hello import ClientHello, Malformed, read_message
from tls.parsed import ChainRefused, ParsedPairs, judge_client

ROOT = Authority()
DAY = datetime.timedelta(days=1)


def chain_of(pair: Pair) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pair.chain)


def test_a_pair_is_parsed_once_and_kept_under_a_bound() -> None:
    pairs = ParsedPairs(kept=2)
    middle = ROOT.intermediate("between")
    one, two, three = (middle.issue(f"{name}.test").loaded() for name in ("one", "two", "three"))
    first = pairs.get(one)
    assert pairs.get(one) is first
    assert len(first.chain) == 1
    assert first.key.public_key() == first.leaf.public_key()
    pairs.get(two)
    pairs.get(one)
    pairs.get(three)
    assert len(pairs) == 2
    assert pairs.get(one) is first


def test_who_counts() -> None:
    middle = ROOT.intermediate("between")
    judge_client(chain_of(ROOT.issue("a", usage="client")), (ROOT.pem,))
    judge_client(chain_of(middle.issue("a", usage="client")), (ROOT.pem,))
    judge_client(chain_of(middle.issue("a", usage="client"))[:1], (middle.pem,))  # any of them is an anchor
    own = ROOT.issue("a", usage="client")
    judge_client(chain_of(own)[:1], (own.chain.decode(),))


@pytest.mark.parametrize(
    ("pair", "authorities"),
    [
        (Authority("other").issue("a", usage="client"), (ROOT.pem,)),
        (ROOT.issue("a", usage="server"), (ROOT.pem,)),
        (ROOT.issue("a", usage="client", valid=-DAY), (ROOT.pem,)),
        (ROOT.issue("a", usage="client"), ()),
    ],
)
def test_who_does_not(pair: Pair, authorities: tuple[str, ...]) -> None:
    with pytest.raises(ChainRefused):
        judge_client(chain_of(pair), authorities)


def test_a_chain_with_its_middle_missing() -> None:
    chain = chain_of(ROOT.intermediate("between").issue("a", usage="client"))
    with pytest.raises(ChainRefused):
        judge_client(chain[:1], (ROOT.pem,))


def certificate(key: Any, algorithm: hashes.SHA256) -> x509.Certificate:
    """A client's, by the root."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")]))
        .issuer_name(ROOT.name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .sign(ROOT.key, algorithm)
    )


def test_weak_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here signs with SHA-1 any more: another hash takes its place."""
    made = certificate(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    judge_client([made, ROOT.certificate], (ROOT.pem,))
    assert "sha1" in parsed._WEAK_HASHES
    monkeypatch.setattr(parsed, "_WEAK_HASHES", {"sha256"})
    with pytest.raises(ChainRefused, match="signed with sha256"):
        judge_client([made], (ROOT.pem,))
    judge_client([ROOT.certificate], (ROOT.pem,))  # what an authority says of itself does not matter


def test_short_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    judge_client([certificate(key, hashes.SHA256())], (ROOT.pem,))
    monkeypatch.setattr(parsed, "_SHORTEST_RSA_BITS", 4096)
    with pytest.raises(ChainRefused, match="2048 bits"):
        judge_client([certificate(key, hashes.SHA256())], (ROOT.pem,))


def test_a_hello_without_records() -> None:
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\2\x13\x01" + b"\1\0"
    name = b"\0\0" + b"\0\x0b" + b"\0\x09\0\0\x06" + b"A.test"
    extensions = len(name).to_bytes(2, "big") + name
    message = body + extensions
    message = b"\1" + len(message).to_bytes(3, "big") + message
    assert read_message(message) == ClientHello("a.test", (), (0x0303,))
    assert isinstance(read_message(message[:-1]), Malformed)
    assert isinstance(read_message(message + b"x"), Malformed)
    twice = body + (2 * len(name)).to_bytes(2, "big") + 2 * name
    assert isinstance(read_message(b"\1" + len(twice).to_bytes(3, "big") + twice), Malformed)
