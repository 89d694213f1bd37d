"""HTTP_PROXY and its like: whose servers go through which proxy. The rules are Go's."""

from __future__ import annotations

import logging

import pytest

from workers.errors import PROXY_REFUSED, ProxyError
from workers.upstream.outgoing import Exempt, Outgoing

PROXY = "http://proxy.test:3128"


def found(environ: dict[str, str], host: str = "10.1.2.3", port: int = 80, *, is_secure: bool = False) -> str:
    proxy = Outgoing(environ).find(host, port, is_secure=is_secure)
    return str(proxy) if proxy is not None else ""


@pytest.mark.parametrize(
    ("environ", "plain", "secure"),
    [
        ({}, "", ""),
        ({"HTTP_PROXY": PROXY}, PROXY, ""),
        ({"http_proxy": PROXY}, PROXY, ""),
        ({"HTTPS_PROXY": PROXY}, "", PROXY),
        ({"https_proxy": PROXY}, "", PROXY),
        ({"HTTP_PROXY": "a", "http_proxy": "b"}, "http://a:80", ""),
        ({"HTTP_PROXY": "", "http_proxy": "b:1"}, "http://b:1", ""),
        ({"HTTP_PROXY": "https://a", "HTTPS_PROXY": "socks5://a"}, "https://a:443", "socks5://a:1080"),
        ({"HTTP_PROXY": "socks5h://[::1]:9"}, "socks5h://[::1]:9", ""),
        ({"HTTP_PROXY": PROXY, "NO_PROXY": "*"}, "", ""),
        ({"HTTP_PROXY": PROXY, "no_proxy": "10.0.0.0/8"}, "", ""),
        ({"ALL_PROXY": PROXY}, "", ""),
    ],
)
def test_which_variable_counts(environ: dict[str, str], plain: str, secure: str) -> None:
    assert (found(environ), found(environ, is_secure=True)) == (plain, secure)
    assert Outgoing(environ).is_empty == (
        not any(name.upper() in ("HTTP_PROXY", "HTTPS_PROXY") for name in environ)
    )


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_asked_directly(host: str) -> None:
    assert found({"HTTP_PROXY": PROXY}, host) == ""


@pytest.mark.parametrize("host", ["localhost.test", "0.0.0.0", "128.0.0.1", "::2"])
def test_its_neighbours_are_not(host: str) -> None:
    assert found({"HTTP_PROXY": PROXY}, host) == PROXY


@pytest.mark.parametrize(
    ("listed", "covered", "others"),
    [
        ("a.test", ["a.test", "x.a.test"], ["ba.test", "test", "a.test.org"]),
        (".a.test", ["x.a.test", "y.x.a.test"], ["a.test", "xa.test"]),
        ("*.a.test", ["x.a.test"], ["a.test"]),
        (" A.Test , b", ["a.test", "b"], ["c"]),
        ("10.1.2.3", ["10.1.2.3", "::ffff:10.1.2.3"], ["10.1.2.4", "110.1.2.3"]),
        ("10.1.0.0/16", ["10.1.255.1"], ["10.2.0.1", "x10.1.255.1"]),
        ("10.1.2.99/16", ["10.1.0.1"], ["10.2.0.1"]),
        ("fd00::/8", ["fd12::1"], ["fe80::1", "10.0.0.1"]),
        ("fd00::1", ["fd00::1"], ["fd00::2"]),
        ("10.0.0.0/255.0.0.0", [], ["10.0.0.1"]),
        ("[fd00::1]", ["fd00::1"], []),
        ("", [], ["a"]),
        (",,:80", [], ["a"]),
        ("a,*", ["b", "10.0.0.1"], []),
    ],
)
def test_no_proxy(listed: str, covered: list[str], others: list[str]) -> None:
    exempt = Exempt(listed)
    assert [host for host in covered if not exempt.covers(host, 80)] == []
    assert [host for host in others if exempt.covers(host, 80)] == []


@pytest.mark.parametrize(
    ("listed", "host"),
    [
        ("a.test:80", "a.test"),
        (".a.test:80", "b.a.test"),
        ("10.1.2.3:80", "10.1.2.3"),
        ("[fd00::1]:80", "fd00::1"),
    ],
)
def test_no_proxy_with_a_port(listed: str, host: str) -> None:
    assert Exempt(listed).covers(host, 80)
    assert not Exempt(listed).covers(host, 81)


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"HTTP_PROXY": "ftp://me:secret@a"}, "its scheme is none of http, https, socks5 and socks5h"),
        ({"HTTP_PROXY": "http://me:secret@"}, "there is no host in it"),
        ({"HTTP_PROXY": "http://me:secret@[::1"}, "it is not a URL"),
        ({"HTTP_PROXY": "http://me:secret@a:port"}, "it is not a URL"),
        ({"HTTP_PROXY": "http://me:secret@a", "REQUEST_METHOD": "GET"}, "REQUEST_METHOD is set too"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_no_reason_to_go_without(
    environ: dict[str, str], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    outgoing = Outgoing(environ)
    with pytest.raises(ProxyError) as caught:
        outgoing.find("10.1.2.3", 80, is_secure=False)
    assert caught.value.failure is PROXY_REFUSED
    assert reason in caught.value.detail
    assert outgoing.find("127.0.0.1", 80, is_secure=False) is None
    with caplog.at_level(logging.ERROR):
        outgoing.report()
    assert reason in caplog.text
    assert "secret" not in caplog.text + caught.value.detail


def test_credentials_are_for_the_proxy_alone(caplog: pytest.LogCaptureFixture) -> None:
    outgoing = Outgoing({"HTTP_PROXY": "http://us%40er:pa%3Ass@a", "HTTPS_PROXY": "http://only@a"})
    plain, secure = (outgoing.find("b", 80, is_secure=is_secure) for is_secure in (False, True))
    assert plain is not None
    assert secure is not None
    assert plain.authorization == b"Basic dXNAZXI6cGE6c3M="
    assert secure.authorization == b"Basic b25seTo="
    with caplog.at_level(logging.INFO):
        outgoing.report()
    assert "http://a:80" in caplog.text
    assert "us" not in caplog.text.replace("used", "").replace("through", "")
    assert "pa" not in repr(plain) + str(plain)
