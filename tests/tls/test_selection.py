from __future__ import annotations

import pytest

from config.tls import ClientAuth, TLSOptions
from tests.tls.handshakes import Server, client_context
from tests.tls.pki import Authority
from tls.alerts import UNRECOGNIZED_NAME, HandshakeRefused, alert_record
from tls.hello import ClientHello
from tls.options import resolve
from tls.selection import OptionClaim, TLSTable, assign_options
from tls.server_names import NameTable, normalize_server_name
from tls.store import Bundle, CertificateStore

ROOT = Authority()
DEFAULT = Bundle([ROOT.issue("default.test").loaded()])
STORE = CertificateStore({}, DEFAULT)
PLAIN = resolve(TLSOptions(), "default")
MUTUAL = resolve(TLSOptions(client_auth=ClientAuth(ca_files=[ROOT.pem])), "m")


def option_of(table: TLSTable, name: str) -> str:
    return table.select(ClientHello(name)).settings.name


@pytest.mark.behaviour("DP-110")
@pytest.mark.behaviour("ADV-C-2")
def test_a_missing_option_closes_its_hosts_and_no_others() -> None:
    ours = Server(STORE, hosts=NameTable([("u.test", "unknown")]))
    refused = ours.shake("u.test")
    assert refused.silent
    assert refused.refused == "TLS option 'unknown' is missing or broken"
    assert "EOF" in refused.error
    assert ours.shake("other.test").ok


def test_adv_c_a_broken_default_closes_what_no_other_option_covers() -> None:
    table = TLSTable(STORE, {"m": MUTUAL}, NameTable([("m.test", "m")]))
    assert option_of(table, "m.test") == "m"
    for name in ("", "a.test", "x.m.test"):
        with pytest.raises(HandshakeRefused) as caught:
            table.select(ClientHello(name))
        assert caught.value.record == b""


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("m.test", "m"),
        ("a.wild.test", "m"),
        ("exact.wild.test", "default"),
        ("a.b.wild.test", "default"),
        ("wild.test", "default"),
        ("", "default"),
    ],
)
@pytest.mark.behaviour("ADV-C-1")
def test_adv_c_options_by_name(name: str, option: str) -> None:
    hosts = NameTable([("M.test.", "m"), ("*.Wild.test", "m"), ("exact.wild.test", "default")])
    assert option_of(TLSTable(STORE, {"m": MUTUAL, "default": PLAIN}, hosts), name) == option


def test_a_catch_all_host_takes_every_name_without_a_better_entry() -> None:
    hosts = NameTable([("*", "m"), ("a.test", "default")])
    table = TLSTable(STORE, {"m": MUTUAL, "default": PLAIN}, hosts)
    assert [option_of(table, name) for name in ("a.test", "b.test", "")] == ["default", "m", "m"]


@pytest.mark.behaviour("DP-109")
def test_disagreeing_routers_fall_to_the_default() -> None:
    assigned = assign_options([OptionClaim("one", ("h.test",), "m"), OptionClaim("two", ("H.test",), "default")])
    assert set(assigned.fallen) == {"one", "two"}
    assert "host h.test want different options (default, m)" in assigned.fallen["one"]
    ours = Server(STORE, {"m": MUTUAL, "default": PLAIN}, assigned.hosts)
    assert ours.shake("h.test", client_context()).option == "default"


def test_agreeing_routers_keep_their_option() -> None:
    assigned = assign_options(
        [OptionClaim("one", ("h.test",), "m"), OptionClaim("two", ("h.test", "i.test"), "m")]
    )
    assert assigned.fallen == {}
    assert (assigned.hosts.find("h.test"), assigned.hosts.find("i.test")) == ("m", "m")


def test_a_fallen_router_loses_its_other_hosts_but_takes_no_neighbour_along() -> None:
    claims = [
        OptionClaim("one", ("a", "b", "c"), "m"),
        OptionClaim("two", ("a",), "default"),
        OptionClaim("three", ("b",), "m"),
    ]
    for order in (claims, claims[::-1]):
        assigned = assign_options(order)
        assert set(assigned.fallen) == {"one", "two"}
        assert [assigned.hosts.find(host) for host in "abc"] == ["default", "m", "default"]


def test_a_router_without_hosts_gets_the_default() -> None:
    assigned = assign_options([OptionClaim("one", (), "m"), OptionClaim("two", (), "default")])
    assert list(assigned.fallen) == ["one"]
    assert len(assigned.hosts) == 0


def test_acme_asks_the_challenges_only() -> None:
    challenge = Bundle([ROOT.issue("a.test").loaded()])
    ours = Server(
        CertificateStore({"a": ROOT.issue("b.test").loaded()}, DEFAULT), challenges={"a.test": challenge}
    )
    client = client_context(alpn=["acme-tls/1"])
    answered = ours.shake("a.test", client)
    assert answered.alpn == "acme-tls/1"
    assert answered.server is not None
    assert answered.server.selection.bundle is challenge
    assert ours.shake("b.test", client).alert == "unrecognized name"


def test_alert_records() -> None:
    assert HandshakeRefused("why", UNRECOGNIZED_NAME).record == alert_record(112) == b"\x15\x03\x01\0\x02\x02\x70"


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        (" A.b. ", "a.b"),
        ("", ""),
        ("::FFFF:1.2.3.4", "::ffff:102:304"),
        ("1.2.3.4", "1.2.3.4"),
        ("host1", "host1"),
    ],
)
@pytest.mark.behaviour("ADV-C-1")
def test_spellings(spelled: str, name: str) -> None:
    assert normalize_server_name(spelled) == normalize_server_name(name)
    assert normalize_server_name(normalize_server_name(spelled)) == normalize_server_name(spelled)


def test_a_named_host_is_not_the_catch_all() -> None:
    """What tells HTTPS from TCP routers: is there an HTTPS router for just this name?"""
    table = TLSTable(STORE, {}, NameTable([("a.test", "default"), ("*.wild.test", "default"), ("*", "default")]))
    named = {
        name: table.is_named(name) for name in ("a.test", "x.wild.test", "x.y.wild.test", "wild.test", "b", "")
    }
    assert [name for name, is_named in named.items() if is_named] == ["a.test", "x.wild.test"]
    assert table.has_catch_all
    assert not TLSTable(STORE, {}, NameTable([("a.test", "default")])).has_catch_all
    assert TLSTable(STORE, {}, hostless=True).has_routers
    assert not TLSTable(STORE, {}).has_routers


def test_a_tcp_router_s_option_comes_before_that_of_the_name() -> None:
    table = TLSTable(STORE, {"default": PLAIN, "m": MUTUAL}, NameTable([("m.test", "m")]))
    assert table.select(ClientHello("m.test"), option="default").settings is PLAIN
    assert table.select(ClientHello("m.test")).settings is MUTUAL
    with pytest.raises(HandshakeRefused):
        table.select(ClientHello("m.test"), option="gone")
