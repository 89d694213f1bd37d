"""Addresses and networks as Go reads them."""

from __future__ import annotations

import pytest

from config import networks
from config.networks import NetworkError, address_of, parse_network


@pytest.mark.parametrize(
    ("network", "address", "inside"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("10.1.2.3/8", "10.255.0.1", True),
        ("10.0.0.0/08", "10.255.0.1", True),
        ("0.0.0.0/0", "1.2.3.4", True),
        ("0.0.0.0/0", "::1", False),
        ("::/0", "1.2.3.4", False),
        ("::/0", "::1", True),
        ("::1", "::1", True),
        ("fe80::/10", "fe80::1%eth0", True),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.0/104", "10.9.9.9", True),
        ("10.0.0.0/8", "::ffff:10.9.9.9", True),
        ("::ffff:10.0.0.0/95", "10.0.0.1", False),
        ("::ffff:10.0.0.0/96", "1.2.3.4", True),
    ],
)
def test_membership(network: str, address: str, inside: bool) -> None:
    value = address_of(address)
    assert value is not None
    assert parse_network(network).contains(value) is inside


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "10.0.0",
        "10.0.0.01",
        "10.0.0.1/33",
        "10.0.0.1/",
        "10.0.0.1/+8",
        "10.0.0.0/-1",
        "10.0.0.1/255.0.0.0",
        "[::1]",
        " 10.0.0.1",
        "fe80::1%eth0",
        "::1/129",
        "10.0.0.0/8/8",
        "10.0.0.0/\u0661",
    ],
)
def test_what_go_refuses_is_refused(text: str) -> None:
    with pytest.raises(NetworkError, match="neither an IP address nor a network"):
        parse_network(text)


def test_a_peer_without_address_is_no_address() -> None:
    assert address_of("") is None
    assert address_of("@") is None


def test_long_texts_are_not_remembered() -> None:
    """X-Forwarded-For is the client's own, as long as a head may be."""
    before = networks._remembered_address.cache_info().currsize
    for number in range(50):
        assert address_of(f"{number}" * 1000) is None
        assert address_of(f"::1%{number}" + "x" * 1000) is None
    assert networks._remembered_address.cache_info().currsize == before
