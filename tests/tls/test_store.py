from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.tls import TLSOptions
from tests.tls.handshakes import Server, client_context
from tests.tls.pki import Authority, Kind
from tls.alerts import HandshakeRefused
from tls.certificates import Certificate
from tls.generated import DEFAULT_COMMON_NAME, generate_default_certificate
from tls.options import resolve
from tls.store import Bundle, CertificateStore

ROOT = Authority()


def value(*names: str, kind: Kind = "ecdsa", mark: str = "") -> Certificate:
    """A certificate as the store sees one: it never parses it again."""
    pem = f"{names}{kind}{mark}".encode()
    return Certificate(pem, b"", names=tuple(sorted(names)), key_type=kind, not_before=0, not_after=1)


DEFAULT = Bundle([value("default")])


def store(*certificates: Certificate) -> CertificateStore:
    return CertificateStore({f"ns/{number:03}": item for number, item in enumerate(certificates)}, DEFAULT)


@pytest.mark.behaviour("DP-105")
def test_exact_then_wildcard_then_default() -> None:
    ours = store(value("*.a.com"), value("x.a.com"))
    assert ours.choose("x.a.com").key == "x.a.com"
    assert ours.choose("y.a.com").key == "*.a.com"
    for name in ("x.y.a.com", "a.com", "", ".a.com", "other"):
        assert ours.choose(name) is DEFAULT


@pytest.mark.behaviour("DP-105")
def test_in_real_handshakes() -> None:
    pairs = [ROOT.issue("*.a.com"), ROOT.issue("x.a.com")]
    ours = Server(
        CertificateStore(
            {str(n): pair.loaded() for n, pair in enumerate(pairs)}, Bundle([ROOT.issue("d").loaded()])
        )
    )
    shown = {name: ours.shake(name).server for name in ("x.a.com", "y.a.com", "x.y.a.com", None)}
    keys = [connection.selection.bundle.key for connection in shown.values() if connection is not None]
    assert keys == ["x.a.com", "*.a.com", "d", "d"]


@pytest.mark.behaviour("DP-104")
def test_the_generated_certificate_answers_where_nothing_is_configured() -> None:
    default = generate_default_certificate()
    result = Server(CertificateStore({}, Bundle([default]))).shake("a.test")
    assert result.ok
    assert DEFAULT_COMMON_NAME.encode() in result.certificate


@pytest.mark.behaviour("DP-106")
def test_sni_strict_refuses_unknown_names() -> None:
    ours = Server(
        CertificateStore({"a": ROOT.issue("a.test").loaded()}, Bundle([ROOT.issue("d").loaded()])),
        {"default": resolve(TLSOptions(sni_strict=True))},
    )
    assert ours.shake("a.test").ok
    refused = ours.shake("b.test", client_context())
    assert refused.alert == "unrecognized name"
    assert refused.refused == "no certificate for 'b.test'"
    assert ours.shake(None).alert == "unrecognized name"


def test_no_default_ends_the_handshake() -> None:
    with pytest.raises(HandshakeRefused, match="no certificate for a client without a server name"):
        CertificateStore().choose("")


def test_without_a_name_the_dialled_address_counts() -> None:
    ours = store(value("10.0.0.1"), value("2001:db8::1"))
    assert ours.choose("", "10.0.0.1").key == "10.0.0.1"
    assert ours.choose("", "2001:DB8:0::1").key == "2001:db8::1"
    assert ours.choose("", "10.0.0.2") is DEFAULT
    assert ours.choose("a.test", "10.0.0.1") is DEFAULT


@pytest.mark.parametrize(
    ("certificates", "name", "key"),
    [
        ([("www.a", "x"), ("a", "www.a")], "www.a", "www.a,x"),
        ([("*.a", "www.a"), ("www.a",)], "www.a", "www.a"),
        ([("*.a", "www.b"), ("*.b",)], "www.b", "*.b"),
        ([("*.a",), ("*.a", "www.a")], "www.a", "*.a,www.a"),
    ],
)
def test_the_greatest_key_wins(certificates: list[tuple[str, ...]], name: str, key: str) -> None:
    values = [value(*names) for names in certificates]
    assert store(*values).choose(name).key == key
    assert store(*reversed(values)).choose(name).key == key


def test_key_types_stand_side_by_side_and_the_first_source_of_a_type_stays() -> None:
    first, second, third = value("a", mark="1"), value("a", kind="rsa", mark="2"), value("a", mark="3")
    ours = CertificateStore({"ns/c": third, "ns/b": second, "ns/a": first}, DEFAULT)
    assert ours.choose("a").certificates == (first, second)
    assert repr(ours.choose("a")) == "<Bundle a ecdsa+rsa>"


def test_replacing_leaves_the_old_store_as_it_was() -> None:
    old = CertificateStore({"ns/a": value("a"), "ns/b": value("b")}, DEFAULT)
    new = old.replaced(["ns/a"], {"ns/b": value("b", mark="2"), "ns/c": value("*.c")})
    assert [old.find(name) is None for name in ("a", "b", "x.c")] == [False, False, True]
    assert [new.find(name) is None for name in ("a", "b", "x.c")] == [True, False, False]
    assert old.find("b") != new.find("b")
    assert (len(old), len(new)) == (2, 2)
    assert "ns/c" in new
    assert new.default is DEFAULT


LABELS = st.sampled_from(["a", "b", "a.b", "*.b", "*.a.b", "x.a.b", "*", "1.2.3.4"])
CERTIFICATES = st.builds(
    lambda names, kind: value(*names, kind=kind),
    st.sets(LABELS, min_size=1, max_size=3),
    st.sampled_from(["rsa", "ecdsa"]),
)
SOURCES = st.dictionaries(st.sampled_from([f"ns/{letter}" for letter in "abcdef"]), CERTIFICATES)


@given(SOURCES, SOURCES, st.sets(st.sampled_from(["ns/a", "ns/b", "ns/c"])))
def test_a_changed_store_equals_one_made_anew(
    before: dict[str, Certificate], added: dict[str, Certificate], removed: set[str]
) -> None:
    changed = CertificateStore(before, DEFAULT).replaced(removed, added)
    anew = CertificateStore({k: v for k, v in before.items() if k not in removed} | added, DEFAULT)
    for name in ("a", "b", "a.b", "x.b", "x.a.b", "y.a.b", "1.2.3.4", "", "*"):
        assert changed.find(name) == anew.find(name)
    assert len(changed) == len(anew)
    assert changed._exact == anew._exact
    assert changed._wildcard == anew._wildcard
