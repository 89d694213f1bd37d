"""URLs of servers: what is read quickly is read as everything else is."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workers.upstream.server import UpstreamServer, _parts, _plain_parts, is_plain


@given(st.from_regex(r"(http|https|h2c)://([0-9.]{1,15}|[0-9]{1,4}(\.[0-9]{1,4}){3}):[0-9]{1,5}", fullmatch=True))
@example("http://10.0.0.1:8080")
@example("h2c://1.2.3.4:65535")
def test_the_short_way_reads_what_the_long_one_does(url: str) -> None:
    short = _plain_parts(url)
    assert short is None or short == _parts(url)


@pytest.mark.parametrize(
    "url",
    [
        *("http://10.0.0.1", "http://10.0.0.1:0", "http://10.0.0.1:65536", "http://10.0.0.1:080"),
        *("HTTP://10.0.0.1:80", "http://10.0.0.1:80/", "http://u@10.0.0.1:80", "http://10.0.0.1:80\n"),
        *("http://a:80", "http://[::1]:80", "http://10.0.0.\u0661:80", "ftp://10.0.0.1:80", "http://:80"),
        *("http://1:80", "http://10..1:80", "http://...:80", "http://1.2.3.4.5:80", "http://1111.1.1.1:80"),
    ],
)
def test_anything_else_goes_the_long_way(url: str) -> None:
    assert _plain_parts(url) is None


@given(st.from_regex(r"http://[0-9]{1,3}(\.[0-9]{1,3}){3}:80", fullmatch=True))
def test_there_is_nothing_wrong_with_what_is_plain(url: str) -> None:
    assert is_plain(url)
    assert UpstreamServer(url).name == url


def test_what_a_server_is_made_of() -> None:
    server = UpstreamServer("h2c://10.0.0.1:8080")
    assert (server.scheme, server.host, server.port) == ("h2c", "10.0.0.1", 8080)
    assert (server.host_header, server.wire_scheme, server.is_secure) == (b"10.0.0.1:8080", b"http", False)
    assert server.key == ("h2c", "10.0.0.1", 8080)
    assert server.address is not None


@pytest.mark.parametrize("url", ["http://10.0.0.1:70000", "http://", "ftp://10.0.0.1:80", "10.0.0.1:80"])
def test_what_cannot_be_reached_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"[Pp]ort|host|scheme"):
        UpstreamServer(url)
