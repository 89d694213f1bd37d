"""The names and addresses of the UDP halves of entry points."""

from __future__ import annotations

from config.http3_twins import is_installed, is_twin, owner_of, twin_address, with_twins
from config.static import EntryPoint
from config.static_protocols import HTTP3


def test_an_entry_point_with_http_3_is_followed_by_its_twin() -> None:
    points = {
        "web": EntryPoint(address=":443", http3=HTTP3(), reuse_port=True),
        "plain": EntryPoint(address=":80"),
        "six": EntryPoint(address="[::1]:8443/tcp", http3=HTTP3(advertised_port=443)),
    }
    made = with_twins(points)
    assert list(made) == ["web", "web/http3", "plain", "six", "six/http3"]
    assert made["web/http3"] == EntryPoint(address=":443/udp", reuse_port=True)
    assert made["six/http3"].address == "[::1]:8443/udp"
    assert [name for name in made if is_twin(name)] == ["web/http3", "six/http3"]
    assert owner_of("six/http3") == "six"
    assert owner_of("six") == "six"


def test_addresses() -> None:
    assert twin_address("127.0.0.1:0") == "127.0.0.1:0/udp"


def test_the_extra_is_there_in_this_suite() -> None:
    assert is_installed()
