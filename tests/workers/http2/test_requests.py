"""Header lists to requests: what RFC 9113 calls malformed, and the policy that HTTP/1 requests meet too."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.static import EntryPoint
from config.static_entrypoint import HTTP, ForwardedHeaders
from workers import errors
from workers.errors import Failure
from workers.forwarded import Client, ForwardedPolicy
from workers.headers import upstream_head
from workers.http1.codec import IncomingRequest, parse_request
from workers.http1.target import TargetPolicy
from workers.http2.names import canonical, outgoing
from workers.http2.requests import Http2Request, Malformed, check_trailers, request_from

Pairs = list[tuple[bytes, bytes]]
START: Pairs = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a.example"), (b":path", b"/x")]
POLICY = TargetPolicy()


def client(**options: object) -> Client:
    point = EntryPoint(address=":80", **options)  # type: ignore[arg-type]
    return Client("10.0.0.1", 1234, True, "web", ForwardedPolicy(point, "proxy"))


def made(pairs: Pairs, end: bool = True, peer: Client | None = None) -> Http2Request | Failure:
    fields = [(name, value, False) for name, value in pairs]
    return request_from(fields, end, peer or client(), POLICY)


def good(pairs: Pairs, end: bool = True) -> Http2Request:
    request = made(pairs, end)
    assert isinstance(request, Http2Request)
    return request


def changed(**values: bytes | None) -> Pairs:
    """The usual start with other values, without those that are None."""
    given = {name: values.get(name[1:].decode(), value) for name, value in START}
    return [(name, value) for name, value in given.items() if value is not None]


def test_an_ordinary_request() -> None:
    request = good([*START, (b"accept", b"*/*"), (b"x-request-id", b"7")])
    assert (request.method, request.target, request.host_header, request.host) == (
        b"GET",
        b"/x",
        b"a.example",
        b"a.example",
    )
    assert request._headers == [(b"Accept", b"*/*"), (b"X-Request-Id", b"7")]
    assert (request.content_length, request.upgrade, request.refusal) == (0, b"", None)


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        changed(method=None),
        changed(method=b""),
        changed(method=b"G T"),
        changed(scheme=None),
        changed(scheme=b"ftp"),
        changed(path=None),
        changed(path=b""),
        changed(path=b"x"),
        changed(path=b"http://a/x"),
        changed(path=b"/a b"),
        changed(path=b"/a\x00"),
        [*START, (b":path", b"/y")],
        [*START, (b":protocol", b"websocket")],
        [*START, (b":status", b"200")],
        [*START[:3], (b"a", b"b"), START[3]],
        [(b"a", b"b"), *START],
        [*START, (b"", b"x")],
        [*START, (b"Accept", b"x")],
        [*START, (b"a b", b"x")],
        [*START, (b"a:", b"x")],
        [*START, (b"\xc3\xa9", b"x")],
        [*START, (b"connection", b"close")],
        [*START, (b"keep-alive", b"x")],
        [*START, (b"proxy-connection", b"x")],
        [*START, (b"transfer-encoding", b"chunked")],
        [*START, (b"upgrade", b"websocket")],
        [*START, (b"te", b"gzip")],
        [*START, (b"te", b"trailers, gzip")],
        [*START, (b"a", b"x\r\ny: z")],
        [*START, (b"a", b"x\0")],
        [*START, (b"a", b"\n")],
        [*START, (b"a", b"x\ny"), (b"b", b"")],
        [*START, (b"host", b"b.example")],
        [*START, (b"host", b"a.example"), (b"host", b"a.example")],
        [*START, (b"content-length", b"1")],
        [*START, (b"content-length", b"0"), (b"content-length", b"0")],
        [*START, (b"content-length", b"+0")],
        [*START, (b"content-length", b"")],
        [(b":method", b"CONNECT"), (b":authority", b"")],
        [(b":method", b"CONNECT"), *START[1:]],
        [*START, *[(b"a", b"")] * 17000],
    ],
)
def test_malformed_lists(pairs: Pairs) -> None:
    with pytest.raises(Malformed):
        made(pairs)


def test_host_takes_the_place_of_a_missing_authority() -> None:
    assert good([*changed(authority=None), (b"host", b"h.example:8443")]).host == b"h.example"
    assert good([*START, (b"host", b"A.example")]).host_header == b"a.example"
    assert good(changed(authority=None)).host_header == b""


@pytest.mark.parametrize("authority", [b"a b", b"u@a", b"a:99999", b"a/b", b"\xc3\xa9"])
def test_an_authority_that_is_no_host(authority: bytes) -> None:
    assert made(changed(authority=authority)) is errors.MALFORMED_HOST


def test_blanks_around_values_are_taken_off() -> None:
    request = good([*START, (b"a", b" x\t"), (b"b", b"\ty z "), (b"c", b" ")])
    assert request._headers == [(b"A", b"x"), (b"B", b"y z"), (b"C", b"")]


def test_a_length_that_the_body_will_be_held_to() -> None:
    assert good([*START, (b"content-length", b"12")], end=False).content_length == 12
    assert good(START, end=False).content_length == -1


def test_cookies_are_one_line_at_the_place_of_the_first() -> None:
    request = good([*START, (b"cookie", b"a=1"), (b"x", b"1"), (b"cookie", b"b=2"), (b"cookie", b"c=3")])
    assert request._headers == [(b"Cookie", b"a=1; b=2; c=3"), (b"X", b"1")]


@pytest.mark.parametrize("value", [b"100-continue", b"100-Continue"])
def test_an_expectation_is_between_the_client_and_us(value: bytes) -> None:
    request = good([*START, (b"expect", value)], end=False)
    assert request.awaits_continue
    assert not request.expect_continue
    assert not request._headers
    assert not good([*START, (b"expect", value)]).awaits_continue


def test_http_1_settings_are_not_passed_on() -> None:
    request = good([*START, (b"http2-settings", b"x"), (b"proxy-authorization", b"x"), (b"a", b"b")])
    assert b"x\r\n" not in upstream_head(request, b"h").replace(b"/x HTTP", b"")


def test_a_trusted_peer_is_believed() -> None:
    peer = client(forwarded_headers=ForwardedHeaders(insecure=True))
    request = made([*START, (b"x-forwarded-for", b"9.9.9.9"), (b"x-forwarded-proto", b"http")], peer=peer)
    assert isinstance(request, Http2Request)
    head = upstream_head(request, b"h")
    assert b"X-Forwarded-For: 9.9.9.9, 10.0.0.1\r\n" in head
    assert b"X-Forwarded-Proto: http\r\n" in head


def test_canonical_names() -> None:
    assert [canonical(name) for name in (b"x-a-b", b"etag", b"x--y", b"x_y", b"1-a", b"-")] == [
        b"X-A-B",
        b"Etag",
        b"X--Y",
        b"X_y",
        b"1-A",
        b"-",
    ]


def test_what_goes_out() -> None:
    assert outgoing((b"X-Some", b"Value")) == (b"x-some", b"Value", False)
    assert outgoing((b"Set-Cookie", b"a=b")) == (b"set-cookie", b"a=b", True)
    for name in (
        b"Connection",
        b"keep-alive",
        b"Transfer-Encoding",
        b"Upgrade",
        b"Proxy-Connection",
        b":status",
        b"",
    ):
        assert outgoing((name, b"x")) is None


@pytest.mark.parametrize("name", [b":path", b"X", b"connection", b"a b"])
def test_trailers_are_held_to_the_same_rules(name: bytes) -> None:
    with pytest.raises(Malformed):
        check_trailers([(name, b"x", False)])
    with pytest.raises(Malformed):
        check_trailers([(b"a", b"x\r\n", False)])
    check_trailers([(b"a", b"x", False), (b"grpc-status", b"0", False)])


_NAMES = [
    b"accept",
    b"cookie",
    b"x-forwarded-for",
    b"x_forwarded_for",
    b"x-real-ip",
    b"x-a",
    b"x_b",
    b"te",
    b"trailer",
]
_VALUES = st.from_regex(rb"[!-~]([ -~]{0,10}[!-~])?", fullmatch=True)
_HEADERS = st.lists(
    st.sampled_from(_NAMES).flatmap(
        lambda name: st.tuples(st.just(name), st.just(b"trailers") if name == b"te" else _VALUES)
    ),
    max_size=6,
)
_PATHS = st.from_regex(rb"/[!-~]{0,12}", fullmatch=True)


@settings(deadline=None, max_examples=200)
@given(
    headers=_HEADERS, path=_PATHS, insecure=st.booleans(), strategy=st.sampled_from(["keep", "delete", "reject"])
)
def test_the_policy_is_that_of_http_1(headers: Pairs, path: bytes, insecure: bool, strategy: str) -> None:
    """One request through both parsers: refused alike, or the same bytes for the server."""
    if sum(name == b"cookie" for name, _ in headers) > 1:
        return  # crumbs are joined on HTTP/2 alone
    peer = client(
        forwarded_headers=ForwardedHeaders(insecure=insecure), http=HTTP(underscore_headers_strategy=strategy)
    )
    lines = b"".join([b"%b: %b\r\n" % (canonical(name), value) for name, value in headers])
    one = parse_request(b"GET %b HTTP/1.1\r\nHost: a.example\r\n%b\r\n" % (path, lines), peer, POLICY)
    two = made([*changed(path=path), *headers], peer=peer)
    if isinstance(one, Failure) or isinstance(two, Failure):
        assert one is two
        return
    assert isinstance(one, IncomingRequest)
    assert one.refusal is two.refusal
    if one.refusal is None:
        assert upstream_head(one, b"h") == upstream_head(two, b"h")
        assert (one.path, one.routing_path, one.query, one.host) == (
            two.path,
            two.routing_path,
            two.query,
            two.host,
        )
