"""What the server gets to see of the client's headers."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.static import EntryPoint
from config.static_entrypoint import HTTP, ForwardedHeaders
from workers.errors import UNDERSCORE_HEADER, Failure
from workers.forwarded import Client, ForwardedPolicy
from workers.headers import MANAGED_NAMES, kinds_by_name, upstream_head
from workers.http1.codec import IncomingRequest, parse_request
from workers.http1.target import TargetPolicy, _hosts

HOSTNAME = "proxy-1"
Headers = list[tuple[bytes, bytes]]


def read(
    *lines: bytes,
    first: bytes = b"GET / HTTP/1.1",
    host: bytes = b"a.example",
    peer: str = "127.0.0.1",
    tls: bool = False,
    underscores: str = "",
    aliases: str = "",
    **forwarded: object,
) -> IncomingRequest | Failure | None:
    options = EntryPoint(
        address=":80",
        forwarded_headers=ForwardedHeaders(**forwarded),  # type: ignore[arg-type]
        http=HTTP(underscore_headers_strategy=underscores, alias_headers_strategy=aliases),
    )
    client = Client(peer, 4000, tls, "web", ForwardedPolicy(options, HOSTNAME))
    return parse_request(b"\r\n".join([first, b"Host: " + host, *lines, b"", b""]), client, TargetPolicy())


def sent(*lines: bytes, touch: bool = False, **options: object) -> dict[bytes, list[bytes]]:
    """Lower-case names and their values as the server gets them."""
    request = read(*lines, **options)  # type: ignore[arg-type]
    assert isinstance(request, IncomingRequest), request
    if touch:
        request.headers.append((b"X-Touched", b"1"))
    head = upstream_head(request, request.host_header)
    assert head.endswith(b"\r\n\r\n")
    found: dict[bytes, list[bytes]] = {}
    for line in head[:-4].split(b"\r\n")[1:]:
        name, _, value = line.partition(b": ")
        found.setdefault(name.lower(), []).append(value)
    if touch:
        assert found.pop(b"x-touched") == [b"1"]
    if request.asked_gzip:
        assert found.pop(b"accept-encoding") == [b"gzip"]
    return found


ADDED: dict[bytes, list[bytes]] = {
    b"host": [b"a.example"],
    b"x-forwarded-for": [b"127.0.0.1"],
    b"x-forwarded-host": [b"a.example"],
    b"x-forwarded-port": [b"80"],
    b"x-forwarded-proto": [b"http"],
    b"x-forwarded-server": [HOSTNAME.encode()],
    b"x-real-ip": [b"127.0.0.1"],
}
TOUCH = pytest.mark.parametrize("touch", [False, True], ids=["as they came", "touched by a middleware"])


@pytest.mark.behaviour("DP-52")
@TOUCH
def test_plain_request(touch: bool) -> None:
    assert sent(touch=touch) == ADDED
    with_port = sent(touch=touch, host=b"a.example:8080")
    assert with_port[b"x-forwarded-port"] == [b"8080"]
    assert with_port[b"x-forwarded-host"] == [b"a.example:8080"]


@pytest.mark.behaviour("DP-53")
@TOUCH
def test_untrusted_word_is_ignored(touch: bool) -> None:
    """ADV-B"""
    lines = [b"%b: forged" % name for name in MANAGED_NAMES]
    assert sent(*lines, touch=touch) == ADDED


@pytest.mark.behaviour("DP-54")
@TOUCH
def test_trusted_peer_is_believed(touch: bool) -> None:
    found = sent(
        b"X-Forwarded-For: 9.9.9.9",
        b"X-Forwarded-Proto: https",
        b"X-Real-Ip: 8.8.8.8",
        b"X-Forwarded-Prefix: /p",
        b"X-Forwarded-Server: theirs",
        touch=touch,
        trusted_ips=["127.0.0.1/32"],
    )
    assert found == {
        **ADDED,
        b"x-forwarded-for": [b"9.9.9.9, 127.0.0.1"],
        b"x-forwarded-proto": [b"https"],
        b"x-forwarded-port": [b"443"],
        b"x-real-ip": [b"8.8.8.8"],
        b"x-forwarded-prefix": [b"/p"],
    }


def test_several_lines_of_a_trusted_chain_become_one() -> None:
    found = sent(b"X-Forwarded-For: 1.1.1.1", b"X-Forwarded-For: 2.2.2.2", insecure=True)
    assert found[b"x-forwarded-for"] == [b"1.1.1.1, 2.2.2.2, 127.0.0.1"]


def test_trust_goes_by_the_peer() -> None:
    line = b"X-Forwarded-For: 9.9.9.9"
    assert sent(line, trusted_ips=["10.0.0.0/8"])[b"x-forwarded-for"] == [b"127.0.0.1"]
    assert sent(line, trusted_ips=["10.0.0.0/8"], peer="10.1.2.3")[b"x-forwarded-for"] == [b"9.9.9.9, 10.1.2.3"]
    assert sent(line, trusted_ips=["::/0"])[b"x-forwarded-for"] == [b"127.0.0.1"]


def test_empty_values_of_a_trusted_peer_are_filled_in() -> None:
    found = sent(b"X-Real-Ip:", b"X-Forwarded-Host: ", b"X-Forwarded-Proto:", insecure=True)
    assert found == ADDED


@pytest.mark.behaviour("DP-55")
@TOUCH
def test_not_appending_the_peer(touch: bool) -> None:
    options = {"not_append_x_forwarded_for": True, "insecure": True}
    found = sent(b"X-Forwarded-For: 9.9.9.9", touch=touch, **options)
    assert found[b"x-forwarded-for"] == [b"9.9.9.9"]
    assert b"x-forwarded-for" not in sent(touch=touch, **options)


@pytest.mark.behaviour("DP-56")
@TOUCH
@pytest.mark.behaviour("ADV-B-1")
def test_spellings_with_underscores_are_no_way_around(touch: bool) -> None:
    """ADV-B"""
    found = sent(
        b"X_Forwarded_Proto: https", b"x-forwarded_for: 9.9.9.9", b"X_REAL_IP: 8", b"X_Auth: 1", touch=touch
    )
    assert found == {**ADDED, b"x_auth": [b"1"]}


@pytest.mark.behaviour("DP-57")
@TOUCH
@pytest.mark.behaviour("ADV-B-1")
def test_connection_lists_headers_to_drop_but_never_ours(touch: bool) -> None:
    """ADV-B: in any case and spelling of the tokens."""
    found = sent(
        b"Connection: Foo, bar , x-forwarded-for, X-REAL-IP, close", b"Foo: 1", b"Bar: 1", b"Baz: 1", touch=touch
    )
    assert found == {**ADDED, b"baz": [b"1"]}


@pytest.mark.behaviour("ADV-B-1")
def test_connection_cannot_strip_a_trusted_chain() -> None:
    """ADV-B"""
    found = sent(b"Connection: x-forwarded-for", b"X-Forwarded-For: 9.9.9.9", insecure=True)
    assert found[b"x-forwarded-for"] == [b"9.9.9.9, 127.0.0.1"]


def test_connection_cannot_strip_host_or_framing() -> None:
    found = sent(
        b"Connection: host, content-length, transfer-encoding",
        b"Content-Length: 3",
        first=b"POST / HTTP/1.1",
    )
    assert found == {**ADDED, b"content-length": [b"3"]}


def test_names_the_entry_point_keeps_reach_the_middlewares_but_not_the_server() -> None:
    request = read(b"Connection: Foo, Bar", b"Foo: 1", b"Bar: 1", connection=["foo"])
    assert isinstance(request, IncomingRequest)
    assert request.header_values(b"foo") == [b"1"]
    assert request.header_values(b"bar") == []
    assert b"foo" not in sent(b"Connection: Foo, Bar", b"Foo: 1", b"Bar: 1", connection=["foo"])


@pytest.mark.behaviour("DP-58")
@TOUCH
def test_hop_by_hop_headers_stop_here(touch: bool) -> None:
    lines = [
        b"Keep-Alive: timeout=5",
        b"Proxy-Authorization: Basic x",
        b"Proxy-Connection: keep-alive",
        b"Te: gzip",
        b"Trailer: X",
        b"Upgrade: websocket",
    ]
    assert sent(*lines, touch=touch) == ADDED
    assert sent(b"Te: trailers, gzip", touch=touch) == {**ADDED, b"te": [b"trailers"]}
    assert sent(b"Te: trailers;q=0", touch=touch) == ADDED


@pytest.mark.behaviour("DP-59")
def test_nothing_else_is_added() -> None:
    assert set(sent()) == set(ADDED)


@pytest.mark.behaviour("DP-63")
@TOUCH
@pytest.mark.parametrize(
    ("first", "lines", "expected"),
    [
        (b"POST / HTTP/1.1", [], {b"content-length": [b"0"]}),
        (b"PUT / HTTP/1.1", [], {b"content-length": [b"0"]}),
        (b"PATCH / HTTP/1.1", [b"Content-Length: 0"], {b"content-length": [b"0"]}),
        (b"DELETE / HTTP/1.1", [], {}),
        (b"GET / HTTP/1.1", [b"Content-Length: 3"], {b"content-length": [b"3"]}),
        (b"POST / HTTP/1.1", [b"Transfer-Encoding: Chunked"], {b"transfer-encoding": [b"chunked"]}),
    ],
)
def test_framing(first: bytes, lines: list[bytes], expected: dict[bytes, list[bytes]], touch: bool) -> None:
    assert sent(*lines, first=first, touch=touch) == {**ADDED, **expected}


@pytest.mark.behaviour("DP-65")
def test_over_tls() -> None:
    found = sent(tls=True)
    assert found[b"x-forwarded-proto"] == [b"https"]
    assert found[b"x-forwarded-port"] == [b"443"]


@pytest.mark.behaviour("DP-82")
def test_upgrade_is_passed_on() -> None:
    lines = [b"Connection: keep-alive, Upgrade", b"Upgrade: WebSocket", b"Sec-WebSocket-Key: x"]
    assert sent(*lines) == {
        **ADDED,
        b"x-forwarded-proto": [b"ws"],
        b"connection": [b"Upgrade"],
        b"upgrade": [b"WebSocket"],
        b"sec-websocket-key": [b"x"],
    }
    assert sent(*lines, tls=True)[b"x-forwarded-proto"] == [b"wss"]
    request = read(*lines)
    assert isinstance(request, IncomingRequest)
    assert request.header_values(b"connection") == [b"Upgrade"]


@pytest.mark.behaviour("DP-87")
@pytest.mark.parametrize("token", [b"h2c", b"foo, H2C"])
def test_upgrade_to_h2c_is_not_passed_on(token: bytes) -> None:
    """ADV-D: a server that took it up would speak past every rule here."""
    lines = [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + token, b"HTTP2-Settings: x"]
    assert sent(*lines) == ADDED
    assert sent(b"Connection: Upgrade", *lines[1:], touch=True) == ADDED


def test_upgrade_of_http_1_0_is_none() -> None:
    assert b"upgrade" not in sent(b"Connection: Upgrade", b"Upgrade: x", first=b"GET / HTTP/1.0")


@pytest.mark.behaviour("DP-22")
def test_underscore_strategies() -> None:
    assert sent(b"x_y: 1")[b"x_y"] == [b"1"]
    assert b"x_y" not in sent(b"x_y: 1", underscores="delete")
    result = read(b"x_y: 1", underscores="reject")
    assert isinstance(result, IncomingRequest)
    assert result.refusal is UNDERSCORE_HEADER


def test_pragma_gains_its_modern_twin() -> None:
    assert sent(b"Pragma: no-cache")[b"cache-control"] == [b"no-cache"]
    assert sent(b"Pragma: no-cache", b"Cache-Control: max-age=0")[b"cache-control"] == [b"max-age=0"]


def test_ipv6_zone_stays_in_the_chain_alone() -> None:
    found = sent(peer="fe80::1%eth0")
    assert found[b"x-real-ip"] == [b"fe80::1"]
    assert found[b"x-forwarded-for"] == [b"fe80::1%eth0"]


def test_matchers_see_what_will_be_sent() -> None:
    request = read(b"Foo: 1", b"foo: 2")
    assert isinstance(request, IncomingRequest)
    assert request.header_values(b"foo") == [b"1", b"2"]
    assert request.header_values(b"x-forwarded-proto") == [b"http"]
    assert request.header_values(b"x-forwarded-for") == []
    assert request.header_values(b"host") == []


def test_the_servers_name_is_the_machines() -> None:
    assert ForwardedPolicy(EntryPoint(address=":80")).server == socket.gethostname().encode()


_NAMES = st.sampled_from(
    [
        *MANAGED_NAMES,
        *(name.replace(b"-", b"_") for name in MANAGED_NAMES),
        *(name.upper() for name in MANAGED_NAMES),
        b"Connection",
        b"Te",
        b"Upgrade",
        b"Keep-Alive",
        b"A",
    ]
)
_VALUES = st.sampled_from([b"", b"x", b"close", *MANAGED_NAMES, b"upgrade, a"])
_LINES = st.lists(st.builds(lambda name, value: name + b": " + value, _NAMES, _VALUES), max_size=8)


@given(_LINES, st.booleans())
@pytest.mark.behaviour("ADV-B-5")
def test_no_untrusted_request_forges_or_strips_identity(lines: list[bytes], touch: bool) -> None:
    """ADV-B"""
    found = sent(*lines, touch=touch)
    upgraded = found.get(b"upgrade") is not None
    for name, values in ADDED.items():
        assert upgraded or found[name] == values
    assert not any(b"_" in name for name in found)


@given(_LINES)
def test_touched_or_not_the_server_sees_the_same(lines: list[bytes]) -> None:
    for options in ({}, {"insecure": True}):
        assert sent(*lines, **options) == sent(*lines, touch=True, **options)


def test_names_and_hosts_of_any_length_are_not_kept() -> None:
    """ADV-F: a few thousand headers of a megabyte each must not stay in memory."""
    kinds_by_name.clear()
    _hosts.clear()
    request = read(b"x" * 30000 + b": 1", b"X-Short: 1", host=b"h" * 30000 + b":80")
    assert isinstance(request, IncomingRequest)
    assert request.host == b"h" * 30000
    assert b"X-Forwarded-Host: " + b"h" * 30000 in upstream_head(request, request.host_header)
    assert request.client._block == b""
    assert max(map(len, kinds_by_name)) < 100
    assert not _hosts
    again = read()
    assert isinstance(again, IncomingRequest)
    assert again.client.forwarded_block(b"a.example") == again.client._block


@pytest.mark.parametrize("name", [b"x_y", b"x.y", b"x+y", b"_x", b"x~"])
def test_alias_strategies(name: bytes) -> None:
    lines = (name + b": 1", b"x-y: 2")
    assert sent(*lines, aliases="keep")[name] == [b"1"]
    left = sent(*lines, aliases="delete")
    assert name not in left
    assert left[b"x-y"] == [b"2"]
    rejected = read(*lines, aliases="reject")
    assert isinstance(rejected, IncomingRequest)
    assert rejected.refusal is UNDERSCORE_HEADER
    welcome = read(b"x-y: 2", aliases="reject")
    assert isinstance(welcome, IncomingRequest)
    assert welcome.refusal is None
