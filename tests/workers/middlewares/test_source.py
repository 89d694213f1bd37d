"""Where a request comes from."""

from __future__ import annotations

import pytest

from config.middlewares_source import IPStrategy, SourceCriterion
from tests.workers.middlewares.limits import exchange
from workers.building import BuildError
from workers.middlewares.source import MOST_ENTRIES, AddressPool, address_source, in_subnet, request_source

FOUR = b"10.0.0.1,11.0.0.1,12.0.0.1,13.0.0.1"


def address(options: IPStrategy | None, *forwarded: bytes, ip: str = "192.0.2.1") -> bytes:
    lines = [(b"X-Forwarded-For", line) for line in forwarded]
    return address_source(options)(exchange(*lines, ip=ip).request)


def token(criterion: SourceCriterion | None, *headers: tuple[bytes, bytes], by_host: bool = False) -> bytes:
    return request_source(criterion, by_host)(exchange(*headers, host=b"A.test:80").request)


@pytest.mark.parametrize(
    ("depth", "excluded", "found"),
    [
        (1, [], b"13.0.0.1"),
        (3, [], b"11.0.0.1"),
        (5, [], b""),
        (0, ["12.0.0.1", "13.0.0.1"], b"11.0.0.1"),
        (0, ["10.0.0.1", "13.0.0.1"], b"12.0.0.1"),
        (2, ["12.0.0.0/8"], b"12.0.0.1"),
    ],
)
def test_forwarded_for(depth: int, excluded: list[str], found: bytes) -> None:
    assert address(IPStrategy(depth=depth, excluded_ips=excluded), FOUR) == found
    assert address(IPStrategy(depth=depth, excluded_ips=excluded), *FOUR.split(b",")) == found
    assert address(IPStrategy(depth=depth, excluded_ips=excluded), FOUR.replace(b",", b" , ")) == found


@pytest.mark.parametrize("entries", [2, MOST_ENTRIES - 1, MOST_ENTRIES, MOST_ENTRIES + 1, 5 * MOST_ENTRIES])
def test_only_so_many_entries_are_looked_at(entries: int) -> None:
    """Far more than there are proxies in a row; a client could make each of its requests cost a second."""
    forwarded = b"1.2.3.4," + b",".join([b"10.0.0.1"] * (entries - 1))
    excluded = IPStrategy(excluded_ips=["10.0.0.0/8"])
    assert address(excluded, forwarded) == (b"1.2.3.4" if entries <= MOST_ENTRIES else b"")
    assert address(IPStrategy(depth=entries), forwarded) == b"1.2.3.4"
    assert address(IPStrategy(depth=entries - 1), forwarded) == b"10.0.0.1"
    assert address(IPStrategy(depth=entries + 1), forwarded) == b""
    assert address(IPStrategy(depth=1 << 70), forwarded) == b""


def test_all_excluded_or_none_there_is_nobody() -> None:
    excluded = IPStrategy(excluded_ips=["10.0.0.0/7"])
    assert address(excluded, b"10.0.0.1, 11.0.0.1") == b""
    assert address(excluded) == b""
    assert address(excluded, b", ,") == b""
    assert address(IPStrategy(depth=1)) == b""


def test_what_is_no_address_is_not_excluded() -> None:
    assert address(IPStrategy(excluded_ips=["0.0.0.0/0"]), b"1.2.3.4, nonsense, 5.6.7.8") == b"nonsense"


def test_without_a_strategy_it_is_the_peer() -> None:
    assert address(None, FOUR) == b"192.0.2.1"
    assert address(IPStrategy(), FOUR) == b"192.0.2.1"


@pytest.mark.parametrize(
    ("given", "bits", "network"),
    [
        (b"::abcd:ffff:c0a8:1", 80, b"::abcd:0:0:0"),
        (b"2001:db8:1:2::5", 64, b"2001:db8:1:2::"),
        (b"2001:db8::1", 128, b"2001:db8::1"),
        (b"fe80::1%eth0", 64, b"fe80::"),
        (b"192.0.2.1", 8, b"192.0.2.1"),
        (b"nonsense", 8, b"nonsense"),
        (b"", 8, b""),
    ],
)
def test_subnets(given: bytes, bits: int, network: bytes) -> None:
    assert in_subnet(given, bits) == network


def test_subnets_of_peer_and_forwarded_for() -> None:
    assert address(IPStrategy(ipv6_subnet=32), ip="2001:db8:1::1") == b"2001:db8::"
    assert address(IPStrategy(ipv6_subnet=32, depth=1), b"2001:db8:2::1") == b"2001:db8::"


@pytest.mark.parametrize("bits", [0, -1, 129])
def test_a_wrong_subnet(bits: int) -> None:
    message = f"invalid IPv6 subnet {bits} value, should be greater to 0 and lower or equal to 128"
    for strategy in (IPStrategy(ipv6_subnet=bits), IPStrategy(ipv6_subnet=bits, depth=1)):
        with pytest.raises(BuildError, match=message):
            address_source(strategy)
    assert address(IPStrategy(ipv6_subnet=bits, excluded_ips=["10.0.0.1"]), FOUR) == b"13.0.0.1"


def test_pools() -> None:
    pool = AddressPool(["10.0.0.0/8", "::1", "1.2.3.4/24"])
    inside = [b"10.9.9.9", b"10.9.9.9:80", b"::1", b"::1%lo", b"[::1]:80", b"::ffff:10.0.0.1", b"1.2.3.9"]
    outside = [b"", b"11.0.0.1", b"010.0.0.1", b"10.0.0", b"10.0.0.1:", b"[::1]", b"\xff", b":80", b"10.0.0.1 "]
    assert [text for text in inside if text not in pool] == []
    assert [text for text in outside if text in pool] == []


def test_wrong_pools() -> None:
    with pytest.raises(BuildError, match="no trusted IPs provided"):
        AddressPool([])
    for wrong in ("", "nonsense", "10.0.0.0/33"):
        message = f"parsing CIDR trusted IPs <nil>: invalid CIDR address: {wrong}$"
        with pytest.raises(BuildError, match=message):
            AddressPool(["10.0.0.1", wrong])


def test_criteria() -> None:
    header = SourceCriterion(request_header_name="X-Key")
    assert token(header, (b"x-key", b"one"), (b"X-KEY", b"two")) == b"one"
    assert token(header) == b""
    claimed = SourceCriterion(request_header_name="X-Real-Ip")
    assert token(claimed, (b"x-real-ip", b"1.2.3.4"), (b"X-Real-Ip", b"5.6.7.8")) == b"1.2.3.4"
    assert token(SourceCriterion(request_host=True)) == b"A.test:80"
    assert token(SourceCriterion(ip_strategy=IPStrategy()), by_host=True) == b"192.0.2.1"
    for nothing in (None, SourceCriterion()):
        assert token(nothing) == b"192.0.2.1"
        assert token(nothing, by_host=True) == b"A.test:80"


@pytest.mark.behaviour("MW-113")
@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        (
            SourceCriterion(ip_strategy=IPStrategy(), request_header_name="X"),
            "iPStrategy and RequestHeaderName are mutually exclusive",
        ),
        (
            SourceCriterion(ip_strategy=IPStrategy(), request_host=True),
            "iPStrategy and RequestHost are mutually exclusive",
        ),
        (
            SourceCriterion(request_host=True, request_header_name="X"),
            "requestHost and RequestHeaderName are mutually exclusive",
        ),
    ],
)
def test_criteria_that_exclude_each_other(criterion: SourceCriterion, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        request_source(criterion)
