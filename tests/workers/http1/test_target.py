"""Request targets: normalisation, sanitising, routing path, canonical host."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.static import EntryPoint
from workers.errors import Failure
from workers.forwarded import Client, ForwardedPolicy
from workers.http1.codec import IncomingRequest, parse_request
from workers.http1.target import TargetPolicy, canonical_host, normalize_path, routing_path, sanitize_path

CLIENT = Client("192.0.2.1", 4000, False, "web", ForwardedPolicy(EntryPoint(address=":80"), "proxy"))


def request_for(target: bytes, policy: TargetPolicy | None = None) -> IncomingRequest:
    request = parse_request(
        b"GET %b HTTP/1.1\r\nHost: a.example\r\n\r\n" % target, CLIENT, policy or TargetPolicy()
    )
    assert isinstance(request, IncomingRequest), request
    return request


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        (b"/a/./b", b"/a/b"),
        (b"/a/../b", b"/b"),
        (b"//a///b/", b"/a/b/"),
        (b"/../../b/", b"/b/"),
        (b"/a/b/..", b"/a"),
        (b"/..///b///", b"/b/"),
        (b"/a/%2E%2E/b", b"/b"),
        (b"/%61", b"/a"),
        (b"/a%2fb", b"/a%2Fb"),
        (b"/a/..%2Fb/", b"/a/..%2Fb/"),
        (b"/a/%252E%252E/", b"/a/%252E%252E/"),
        (b"/", b"/"),
        (b"/..", b"/"),
        (b"/a/.", b"/a"),
        (b"/.well-known/x", b"/.well-known/x"),
        (b"/a..b/..c", b"/a..b/..c"),
        (b"/a\\..\\b", b"/a%5C..%5Cb"),
        (b"/a;x=1/../b", b"/b"),
        (b"/caf\xc3\xa9", b"/caf%C3%A9"),
        (b'/a|b"<>^`{}', b"/a%7Cb%22%3C%3E%5E%60%7B%7D"),
    ],
)
@pytest.mark.behaviour("DP-14")
@pytest.mark.behaviour("DP-16")
@pytest.mark.behaviour("ADV-A-2")
@pytest.mark.behaviour("ADV-A-3")
def test_path_as_sent_and_as_routed(raw: bytes, sent: bytes) -> None:
    """ADV-A: the router sees the very path that the server gets."""
    request = request_for(raw)
    assert request.target == request.path == sent
    assert request.routing_path == routing_path(sent)


@pytest.mark.behaviour("DP-14")
def test_query_is_not_sanitised() -> None:
    request = request_for(b"/a/../b//c/?u=http://x/../y&z=%2f#".rstrip(b"#"))
    assert request.target == b"/b/c/?u=http://x/../y&z=%2f"
    assert (request.path, request.query, request.has_query) == (b"/b/c/", b"u=http://x/../y&z=%2f", True)


@pytest.mark.behaviour("DP-15")
def test_without_sanitising() -> None:
    assert request_for(b"/a/../b//c/", TargetPolicy(sanitize=False)).target == b"/a/../b//c/"


@pytest.mark.behaviour("DP-17")
def test_unreserved_escapes_are_decoded() -> None:
    request = request_for(b"/%77ith?%77")
    assert (request.target, request.routing_path) == (b"/with?%77", b"/with")


@pytest.mark.behaviour("DP-18")
@pytest.mark.behaviour("DP-19")
@pytest.mark.behaviour("ADV-A-4")
def test_routing_path_decodes_all_but_reserved() -> None:
    request = request_for(b"/foo%20bar%2fx%25%3a%C3%A9")
    assert request.target == b"/foo%20bar%2Fx%25%3A%C3%A9"
    assert request.routing_path == b"/foo bar%2Fx%25%3A\xc3\xa9"


@pytest.mark.behaviour("DP-21")
def test_semicolons_in_the_query() -> None:
    request = request_for(b"/?a=1;b=2")
    assert request.target == b"/?a=1&b=2"
    assert request.query_values() == {b"a": [b"1"], b"b": [b"2"]}
    request = request_for(b"/?a=1;b=2", TargetPolicy(encode_semicolons=True))
    assert request.target == b"/?a=1%3Bb=2"
    assert request.query_values() == {b"a": [b"1;b=2"]}


def test_query_values() -> None:
    request = request_for(b"/?a=1&a=2&b&c=&d=x+y%20z&e=%zz&%66=1")
    assert request.query_values() == {
        b"a": [b"1", b"2"],
        b"b": [b""],
        b"c": [b""],
        b"d": [b"x y z"],
        b"f": [b"1"],
    }
    assert not request_for(b"/x").has_query
    assert request_for(b"/x?").target == b"/x?"


def test_set_target() -> None:
    request = request_for(b"/x?a=1")
    request.query_values()
    request.set_target(b"/y", b"b=2")
    assert (request.target, request.query_values()) == (b"/y?b=2", {b"b": [b"2"]})
    request.set_target(b"/y", None)
    assert (request.target, request.has_query) == (b"/y", False)


@pytest.mark.behaviour("DP-11")
def test_authority_of_an_absolute_target_replaces_host() -> None:
    request = request_for(b"http://B.example:81/x")
    assert (request.host_header, request.host, request.target) == (b"B.example:81", b"b.example", b"/x")


@pytest.mark.parametrize(
    ("value", "host"),
    [
        (b"A.Example", b"a.example"),
        (b"a.example.:8080", b"a.example."),
        (b"[2001:DB8::1]:80", b"2001:db8::1"),
        (b"127.0.0.1:80", b"127.0.0.1"),
        (b"a:", b"a"),
        (b"", b""),
        (b"a:99999", None),
        (b"a b", None),
        (b"a@b", None),
        (b"[::1", None),
    ],
)
def test_canonical_host(value: bytes, host: bytes | None) -> None:
    assert canonical_host(value) == host


_PATHS = st.lists(
    st.sampled_from(
        [b"/", b".", b"..", b"a", b"%2e", b"%2F", b"%5c", b"\\", b";", b"%", b"%41", b"|", b"\xff", b"//"]
    ),
    max_size=12,
).map(lambda parts: b"/" + b"".join(parts))


@given(_PATHS)
@pytest.mark.behaviour("ADV-A-8")
def test_what_was_normalised_and_sanitised_stays_as_it_is(path: bytes) -> None:
    """ADV-A: a second look (a middleware's, a server's) finds nothing to change."""
    normal = normalize_path(path)
    if normal is None:
        return
    clean = sanitize_path(normal)
    assert normalize_path(clean) == clean
    assert sanitize_path(clean) == clean
    assert b"/../" not in clean + b"/"
    assert b"//" not in clean


@given(_PATHS)
def test_fast_and_slow_way_agree(path: bytes) -> None:
    request = parse_request(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path, CLIENT, TargetPolicy())
    normal = normalize_path(path)
    if normal is None:
        assert isinstance(request, Failure)
    else:
        assert isinstance(request, IncomingRequest)
        assert request.path == sanitize_path(normal)
