"""Handshakes as clients see them: versions, client certificates, ALPN, and when a session may resume."""

from __future__ import annotations

import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from config.tls import ClientAuth, TLSOptions
from tests.tls.handshakes import TLS12, TLS13, Server, client_context
from tests.tls.pki import DAY, Authority, Pair
from tls.options import resolve
from tls.server import Selection
from tls.server_names import NameTable
from tls.store import Bundle, CertificateStore

ROOT = Authority()
OTHER = Authority("another root")
VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])


def server(*certificates: Pair, **options: TLSOptions) -> Server:
    """Option `m` serves host `m.test`, and so on; `default` serves the rest."""
    settings = {name: resolve(value, name) for name, value in ({"default": TLSOptions()} | options).items()}
    pairs = certificates or (ROOT.issue("a.test", "m.test", "n.test", "b.test"),)
    store = CertificateStore(
        {f"ns/{number}": pair.loaded() for number, pair in enumerate(pairs)},
        default=Bundle([ROOT.issue("default.test").loaded()]),
    )
    hosts = NameTable((f"{name}.test", name) for name in options)
    return Server(store, settings, hosts)


def auth(kind: str, *authorities: Authority) -> TLSOptions:
    return TLSOptions(client_auth=ClientAuth(ca_files=[ca.pem for ca in authorities], client_auth_type=kind))


@pytest.mark.behaviour("DP-107")
def test_a_minimum_version_binds_its_host_alone() -> None:
    ours = server(m=TLSOptions(min_version="VersionTLS13"))
    old = client_context(only=TLS12)
    assert ours.shake("m.test", old).alert == "protocol version"
    assert ours.shake("b.test", old).ok
    assert ours.shake("m.test").version == "TLSv1.3"


def test_a_maximum_version_binds_its_host_alone() -> None:
    ours = server(m=TLSOptions(max_version="VersionTLS12"))
    assert ours.shake("m.test").version == "TLSv1.2"
    assert ours.shake("m.test", client_context(only=TLS13)).alert == "protocol version"
    assert ours.shake("b.test").version == "TLSv1.3"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_tls_1_1_only_where_it_is_asked_for() -> None:
    ours = server(m=TLSOptions(min_version="VersionTLS10"))
    ancient = client_context(only=ssl.TLSVersion.TLSv1_1, ciphers="ALL:@SECLEVEL=0")
    assert ours.shake("m.test", ancient).version == "TLSv1.1"
    assert ours.shake("b.test", ancient).alert == "protocol version"


def test_cipher_suites_and_their_fixed_order() -> None:
    ours = server(m=TLSOptions(cipher_suites=["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]))
    old = client_context(only=TLS12)
    assert ours.shake("m.test", old).cipher == "ECDHE-ECDSA-AES256-GCM-SHA384"
    assert ours.shake("b.test", client_context(only=TLS12, ciphers="ECDHE+AESGCM")).cipher == (
        "ECDHE-ECDSA-AES128-GCM-SHA256"
    )
    assert ours.shake("b.test").cipher == "TLS_AES_128_GCM_SHA256"


def test_an_empty_list_of_suites_leaves_tls_1_3() -> None:
    ours = server(m=TLSOptions(cipher_suites=[]))
    assert not ours.shake("m.test", client_context(only=TLS12)).ok
    assert ours.shake("m.test").ok


def test_curve_preferences_bind_their_host_alone() -> None:
    ours = server(m=TLSOptions(curve_preferences=["CurveP384"]))
    chosen, usual = ours.shake("m.test").server, ours.shake("b.test").server
    assert chosen is not None
    assert usual is not None
    assert chosen.get_group_name() == "secp384r1"
    assert usual.get_group_name() == "x25519"


@pytest.mark.behaviour("DP-111")
def test_alpn() -> None:
    ours = server(m=TLSOptions(alpn_protocols=["http/1.1", "postgresql"]))
    assert ours.shake("a.test", client_context(alpn=["foo"])).alert == "no application protocol"
    assert ours.shake("a.test").alpn is None
    assert ours.shake("a.test", client_context(alpn=["http/1.1", "h2"])).alpn == "h2"
    assert ours.shake("m.test", client_context(alpn=["postgresql", "http/1.1"])).alpn == "http/1.1"
    assert ours.shake("m.test", client_context(alpn=["h2"])).alert == "no application protocol"
    without = server(m=TLSOptions(alpn_protocols=[]))
    assert without.shake("m.test", client_context(alpn=["foo", "h2"])).alpn is None


def test_a_protocol_that_is_not_served_is_never_chosen() -> None:
    ours = server()
    ours.options["default"] = resolve(TLSOptions(), unserved={"h2"})
    assert ours.shake("a.test", client_context(alpn=["h2", "http/1.1"])).alpn == "http/1.1"


GOOD = ROOT.issue("client", usage="client")
FOREIGN = OTHER.issue("client", usage="client")
EXPIRED = ROOT.issue("client", usage="client", valid=-DAY)
WRONG_USE = ROOT.issue("client", usage="server")


@VERSIONS
@pytest.mark.parametrize(
    ("kind", "accepted"),
    [
        ("NoClientCert", {"none", "good", "foreign", "expired", "wrong use"}),
        ("RequestClientCert", {"none", "good", "foreign", "expired", "wrong use"}),
        ("RequireAnyClientCert", {"good", "foreign", "expired", "wrong use"}),
        ("VerifyClientCertIfGiven", {"none", "good"}),
        ("RequireAndVerifyClientCert", {"good"}),
        ("", {"good"}),
    ],
)
def test_client_certificates(version: ssl.TLSVersion, kind: str, accepted: set[str]) -> None:
    ours = server(m=auth(kind, ROOT))
    presented = {"none": None, "good": GOOD, "foreign": FOREIGN, "expired": EXPIRED, "wrong use": WRONG_USE}
    for name, pair in presented.items():
        result = ours.shake("m.test", client_context(only=version, certificate=pair))
        assert result.ok == (name in accepted), (name, result)
        if result.ok:
            assert result.server is not None
            shown = result.server.get_peer_certificate()
            assert (shown is not None) == (pair is not None and kind != "NoClientCert")


def test_an_intermediate_counts_as_an_authority_and_a_chain_is_built() -> None:
    middle = ROOT.intermediate("middle")
    pair = middle.issue("client", usage="client")
    by_middle, by_root = server(m=auth("", middle)), server(m=auth("", ROOT))
    for version in (TLS12, TLS13):
        client = client_context(only=version, certificate=pair)
        assert by_middle.shake("m.test", client).ok
        assert by_root.shake("m.test", client).ok


@VERSIONS
def test_what_a_client_presented(version: ssl.TLSVersion) -> None:
    """Its own certificate first, each once; a resumed session only knows that one."""
    pair = ROOT.intermediate("middle").issue("client", common_name="leaf", usage="client")
    ours = server(m=auth("RequestClientCert", ROOT))
    client = client_context(only=version, certificate=pair)
    first = ours.shake("m.test", client)
    assert first.server is not None
    names = [one.subject.rfc4514_string() for one in first.server.client_certificates]
    assert names == ["CN=leaf", "CN=middle"]
    again = ours.shake("m.test", client, first.session)
    assert again.server is not None
    assert again.resumed
    assert [one.subject.rfc4514_string() for one in again.server.client_certificates] == names[:1]
    without = ours.shake("m.test", client_context(only=version))
    assert without.server is not None
    assert list(without.server.client_certificates) == []


@VERSIONS
def test_a_session_resumes_under_its_own_option(version: ssl.TLSVersion) -> None:
    ours = server()
    client = client_context(only=version)
    first = ours.shake("a.test", client)
    assert first.ok
    assert not first.resumed
    assert ours.shake("a.test", client, first.session).resumed


@VERSIONS
@pytest.mark.parametrize("kind", ["RequireAndVerifyClientCert", "RequireAnyClientCert", "VerifyClientCertIfGiven"])
@pytest.mark.behaviour("ADV-C-5")
def test_adv_c_a_ticket_of_another_option_never_resumes(version: ssl.TLSVersion, kind: str) -> None:
    ours = server(m=auth(kind, ROOT), n=auth("RequestClientCert", ROOT))
    without = client_context(only=version)
    for earned_at in ("a.test", "n.test"):
        ticket = ours.shake(earned_at, without).session
        assert ticket is not None
        result = ours.shake("m.test", without, ticket)
        assert not result.resumed
        assert result.ok == (kind == "VerifyClientCertIfGiven"), result


@VERSIONS
def test_adv_c_mutual_tls_resumes_only_within_its_option(version: ssl.TLSVersion) -> None:
    ours = server(m=auth("", ROOT), n=auth("", ROOT, OTHER))
    client = client_context(only=version, certificate=GOOD)
    ticket = ours.shake("m.test", client).session
    again = ours.shake("m.test", client, ticket)
    assert again.resumed
    assert again.server is not None
    assert again.server.get_peer_certificate() is not None
    elsewhere = ours.shake("n.test", client, ticket)
    assert elsewhere.ok
    assert not elsewhere.resumed


@VERSIONS
def test_adv_c_a_changed_option_ends_its_sessions(version: ssl.TLSVersion) -> None:
    """Same name, other authorities: what the old ones vouched for must be shown again, and fails."""
    ours = server(m=auth("", ROOT))
    client = client_context(only=version, certificate=GOOD)
    ticket = ours.shake("m.test", client).session
    ours.options["m"] = resolve(auth("", OTHER), "m")
    assert not ours.shake("m.test", client, ticket).ok


@VERSIONS
@pytest.mark.behaviour("ADV-C-5")
def test_adv_c_a_client_certificate_that_expired_since_does_not_resume(version: ssl.TLSVersion) -> None:
    ours = server(m=auth("", ROOT))
    client = client_context(only=version, certificate=GOOD)
    ticket = ours.shake("m.test", client).session
    assert ours.shake("m.test", client, ticket).resumed
    ours.base.clock = lambda: time.time() + 2 * 86400
    assert "expired" in ours.shake("m.test", client, ticket).refused


@VERSIONS
def test_tickets_can_be_turned_off(version: ssl.TLSVersion) -> None:
    ours = server(m=TLSOptions(disable_session_tickets=True))
    client = client_context(only=version)
    ticket = ours.shake("m.test", client).session
    assert not ours.shake("m.test", client, ticket).resumed


@VERSIONS
def test_another_base_knows_no_ticket(version: ssl.TLSVersion) -> None:
    ours, restarted = server(), server()
    client = client_context(only=version)
    assert not restarted.shake("a.test", client, ours.shake("a.test", client).session).resumed


def test_resumption_survives_a_dropped_context() -> None:
    """The cache is bounded; what it forgot is made again with the same session id context."""
    ours = server(m=TLSOptions())
    ours.contexts = type(ours.contexts)(kept=1)
    client = client_context()
    ticket = ours.shake("m.test", client).session
    assert ours.shake("a.test").ok
    assert len(ours.contexts) == 1
    assert ours.shake("m.test", client, ticket).resumed


def test_another_name_than_the_sniffed_one_fails() -> None:
    """If OpenSSL ever read another name, what was chosen for the sniffed one must not be used."""
    ours = server(m=auth("", ROOT))
    honest = ours.table.select

    class Liar:
        def select(self, hello: object, local_ip: str = "") -> Selection:
            return honest(hello, local_ip)._replace(server_name="b.test")  # type: ignore[arg-type]

    class Misled(Server):
        table = Liar()  # type: ignore[assignment]

    misled = Misled(ours.store, ours.options, ours.hosts)
    assert "server name changed" in misled.shake("a.test").refused


@pytest.mark.parametrize("spelling", ["M.TEST", "m.test."], ids=["ADV-C-upper", "ADV-C-dot"])
@pytest.mark.behaviour("ADV-C-1")
def test_spellings_of_a_name_reach_the_same_option(spelling: str) -> None:
    ours = server(m=auth("", ROOT))
    assert ours.shake(spelling, client_context(only=TLS12)).alert == "handshake failure"
    assert ours.shake(spelling, client_context(certificate=GOOD)).option == "m"


@pytest.mark.behaviour("ADV-C-6")
def test_the_default_option_can_demand_certificates_without_a_name() -> None:
    """ADV-C: no SNI at all."""
    ours = server(default=auth("", ROOT))
    assert not ours.shake(None, client_context(only=TLS12)).ok
    assert ours.shake(None, client_context(certificate=GOOD)).ok


def test_ecdsa_and_rsa_side_by_side_each_with_its_chain() -> None:
    """The client knows the root alone: each leaf must come with its own intermediate."""
    chains = [ROOT.intermediate("for ecdsa"), ROOT.intermediate("for rsa")]
    ours = server(chains[0].issue("a.test"), chains[1].issue("a.test", kind="rsa"))
    for number, suite in enumerate(("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256")):
        client = ssl.create_default_context(cadata=ROOT.pem)
        client.maximum_version = TLS12
        client.set_ciphers(suite)
        result = ours.shake("a.test", client)
        assert result.ok, result
        assert x509.load_der_x509_certificate(result.certificate).issuer == chains[number].name


@VERSIONS
def test_ecdsa_is_preferred_where_the_client_takes_both(version: ssl.TLSVersion) -> None:
    ours = server(ROOT.issue("a.test", kind="rsa"), ROOT.issue("a.test"))
    shown = x509.load_der_x509_certificate(ours.shake("a.test", client_context(only=version)).certificate)
    assert isinstance(shown.public_key(), ec.EllipticCurvePublicKey)


def test_a_bundle_that_openssl_refuses_raises() -> None:
    pair = ROOT.issue("a.test").loaded()
    pair.chain_pem = b"nothing"
    ours = server()
    selection = Selection(ours.options["default"], Bundle([pair]), "a.test")
    with pytest.raises(SSL.Error):
        ours.base.connect(selection, ours.contexts, None)
    assert len(ours.contexts) == 0


def test_settings_are_not_shared_between_options_of_equal_content() -> None:
    one, two = resolve(TLSOptions(), "one"), resolve(TLSOptions(), "two")
    assert one.identity != two.identity
    assert len(one.identity) == 32
