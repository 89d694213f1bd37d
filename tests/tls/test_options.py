from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from config.tls import ClientAuth, TLSOptions
from tests.tls.pki import Authority
from tls import ciphers, openssl
from tls.options import (
    ClientAuthType,
    OptionError,
    resolve,
)

CA = Authority().pem


def failure(options: TLSOptions) -> OptionError:
    with pytest.raises(OptionError) as caught:
        resolve(options)
    return caught.value


def test_defaults_are_gos() -> None:
    settings = resolve(TLSOptions())
    assert (settings.min_version, settings.max_version) == (0x0303, 0x0304)
    assert settings.alpn == (b"h2", b"http/1.1", b"acme-tls/1")
    assert settings.client_auth is ClientAuthType.NONE
    assert settings.tickets
    assert not settings.sni_strict
    assert settings.curves == ""
    assert settings.cipher_list.split(":") == [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-RSA-AES256-SHA",
    ]


@pytest.mark.parametrize("name", list(ciphers.CIPHERS))
def test_openssl_knows_every_suite_under_our_name_for_it(name: str) -> None:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_cipher_list(f"{ciphers.CIPHERS[name]}:@SECLEVEL=0".encode())
    assert ciphers.CIPHERS[name] in SSL.Connection(context).get_cipher_list()


@pytest.mark.parametrize("name", sorted(set(ciphers.CURVES.values())))
def test_openssl_knows_every_curve_under_our_name_for_it(name: str) -> None:
    assert openssl.set_context_groups(SSL.Context(SSL.TLS_SERVER_METHOD), name)


def test_an_unknown_group_is_reported() -> None:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    assert not openssl.set_context_groups(context, "nonsense")
    with pytest.raises(SSL.Error):
        openssl.set_groups(SSL.Connection(context), "nonsense")


def test_order_and_repetition_of_suites_do_not_matter() -> None:
    one = resolve(TLSOptions(cipher_suites=["TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_AES_128_GCM_SHA256"]))
    two = resolve(TLSOptions(cipher_suites=["TLS_AES_128_GCM_SHA256", *["TLS_RSA_WITH_AES_128_CBC_SHA"] * 2]))
    assert one.cipher_list == two.cipher_list == "AES128-SHA"
    assert one.identity == two.identity


def test_suites_that_openssl_lost_warn() -> None:
    settings = resolve(TLSOptions(cipher_suites=[*ciphers.GONE_CIPHERS, "TLS_RSA_WITH_AES_256_GCM_SHA384"]))
    assert settings.cipher_list == "AES256-GCM-SHA384"
    assert len(settings.warnings) == len(ciphers.GONE_CIPHERS)
    assert resolve(TLSOptions(cipher_suites=list(ciphers.GONE_CIPHERS))).min_version == 0x0304


def test_no_suite_left_and_no_tls_1_3_is_broken() -> None:
    assert failure(TLSOptions(cipher_suites=[], max_version="VersionTLS12")).field == "cipherSuites"


def test_unknown_suite_names_the_nearest() -> None:
    error = failure(TLSOptions(cipher_suites=["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA265"]))
    assert error.field == "cipherSuites[1]"
    assert error.advice == "did you mean TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256?"
    assert str(error).startswith("cipherSuites[1]: unknown cipher suite 'TLS_ECDHE")


def test_curves() -> None:
    settings = resolve(TLSOptions(curve_preferences=["CurveP384", "secp384r1", "x25519", "X25519MLKEM768"]))
    assert settings.curves == "P-384:X25519:X25519MLKEM768"
    assert failure(TLSOptions(curve_preferences=["CurveP265"])).advice == "did you mean CurveP256?"


def test_versions() -> None:
    settings = resolve(TLSOptions(min_version="VersionTLS10", max_version="VersionTLS11"))
    assert (settings.min_version, settings.max_version) == (0x0301, 0x0302)
    ignored = resolve(TLSOptions(min_version="TLS13"))
    assert ignored.min_version == 0x0303
    assert "minVersion: 'TLS13' is no TLS version and is ignored" in ignored.warnings[0]
    assert failure(TLSOptions(max_version="VersionTLS11")).field == "minVersion"


@pytest.mark.parametrize("kind", list(ClientAuthType))
def test_client_auth_types(kind: ClientAuthType) -> None:
    with_authority = TLSOptions(client_auth=ClientAuth(ca_files=[CA], client_auth_type=kind.value))
    assert resolve(with_authority).client_auth is kind
    without = TLSOptions(client_auth=ClientAuth(client_auth_type=kind.value))
    if kind.verifies:
        assert failure(without).field == "clientAuth.caFiles"
    else:
        assert resolve(without).client_auth is kind


def test_client_auth_defaults_and_errors() -> None:
    assert (
        resolve(TLSOptions(client_auth=ClientAuth(ca_files=[CA]))).client_auth.value
        == "RequireAndVerifyClientCert"
    )
    wrong = failure(TLSOptions(client_auth=ClientAuth(ca_files=[CA], client_auth_type="RequireClientCert")))
    assert wrong.field == "clientAuth.clientAuthType"
    for text in ("", "nothing"):
        assert failure(TLSOptions(client_auth=ClientAuth(ca_files=[CA, text]))).field == "clientAuth.caFiles[1]"


def test_alpn_protocols() -> None:
    assert resolve(TLSOptions(alpn_protocols=["mqtt", "mqtt"])).alpn == (b"mqtt",)
    assert resolve(TLSOptions(alpn_protocols=[])).alpn == ()
    assert resolve(TLSOptions(), unserved={"h2"}).alpn == (b"http/1.1", b"acme-tls/1")
    assert failure(TLSOptions(alpn_protocols=["x" * 256])).field == "alpnProtocols[0]"


@pytest.mark.behaviour("ADV-C-2")
def test_an_empty_document_is_the_default_option() -> None:
    """ADV-C: an empty option is the default one, not an absent one."""
    assert resolve(msgspec.convert({}, TLSOptions)) == resolve(TLSOptions())


VARIANTS = [
    TLSOptions(),
    TLSOptions(min_version="VersionTLS13"),
    TLSOptions(max_version="VersionTLS12"),
    TLSOptions(cipher_suites=["TLS_RSA_WITH_AES_128_CBC_SHA"]),
    TLSOptions(curve_preferences=["X25519"]),
    TLSOptions(client_auth=ClientAuth(ca_files=[CA])),
    TLSOptions(client_auth=ClientAuth(ca_files=[CA, CA])),
    TLSOptions(client_auth=ClientAuth(ca_files=[CA], client_auth_type="RequestClientCert")),
    TLSOptions(sni_strict=True),
    TLSOptions(alpn_protocols=["h2"]),
    TLSOptions(disable_session_tickets=True),
]


def test_every_field_and_the_name_are_part_of_the_identity() -> None:
    """ADV-C: what is missing from the identity would let a ticket cross over."""
    identities = {resolve(variant, name).identity for variant in VARIANTS for name in ("one", "two")}
    assert len(identities) == 2 * len(VARIANTS)


@given(st.text(max_size=20), st.lists(st.text(max_size=20), max_size=2), st.lists(st.text(max_size=9), max_size=2))
def test_any_text_resolves_or_gives_our_error(text: str, names: list[str], more: list[str]) -> None:
    for options in (
        TLSOptions(min_version=text, max_version=text),
        TLSOptions(cipher_suites=names),
        TLSOptions(curve_preferences=names),
        TLSOptions(alpn_protocols=names),
        TLSOptions(client_auth=ClientAuth(ca_files=more, client_auth_type=text)),
    ):
        with contextlib.suppress(OptionError):
            resolve(options)
