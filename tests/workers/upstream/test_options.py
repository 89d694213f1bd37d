"""From configuration to a transport's options: everything that was written, or a reason why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import static
from config.http import ForwardingTimeouts, ServersTransport, Spiffe
from config.tls import Certificate
from tests.workers.upstream.secured import authority, local_pair
from workers.upstream.options import TransportError, default_options, named_options

PAIR = Certificate(cert_file=local_pair().chain.decode(), key_file=local_pair().key.decode())


def test_everything_that_can_be_written() -> None:
    options = named_options(
        ServersTransport(
            server_name="b.test",
            insecure_skip_verify=True,
            root_cas=[authority().pem],
            certificates=[PAIR],
            cipher_suites=["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
            min_version="VersionTLS12",
            max_version="VersionTLS12",
            max_idle_conns_per_host=7,
            forwarding_timeouts=ForwardingTimeouts(
                dial_timeout="1s",
                response_header_timeout="2s",
                idle_conn_timeout="3s",
                read_idle_timeout="4s",
                ping_timeout="500ms",
            ),
            disable_http2=True,
            peer_cert_uri="spiffe://x",
        )
    )
    tls = options.tls
    assert (tls.server_name, tls.insecure_skip_verify, tls.peer_cert_uri) == ("b.test", True, "spiffe://x")
    assert tls.root_ca_pems == (authority().pem,)
    assert tls.certificates == (local_pair().loaded(),)
    assert (tls.min_version, tls.max_version) == (0x0303, 0x0303)
    assert tls.cipher_list == "ECDHE-RSA-AES128-GCM-SHA256"
    assert options[1:] == (1.0, 2.0, 3.0, 4.0, 0.5, 7, True)


def test_defaults() -> None:
    options = named_options(ServersTransport())
    assert options[1:] == (30.0, 0.0, 90.0, 0.0, 15.0, 0, False)
    assert options.tls.root_ca_pems is None
    assert named_options(ServersTransport(forwarding_timeouts=ForwardingTimeouts()))[1:6] == (0, 0, 0, 0, 0)


def test_a_minimum_without_maximum_is_no_reason_to_drop_everything_else() -> None:
    tls = named_options(ServersTransport(min_version="VersionTLS12", server_name="b")).tls
    assert (tls.min_version, tls.max_version, tls.server_name) == (0x0303, 0x0304, "b")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ServersTransport(spiffe=Spiffe()), r"^spiffe: "),
        (ServersTransport(certificates=[Certificate()]), r"^certificates\[0\]: no PEM block"),
        (
            ServersTransport(certificates=[PAIR, Certificate(cert_file=PAIR.cert_file, key_file="x")]),
            r"^certificates\[1\]: no PEM block PRIVATE KEY",
        ),
        (ServersTransport(cipher_suites=["RC5"]), r"^cipherSuites\[0\]: unknown cipher suite 'RC5'"),
        (ServersTransport(min_version="VersionTLS13", max_version="VersionTLS12"), r"^minVersion: .* is above"),
        (
            ServersTransport(forwarding_timeouts=ForwardingTimeouts(ping_timeout="soon")),
            r"^forwardingTimeouts\.pingTimeout: 'soon' is not a duration",
        ),
    ],
)
def test_what_cannot_be_honoured_makes_no_transport(config: ServersTransport, message: str) -> None:
    with pytest.raises(TransportError, match=message):
        named_options(config)


def test_default_transport_of_the_static_options(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(authority().pem)
    options = default_options(
        static.ServersTransport(root_cas=[str(file), "-----BEGIN X"], insecure_skip_verify=True)
    )
    assert options.tls.root_ca_pems == (authority().pem, "-----BEGIN X")
    assert options.tls.insecure_skip_verify
    assert options[1:] == (30.0, 0.0, 90.0, 0.0, 15.0, 200, False)


def test_authorities_in_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match=r"^rootCAs\[0\]: .*No such file"):
        default_options(static.ServersTransport(root_cas=[str(tmp_path / "none.pem")]))
