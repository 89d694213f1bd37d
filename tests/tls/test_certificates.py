from __future__ import annotations

import hashlib
import time
import tracemalloc

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.tls.pki import DAY, Authority, Kind, Pair, key_pem, new_key, rsa_key
from tls.certificates import Certificate, CertificateError, certificates_in
from tls.generated import DEFAULT_COMMON_NAME, generate_default_certificate

ROOT = Authority()


def test_names_are_common_name_and_alternatives_normalized_and_sorted() -> None:
    pair = ROOT.issue("WWW.Example.com", "*.example.com", "10.0.0.1", "2001:db8::1", common_name="Example.com.")
    certificate = pair.loaded()
    assert certificate.names == ("*.example.com", "10.0.0.1", "2001:db8::1", "example.com", "www.example.com")
    assert certificate.key == "*.example.com,10.0.0.1,2001:db8::1,example.com,www.example.com"


def test_a_common_name_alone_is_a_name() -> None:
    assert ROOT.issue(common_name="only.example.com").loaded().names == ("only.example.com",)
    assert ROOT.issue().loaded().names == ()


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_key_types_and_what_pages_show(kind: Kind) -> None:
    pair = ROOT.issue("a.test", kind=kind)
    certificate = pair.loaded()
    parsed = x509.load_pem_x509_certificate(pair.chain)
    assert certificate.key_type == kind
    assert certificate.serial == parsed.serial_number
    assert certificate.fingerprint == hashlib.sha256(parsed.public_bytes(Encoding.DER)).hexdigest()
    assert certificate.not_after == parsed.not_valid_after_utc.timestamp()


def test_the_private_key_is_never_shown() -> None:
    pair = ROOT.issue("a.test")
    certificate = pair.loaded()
    secret = pair.key.decode().splitlines()[1][:20]
    assert secret not in repr(certificate)
    assert repr(certificate).startswith("<Certificate a.test ecdsa until 20")


def test_equal_by_content() -> None:
    pair = ROOT.issue("a.test")
    assert pair.loaded() == pair.loaded()
    assert len({pair.loaded(), pair.loaded()}) == 1
    assert pair.loaded() != ROOT.issue("a.test").loaded()


def test_text_around_the_blocks_and_old_key_forms_are_fine() -> None:
    key = new_key("ecdsa")
    pair = ROOT.issue("a.test", key=key)
    parameters = b"-----BEGIN EC PARAMETERS-----\r\nBggqhkjOPQMBBw==\r\n-----END EC PARAMETERS-----\r\n"
    old = parameters + key_pem(key, PrivateFormat.TraditionalOpenSSL).replace(b"\n", b"\r\n")
    loaded = Certificate.load(b"Bag Attributes\n" + pair.chain + b"trailing words", old)
    assert loaded.names == ("a.test",)
    rsa_pair = ROOT.issue("b.test", kind="rsa")
    Certificate.load(rsa_pair.chain, key_pem(rsa_key(), PrivateFormat.TraditionalOpenSSL))
    combined = rsa_pair.key + rsa_pair.chain
    assert Certificate.load(combined, combined) == rsa_pair.loaded()


def refusal(certificate_pem: bytes, key: bytes) -> str:
    with pytest.raises(CertificateError) as caught:
        Certificate.load(certificate_pem, key)
    return str(caught.value)


def test_refusals_say_which_half_is_wrong() -> None:
    good, other = ROOT.issue("a.test"), ROOT.issue("b.test")
    assert refusal(b"", good.key) == "no PEM block CERTIFICATE in the certificate"
    assert refusal(good.key, good.key) == "no PEM block CERTIFICATE in the certificate"
    assert refusal(good.chain, b"") == "no PEM block PRIVATE KEY in the key"
    assert refusal(good.chain, good.chain) == "no PEM block PRIVATE KEY in the key"
    assert refusal(good.chain, other.key) == "the private key does not belong to the certificate"
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert refusal(broken, good.key).startswith("the certificate cannot be read")
    assert refusal(good.chain, broken.replace(b"CERTIFICATE", b"PRIVATE KEY")) == "the private key cannot be read"


def test_a_chain_in_the_wrong_order_is_explained() -> None:
    pair = ROOT.intermediate("middle").issue("a.test")
    first, second = (
        block + b"-----END CERTIFICATE-----\n" for block in pair.chain.split(b"-----END CERTIFICATE-----\n")[:2]
    )
    assert "belongs to certificate 2 of the chain" in refusal(second + first, pair.key)


def test_an_encrypted_key_is_explained() -> None:
    key = new_key("ecdsa")
    pair = ROOT.issue("a.test", key=key)
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        locked = key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret"))
        assert "is encrypted" in refusal(pair.chain, locked)


def test_dates_warn_and_never_refuse() -> None:
    expired = ROOT.issue("old.test", valid=-DAY).loaded()
    assert "old.test expired on" in expired.expiry_warning()
    fresh = ROOT.issue("a.test").loaded()
    assert fresh.expiry_warning() == ""
    assert "not valid before" in fresh.expiry_warning(fresh.not_before - 1)


def test_the_key_never_leaks_through_an_error() -> None:
    pair = ROOT.issue("a.test")
    damaged = pair.key.replace(b"\n", b"!\n", 2)
    assert pair.key.decode().splitlines()[1] not in refusal(pair.chain, damaged)


@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(0, 400))
def test_any_bytes_load_or_give_our_error(noise: bytes, more: bytes, at: int) -> None:
    pair = FIXED
    for chain, key in (
        (noise, more),
        (damage(pair.chain, noise, at), pair.key),
        (pair.chain, damage(pair.key, more, at)),
    ):
        try:
            Certificate.load(chain, key)
        except CertificateError:
            continue


def damage(pem: bytes, noise: bytes, at: int) -> bytes:
    at = min(at, len(pem))
    return pem[:at] + noise + pem[at + len(noise) :]


FIXED: Pair = ROOT.issue("a.test")


def test_bundles_of_authorities_pass_over_what_is_unreadable() -> None:
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert len(certificates_in((ROOT.pem + broken + Authority().pem).encode())) == 2
    assert certificates_in(b"nothing") == []


def test_the_generated_default() -> None:
    certificate = generate_default_certificate()
    leaf = certificate.leaf
    assert leaf.subject == leaf.issuer
    assert [item.value for item in leaf.subject] == [DEFAULT_COMMON_NAME]
    assert certificate.key_type == "rsa"
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )
    assert len(names) == 1
    assert [len(label) for label in names[0].split(".")] == [32, 32, 7, 7]
    assert 364 * 86400 < certificate.not_after - time.time() <= 365 * 86400


def test_an_unused_certificate_is_small_and_quick_to_load() -> None:
    """Ten thousand in three seconds and 10 KiB each: measured on a hundred, with slack for a busy machine."""
    pair = ROOT.intermediate("middle").issue("a.test", "www.a.test", kind="rsa")
    Certificate.load(*pair)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [Certificate.load(*pair) for _ in range(100)]
        used_bytes = (tracemalloc.get_traced_memory()[0] - before) / len(kept)
    finally:
        tracemalloc.stop()
    started = time.process_time()
    for _ in range(100):
        Certificate.load(*pair)
    assert used_bytes <= 10 * 1024
    assert (time.process_time() - started) / 100 <= 0.0015
