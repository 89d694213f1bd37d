"""What metrics and logs say of a session: version and cipher suite by the standard's names."""

from __future__ import annotations

import pytest

from config.tls import TLSOptions
from tests.tls.handshakes import TLS12, TLS13, client_context
from tests.tls.pki import Authority
from tests.tls.test_server import server
from tls import ciphers


@pytest.mark.parametrize(
    ("context", "labels"),
    [
        (client_context(only=TLS13), (b"1.3", b"TLS_AES_128_GCM_SHA256")),
        (
            client_context(only=TLS12, ciphers="ECDHE-ECDSA-CHACHA20-POLY1305"),
            (b"1.2", b"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
        ),
        (
            client_context(only=TLS12, ciphers="ECDHE-ECDSA-AES256-GCM-SHA384"),
            (b"1.2", b"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        ),
    ],
)
def test_labels(context: object, labels: tuple[bytes, bytes]) -> None:
    ours = server(Authority().issue("a.test"), m=TLSOptions())
    done = ours.shake("a.test", context)  # type: ignore[arg-type]
    assert done.server is not None
    assert done.server.session_labels == labels


def test_every_suite_that_can_be_served_has_a_name() -> None:
    assert {*ciphers.CIPHERS.values(), *ciphers.FIXED_CIPHERS} == ciphers.IANA_NAMES.keys()
    assert set(ciphers.IANA_NAMES.values()) <= set(ciphers.KNOWN_CIPHERS)
