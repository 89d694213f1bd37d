"""Our client against our server, in memory: whose certificate is accepted, and how the server sees us."""

from __future__ import annotations

import pytest
from OpenSSL import SSL

from config.tls import ClientAuth, TLSOptions
from tests.tls.pki import DAY, Authority, Pair
from tls.client import ClientConnection, ClientContext, ClientSettings, PeerRefused, client_settings
from tls.contexts import ContextCache
from tls.options import OptionError, resolve
from tls.server import Selection, ServerBase
from tls.store import Bundle

ROOT = Authority()
BASE = ServerBase()
CONTEXTS = ContextCache()
URI = "spiffe://test/web"


def meet(
    settings: ClientSettings, host: str, pair: Pair, options: TLSOptions | None = None, sni: str | None = None
) -> tuple[ClientConnection, SSL.Connection]:
    """Shake hands; raises what the client raises."""
    expected = (settings.server_name or host) if sni is None else sni
    selection = Selection(resolve(options or TLSOptions()), Bundle([pair.loaded()]), expected)
    server = BASE.connect(selection, CONTEXTS, None)
    client = ClientContext(settings).connect(host, None)
    for _round in range(8):
        client_done = step(client)
        pump(client, server)
        server_done = step(server)
        pump(server, client)
        if client_done and server_done:
            return client, server
    raise AssertionError("no end to the handshake")


def step(connection: SSL.Connection) -> bool:
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        return False
    return True


def pump(source: SSL.Connection, target: SSL.Connection) -> None:
    try:
        while True:
            target.bio_write(source.bio_read(65536))
    except SSL.WantReadError:
        pass


def trusting(**values: object) -> ClientSettings:
    return client_settings(root_cas=[ROOT.pem], **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (("a.test",), "a.test"),
        (("a.test",), "A.TEST"),
        (("a.test",), "a.test."),
        (("*.a.test",), "x.a.test"),
        (("10.0.0.1",), "10.0.0.1"),
        (("2001:db8::1",), "2001:db8::1"),
    ],
)
def test_accepted_hosts(names: tuple[str, ...], host: str) -> None:
    is_address = host[0] in "12"
    meet(trusting(), host, ROOT.issue(*names), sni="" if is_address else host.lower().rstrip("."))


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (("a.test",), "b.test"),
        (("*.a.test",), "x.y.a.test"),
        (("*.a.test",), "a.test"),
        (("f*.a.test",), "foo.a.test"),
        (("10.0.0.1",), "10.0.0.2"),
        ((), "a.test"),
    ],
)
def test_refused_hosts(names: tuple[str, ...], host: str) -> None:
    pair = ROOT.issue(*names, common_name=host)
    with pytest.raises(PeerRefused, match="mismatch"):
        meet(trusting(), host, pair, sni="" if host[0] == "1" else host)


def test_the_transports_server_name_stands_in_for_the_host() -> None:
    _client, server = meet(trusting(server_name="a.test"), "10.0.0.1", ROOT.issue("a.test"))
    assert server.get_servername() == b"a.test"
    with pytest.raises(PeerRefused):
        meet(trusting(server_name="b.test"), "a.test", ROOT.issue("a.test"))


@pytest.mark.parametrize("name", [".", "..", ".test", ".a.test"])
def test_what_is_no_host_name_is_never_taken_for_any_host(name: str) -> None:
    """To OpenSSL an empty name is no condition at all, and one that begins with a dot means all names below."""
    with pytest.raises(SSL.Error, match="cannot be verified"):
        meet(trusting(server_name=name), "a.test", ROOT.issue("a.test"), sni="a.test")


def test_refused_certificates_say_why() -> None:
    cases = {
        "unable to get local issuer": (trusting(), Authority("stranger").issue("a.test")),
        "expired": (trusting(), ROOT.issue("a.test", valid=-DAY)),
        "purpose": (trusting(), ROOT.issue("a.test", usage="client")),
        "issuer": (client_settings(root_cas=["unreadable"]), ROOT.issue("a.test")),
    }
    for reason, (settings, pair) in cases.items():
        with pytest.raises(PeerRefused, match=reason):
            meet(settings, "a.test", pair)


def test_the_systems_authorities_are_the_default() -> None:
    with pytest.raises(PeerRefused):
        meet(client_settings(), "a.test", ROOT.issue("a.test"))


def test_an_intermediate_counts_as_an_authority() -> None:
    middle = ROOT.intermediate("middle")
    meet(client_settings(root_cas=[middle.pem]), "a.test", middle.issue("a.test"))
    meet(trusting(), "a.test", middle.issue("a.test"))


def test_insecure_skip_verify() -> None:
    meet(client_settings(insecure_skip_verify=True), "a.test", Authority().issue("b.test", valid=-DAY))


def test_peer_uri() -> None:
    pair = ROOT.issue("a.test", uris=("spiffe://test/other", URI))
    meet(trusting(peer_cert_uri=URI), "a.test", pair)
    with pytest.raises(PeerRefused, match="does not hold the URI"):
        meet(trusting(peer_cert_uri=URI), "a.test", ROOT.issue("a.test"))
    skipping = trusting(peer_cert_uri=URI, insecure_skip_verify=True)
    meet(skipping, "other.host", pair)
    with pytest.raises(PeerRefused, match="issuer"):
        meet(skipping, "a.test", Authority("stranger").issue("a.test", uris=(URI,)))


def test_client_certificate() -> None:
    mutual = TLSOptions(client_auth=ClientAuth(ca_files=[ROOT.pem]))
    ours = ROOT.issue("client", usage="client").loaded()
    _client, server = meet(trusting(certificates=[ours]), "a.test", ROOT.issue("a.test"), mutual)
    shown = server.get_peer_certificate(as_cryptography=True)
    assert shown == ours.leaf


def test_versions_ciphers_and_alpn() -> None:
    pair = ROOT.issue("a.test")
    client, _server = meet(trusting(max_version="VersionTLS12"), "a.test", pair)
    assert client.get_protocol_version_name() == "TLSv1.2"
    suite = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
    client, _server = meet(trusting(max_version="VersionTLS12", cipher_suites=[suite]), "a.test", pair)
    assert client.get_cipher_name() == "ECDHE-ECDSA-AES256-GCM-SHA384"
    client, _server = meet(trusting(alpn_protocols=["h2", "http/1.1"]), "a.test", pair)
    assert client.get_alpn_proto_negotiated() == b"h2"
    client, _server = meet(trusting(alpn_protocols=[]), "a.test", pair)
    assert client.get_alpn_proto_negotiated() == b""


def test_a_minimum_without_a_maximum_is_fine() -> None:
    settings = trusting(min_version="VersionTLS13")
    client, _server = meet(settings, "a.test", ROOT.issue("a.test"))
    assert client.get_protocol_version_name() == "TLSv1.3"
    with pytest.raises(OptionError):
        trusting(min_version="VersionTLS13", max_version="VersionTLS12")


def test_unreadable_authorities_warn() -> None:
    assert client_settings(root_cas=["x", ROOT.pem]).warnings == (
        "rootCAs[0]: no readable certificate; passed over",
    )


def test_every_value_is_part_of_the_identity() -> None:
    certificate = ROOT.issue("client", usage="client").loaded()
    variants = [
        client_settings(),
        client_settings(server_name="a"),
        client_settings(insecure_skip_verify=True),
        client_settings(root_cas=[ROOT.pem]),
        client_settings(certificates=[certificate]),
        client_settings(cipher_suites=["TLS_RSA_WITH_AES_128_CBC_SHA"]),
        client_settings(min_version="VersionTLS13"),
        client_settings(max_version="VersionTLS12"),
        client_settings(peer_cert_uri=URI),
        client_settings(alpn_protocols=["h2"]),
    ]
    assert len({settings.identity for settings in variants}) == len(variants)
    assert client_settings().identity == client_settings().identity
