"""Certificates, options and stores as data."""

import msgspec
import pytest

from config.tls import (
    Certificate,
    ClientAuth,
    Domain,
    GeneratedCertificate,
    StoredCertificate,
    TLSOptions,
    TLSStore,
)


@pytest.mark.parametrize("empty", [TLSOptions(cipher_suites=[]), TLSOptions(alpn_protocols=[])])
def test_nothing_given_is_not_given_as_nothing(empty: TLSOptions) -> None:
    absent = TLSOptions()
    assert absent != empty
    for value in (absent, empty):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=TLSOptions) == value


def test_names_on_the_wire() -> None:
    options = TLSOptions(
        client_auth=ClientAuth(ca_files=["pem"], client_auth_type="RequestClientCert"), sni_strict=True
    )
    assert msgspec.to_builtins(options) == {
        "clientAuth": {"caFiles": ["pem"], "clientAuthType": "RequestClientCert"},
        "sniStrict": True,
    }
    assert msgspec.to_builtins(StoredCertificate(cert_file="c", key_file="k", stores=["default"])) == {
        "certFile": "c",
        "keyFile": "k",
        "stores": ["default"],
    }


def test_stores() -> None:
    generated = GeneratedCertificate(resolver="le", domain=Domain(main="a", sans=["b"]))
    store = TLSStore(
        default_certificate=Certificate(cert_file="c", key_file="k"), default_generated_cert=generated
    )
    assert msgspec.to_builtins(store) == {
        "defaultCertificate": {"certFile": "c", "keyFile": "k"},
        "defaultGeneratedCert": {"resolver": "le", "domain": {"main": "a", "sans": ["b"]}},
    }
    assert msgspec.to_builtins(TLSStore()) == {}
