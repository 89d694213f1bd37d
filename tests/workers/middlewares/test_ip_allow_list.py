"""IPAllowList and IPWhiteList at the level of handlers; whose address it is has its tests in test_source.py."""

from __future__ import annotations

import pytest

from config.middlewares_source import IPAllowList, IPStrategy, IPWhiteList
from tests.workers.middlewares.calls import PEER, Answered, call, client, made, request
from workers.building import BuildError
from workers.middlewares.ip_allow_list import ip_allow_list, ip_white_list


def asked(options: IPAllowList, *lines: str, trusted: bool = False, ip: str = PEER) -> Answered:
    return call(made(ip_allow_list, options), request("/", *lines, peer=client(trusted, ip=ip)))


@pytest.mark.behaviour("MW-96")
@pytest.mark.parametrize(
    ("ranges", "ip", "allowed"),
    [
        ([PEER], PEER, True),
        (["10.0.0.0/8", "192.0.2.77/24"], PEER, True),
        (["10.0.0.0/8"], PEER, False),
        (["::ffff:192.0.2.0/120"], PEER, True),
        (["192.0.2.0/24"], "::ffff:192.0.2.9", True),
        (["fe80::/10"], "fe80::1%eth0", True),
        (["::/0"], PEER, False),
    ],
)
@pytest.mark.behaviour("ADV-H-3")
def test_by_peer(ranges: list[str], ip: str, allowed: bool) -> None:
    answer = asked(IPAllowList(source_range=ranges), ip=ip)
    if allowed:
        assert answer.status == 200
    else:
        assert (answer.served, answer.status, answer.headers, answer.body) == (None, 403, [], b"Forbidden")


@pytest.mark.behaviour("MW-97")
@pytest.mark.parametrize(
    ("status", "phrase"),
    [(404, b"Not Found"), (413, b"Request Entity Too Large"), (418, b"I'm a teapot"), (0, b"Forbidden")],
)
def test_another_status(status: int, phrase: bytes) -> None:
    answer = asked(IPAllowList(source_range=["10.0.0.1"], reject_status_code=status))
    assert (answer.status, answer.body) == (status or 403, phrase)


@pytest.mark.behaviour("MW-97")
@pytest.mark.parametrize("status", [600, 99, 306, 499])
def test_a_status_without_a_phrase(status: int) -> None:
    with pytest.raises(BuildError, match=f"invalid HTTP status code {status}"):
        asked(IPAllowList(source_range=["10.0.0.1"], reject_status_code=status))


@pytest.mark.behaviour("MW-98")
@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ([], "sourceRange is empty, IPAllowLister not created"),
        (
            ["10.0.0.1", "x"],
            "cannot parse CIDRs [10.0.0.1 x]: parsing CIDR trusted IPs <nil>: invalid CIDR address: x",
        ),
        ([""], "cannot parse CIDRs []: parsing CIDR trusted IPs <nil>: invalid CIDR address: "),
    ],
)
def test_ranges_that_are_none(ranges: list[str], message: str) -> None:
    with pytest.raises(BuildError) as caught:
        asked(IPAllowList(source_range=ranges))
    assert str(caught.value) == message


@pytest.mark.behaviour("MW-99")
@pytest.mark.parametrize(
    ("ranges", "lines", "allowed"),
    [
        (["2.2.2.2"], ["X-Forwarded-For: 1.1.1.1, 2.2.2.2"], True),
        (["1.1.1.1"], ["X-Forwarded-For: 1.1.1.1, 2.2.2.2"], False),
        (["0.0.0.0/0"], [], False),
    ],
)
def test_by_depth(ranges: list[str], lines: list[str], allowed: bool) -> None:
    options = IPAllowList(source_range=ranges, ip_strategy=IPStrategy(depth=1))
    assert (asked(options, *lines, trusted=True).status == 200) == allowed


@pytest.mark.behaviour("MW-100")
def test_everything_excluded() -> None:
    strategy = IPStrategy(excluded_ips=["1.1.1.1", "2.2.2.2"])
    options = IPAllowList(source_range=["0.0.0.0/0"], ip_strategy=strategy)
    assert asked(options, "X-Forwarded-For: 1.1.1.1, 2.2.2.2", trusted=True).status == 403


@pytest.mark.behaviour("MW-101")
def test_a_forged_list() -> None:
    options = IPAllowList(source_range=["2.2.2.2"], ip_strategy=IPStrategy(depth=1))
    assert asked(options, "X-Forwarded-For: 2.2.2.2").status == 403


def test_the_deprecated_name() -> None:
    assert call(made(ip_white_list, IPWhiteList(source_range=["10.0.0.1"])), request()).status == 403
    with pytest.raises(BuildError, match="sourceRange is empty, IPWhiteLister not created"):
        made(ip_white_list, IPWhiteList())
    with pytest.raises(BuildError, match="cannot parse CIDR whitelist"):
        made(ip_white_list, IPWhiteList(source_range=["x"]))
