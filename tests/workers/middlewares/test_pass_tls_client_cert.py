"""PassTLSClientCert: what is said of a certificate, and when."""

from __future__ import annotations

import base64
from urllib.parse import unquote_plus

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from config.middlewares_auth import ClientCertificateInfo, IssuerInfo, PassTLSClientCert, SubjectInfo
from tests.workers.middlewares.calls import Answered, call, client, made, request
from tests.workers.middlewares.certificates import full_certificate
from workers.middlewares.certificate_info import certificate_info
from workers.middlewares.pass_tls_client_cert import pass_tls_client_cert

KEY = ec.generate_private_key(ec.SECP256R1())
FULL = full_certificate(KEY)
PEM, INFO = b"x-forwarded-tls-client-cert", b"x-forwarded-tls-client-cert-info"


class Connection:
    """As much of a TLS connection as is asked for."""

    def __init__(self, *certificates: x509.Certificate) -> None:
        self.client_certificates = certificates


def passed(options: PassTLSClientCert, *lines: str, tls: Connection | None, trusted: bool = True) -> Answered:
    return call(made(pass_tls_client_cert, options), request("/", *lines, peer=client(trusted, tls=tls)))


@pytest.mark.behaviour("MW-155")
def test_pem() -> None:
    other = full_certificate(KEY, (), 5)
    answer = passed(PassTLSClientCert(pem=True), f"{PEM.decode()}: forged", tls=Connection(FULL, other))
    expected = [base64.b64encode(one.public_bytes(Encoding.DER)) for one in (FULL, other)]
    assert answer.sent(PEM) == [b",".join(expected)]
    assert answer.sent(INFO) == []


@pytest.mark.behaviour("MW-156")
def test_info() -> None:
    wanted = ClientCertificateInfo(subject=SubjectInfo(common_name=True))
    answer = passed(PassTLSClientCert(info=wanted), tls=Connection(FULL, FULL))
    assert answer.sent(INFO) == [b"Subject%3D%22CN%3D%2A.example.org%22%2CSubject%3D%22CN%3D%2A.example.org%22"]


@pytest.mark.behaviour("MW-156")
@pytest.mark.parametrize("tls", [None, Connection()])
def test_without_a_certificate_nothing_changes(tls: Connection | None) -> None:
    options = PassTLSClientCert(pem=True, info=ClientCertificateInfo())
    answer = passed(options, f"{PEM.decode()}: forged", tls=tls)
    assert (answer.sent(PEM), answer.sent(INFO)) == ([b"forged"], [])
    assert passed(options, f"{PEM.decode()}: forged", tls=tls, trusted=False).sent(PEM) == []


def test_what_stands_there_already_is_replaced() -> None:
    """Whoever put it there before, and however it is spelled."""
    connection = Connection(FULL)
    for wanted in (PassTLSClientCert(pem=True), PassTLSClientCert(pem=True, info=ClientCertificateInfo())):
        line = f"{PEM.decode().upper()}: forged"
        values = passed(wanted, line, "X-Other: kept", tls=connection).sent(PEM)
        assert values == passed(wanted, tls=connection, trusted=False).sent(PEM)
        assert values != [b"forged"]
        assert passed(wanted, line, "X-Other: kept", tls=connection).sent(b"x-other") == [b"kept"]


def test_info_of_nothing_is_empty() -> None:
    answer = passed(PassTLSClientCert(info=ClientCertificateInfo()), tls=Connection(FULL))
    assert answer.sent(INFO) == [b""]


def test_every_field() -> None:
    every = dict.fromkeys(IssuerInfo.__struct_fields__, True)
    wanted = ClientCertificateInfo(
        subject=SubjectInfo(**every, organizational_unit=True),
        issuer=IssuerInfo(**every),
        serial_number=True,
        not_before=True,
        not_after=True,
        sans=True,
    )
    text = certificate_info(FULL, wanted)
    assert text == (
        'Subject="DC=org,DC=cheese,C=FR,C=US,ST=Some-State,L=Here,O=Cheese, "Ltd"; 1,O=Käse,OU=Holes,SN=17,'
        'CN=*.example.org";Issuer="C=DE,CN=CA";SerialNumber="4711";NB="1704164645";NA="2335316645";'
        'SAN="a.example,*.b.example,mail@a.example,10.0.1.0,2001:db8::1,spiffe://a/b?c"'
    )
    answer = passed(PassTLSClientCert(info=wanted), tls=Connection(FULL))
    (value,) = answer.sent(INFO)
    assert b"+" in value
    assert unquote_plus(value.decode()) == text


def test_missing_fields_are_left_out() -> None:
    bare = full_certificate(KEY, ())
    wanted = ClientCertificateInfo(issuer=IssuerInfo(locality=True), serial_number=True, sans=True)
    assert certificate_info(bare, wanted) == 'SerialNumber="4711"'
