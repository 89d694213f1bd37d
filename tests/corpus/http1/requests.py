"""Request heads and what must become of them: the classes in which parsers have been made to disagree.

VALID: name, bytes, (method, target, headers to keep). INVALID: name, bytes, kind of the failure. Heads end with
their empty line; parsers must not need anything behind it.
"""

from __future__ import annotations

from typing import Final

HOST: Final = b"Host: a.example\r\n"


def _get(*lines: bytes, host: bytes = HOST) -> bytes:
    return b"GET / HTTP/1.1\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def _post(*lines: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


VALID: Final[list[tuple[str, bytes, tuple[bytes, bytes, list[tuple[bytes, bytes]]]]]] = [
    ("plain", _get(), (b"GET", b"/", [])),
    ("headers", _get(b"A: 1", b"b:2", b"C:\t 3 \t"), (b"GET", b"/", [(b"A", b"1"), (b"b", b"2"), (b"C", b"3")])),
    ("empty value", _get(b"A:"), (b"GET", b"/", [(b"A", b"")])),
    ("same name twice", _get(b"A: 1", b"A: 2"), (b"GET", b"/", [(b"A", b"1"), (b"A", b"2")])),
    (
        "content type twice",
        _get(b"Content-Type: a", b"Content-Type: b"),
        (b"GET", b"/", [(b"Content-Type", b"a"), (b"Content-Type", b"b")]),
    ),
    ("odd token", _get(b"!#$%&'*+-.^`|~9: x"), (b"GET", b"/", [(b"!#$%&'*+-.^`|~9", b"x")])),
    ("bytes above ASCII in a value", _get(b"A: \xc3\xa9\xff"), (b"GET", b"/", [(b"A", b"\xc3\xa9\xff")])),
    ("one empty line before", b"\r\n" + _get(), (b"GET", b"/", [])),
    ("lower-case method", b"get / HTTP/1.1\r\n" + HOST + b"\r\n", (b"get", b"/", [])),
    ("short method", b"M / HTTP/1.1\r\n" + HOST + b"\r\n", (b"M", b"/", [])),
    ("long method", b"M" * 40 + b" / HTTP/1.1\r\n" + HOST + b"\r\n", (b"M" * 40, b"/", [])),
    ("old version", b"GET / HTTP/1.0\r\n\r\n", (b"GET", b"/", [])),
    ("asterisk", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", (b"OPTIONS", b"*", [])),
    ("absolute", b"GET http://b.example/x?y HTTP/1.1\r\n" + HOST + b"\r\n", (b"GET", b"/x?y", [])),
    ("absolute without path", b"GET http://b.example HTTP/1.1\r\n" + HOST + b"\r\n", (b"GET", b"/", [])),
    ("absolute with query only", b"GET http://b.example?x HTTP/1.1\r\n" + HOST + b"\r\n", (b"GET", b"/?x", [])),
    ("other scheme", b"GET foo+x://b.example/ HTTP/1.1\r\n" + HOST + b"\r\n", (b"GET", b"/", [])),
    ("connect", b"CONNECT b.example:443 HTTP/1.1\r\n" + HOST + b"\r\n", (b"CONNECT", b"/", [])),
    ("length", _post(b"Content-Length: 12"), (b"POST", b"/", [(b"Content-Length", b"12")])),
    ("length with zeros in front", _post(b"Content-Length: 007"), (b"POST", b"/", [(b"Content-Length", b"7")])),
    ("chunked", _post(b"Transfer-Encoding: chunked"), (b"POST", b"/", [])),
    ("chunked in capitals", _post(b"TRANSFER-ENCODING: ChunKed "), (b"POST", b"/", [])),
    ("host with port", _get(host=b"Host: a.example:8080\r\n"), (b"GET", b"/", [])),
    ("host in brackets", _get(host=b"Host: [::1]:80\r\n"), (b"GET", b"/", [])),
    ("host empty", _get(host=b"Host:\r\n"), (b"GET", b"/", [])),
    ("host last", b"GET / HTTP/1.1\r\nA: 1\r\n" + HOST + b"\r\n", (b"GET", b"/", [(b"A", b"1")])),
    (
        "150 headers",
        _get(*[b"A%d: 1" % number for number in range(150)]),
        (b"GET", b"/", [(b"A%d" % number, b"1") for number in range(150)]),
    ),
    (
        "900 headers",
        _get(*[b"A%d: 1" % number for number in range(900)]),
        (b"GET", b"/", [(b"A%d" % number, b"1") for number in range(900)]),
    ),
    ("long value", _get(b"A: " + b"x" * 20000), (b"GET", b"/", [(b"A", b"x" * 20000)])),
    (
        "long target",
        b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        (b"GET", b"/" + b"x" * 20000, []),
    ),
    ("keep-alive", _get(b"Connection: keep-alive"), (b"GET", b"/", [])),
]

INVALID: Final[list[tuple[str, bytes, str]]] = [
    # lines
    ("bare LF everywhere", b"GET / HTTP/1.1\nHost: a\n\n", "malformed_request"),
    ("bare LF after the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", "malformed_request"),
    ("bare LF after a header", b"GET / HTTP/1.1\r\nA: 1\nHost: a\r\n\r\n", "malformed_request"),
    ("bare LF at the end", b"GET / HTTP/1.1\r\nHost: a\r\n\n", "malformed_request"),
    ("bare CR in a value", _get(b"A: 1\rB: 2"), "malformed_request"),
    ("bare CR in a name", _get(b"A\rB: 2"), "malformed_request"),
    ("CR CR LF", _get(b"A: 1\r"), "malformed_request"),
    ("NUL in a value", _get(b"A: 1\x00"), "malformed_request"),
    ("NUL in a name", _get(b"A\x00: 1"), "malformed_request"),
    ("DEL in a value", _get(b"A: \x7f"), "malformed_request"),
    ("vertical tab in a value", _get(b"A: a\x0bb"), "malformed_request"),
    ("folded line", _get(b"A: 1", b" 2"), "malformed_request"),
    ("folded by a tab", _get(b"A: 1", b"\t2"), "malformed_request"),
    ("folded first line", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "malformed_request"),
    ("blank before the colon", _get(b"A : 1"), "invalid_header_name"),
    ("tab before the colon", _get(b"A\t: 1"), "malformed_request"),
    ("blank before the colon of a length", _post(b"Content-Length : 1"), "invalid_header_name"),
    ("blank in a name", _get(b"A B: 1"), "invalid_header_name"),
    ("no colon", _get(b"A"), "malformed_request"),
    ("no name", _get(b": 1"), "malformed_request"),
    ("name above ASCII", _get(b"\xe9: 1"), "malformed_request"),
    ("name in quotes", _get(b'"A": 1'), "malformed_request"),
    ("two empty lines before", b"\r\n\r\n" + _get(), "malformed_request"),
    ("bare LF before", b"\n" + _get(), "malformed_request"),
    # first lines
    ("two blanks", b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("two blanks before the version", b"GET /  HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("tab for a blank", b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("blank in front", b" GET / HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("blank at the end", b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n", "malformed_request"),
    ("blank in the target", b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("NUL in the target", b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("no target", b"GET HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("no version", b"GET /\r\n" + HOST + b"\r\n", "malformed_request"),
    ("method with a colon", b"G:T / HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("method in brackets", b"G(T / HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("lower-case version", b"GET / http/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("long version", b"GET / HTTP/1.10\r\n" + HOST + b"\r\n", "malformed_request"),
    ("short version", b"GET / HTTP/1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("version 1.2", b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", "unsupported_version"),
    ("version 0.9", b"GET / HTTP/0.9\r\n" + HOST + b"\r\n", "unsupported_version"),
    ("version 2.0", b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", "unsupported_version"),
    ("only a version", b"HTTP/1.1\r\n\r\n", "malformed_request"),
    # targets
    ("relative target", b"GET a HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("asterisk for GET", b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("authority for GET", b"GET a.example:80 HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("connect to a path", b"CONNECT /x HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("connect without a port", b"CONNECT b.example HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("user information", b"GET http://u:p@b.example/ HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("absolute without a host", b"GET http:///x HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("absolute with a bad host", b"GET http://a%zz[/x HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("broken escape", b"GET /%zz HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    ("cut escape", b"GET /%4 HTTP/1.1\r\n" + HOST + b"\r\n", "malformed_request"),
    # hosts
    ("no host", b"GET / HTTP/1.1\r\n\r\n", "missing_host"),
    ("no host in absolute form", b"GET http://b.example/ HTTP/1.1\r\n\r\n", "missing_host"),
    ("two hosts", _get(b"Host: b.example"), "malformed_request"),
    ("two equal hosts", _get(b"hOST: a.example"), "malformed_request"),
    ("two hosts in 1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "malformed_request"),
    ("host with a slash", _get(host=b"Host: a/b\r\n"), "malformed_host"),
    ("host with user", _get(host=b"Host: u@a\r\n"), "malformed_host"),
    ("host with a blank", _get(host=b"Host: a b\r\n"), "malformed_host"),
    ("host list", _get(host=b"Host: a, b\r\n"), "malformed_host"),
    ("host with a word for a port", _get(host=b"Host: a:b\r\n"), "malformed_host"),
    ("host with two ports", _get(host=b"Host: a:1:2\r\n"), "malformed_host"),
    ("host with a great port", _get(host=b"Host: a:70000\r\n"), "malformed_host"),
    ("host with an open bracket", _get(host=b"Host: [::1\r\n"), "malformed_host"),
    ("host above ASCII", _get(host=b"Host: \xe4.example\r\n"), "malformed_host"),
    # lengths
    ("length and chunked", _post(b"Content-Length: 5", b"Transfer-Encoding: chunked"), "malformed_request"),
    ("chunked and length", _post(b"Transfer-Encoding: chunked", b"Content-Length: 0"), "malformed_request"),
    ("length and another coding", _post(b"Content-Length: 5", b"Transfer-Encoding: x"), "malformed_request"),
    ("two lengths", _post(b"Content-Length: 5", b"Content-Length: 6"), "malformed_request"),
    ("two equal lengths", _post(b"Content-Length: 5", b"Content-Length: 5"), "malformed_request"),
    ("length list", _post(b"Content-Length: 5, 5"), "malformed_request"),
    ("length with a sign", _post(b"Content-Length: +5"), "malformed_request"),
    ("negative length", _post(b"Content-Length: -5"), "malformed_request"),
    ("length with a blank", _post(b"Content-Length: 1 2"), "malformed_request"),
    ("hexadecimal length", _post(b"Content-Length: 0x5"), "malformed_request"),
    ("length with an underscore", _post(b"Content-Length: 1_0"), "malformed_request"),
    ("length with a fraction", _post(b"Content-Length: 5.0"), "malformed_request"),
    ("empty length", _post(b"Content-Length:"), "malformed_request"),
    ("immense length", _post(b"Content-Length: 99999999999999999999"), "malformed_request"),
    ("length in other digits", _post("Content-Length: \u0665".encode()), "malformed_request"),
    # codings
    ("identity", _post(b"Transfer-Encoding: identity"), "unsupported_coding"),
    ("gzip, chunked", _post(b"Transfer-Encoding: gzip, chunked"), "unsupported_coding"),
    ("chunked, chunked", _post(b"Transfer-Encoding: chunked, chunked"), "unsupported_coding"),
    ("chunked, identity", _post(b"Transfer-Encoding: chunked, identity"), "unsupported_coding"),
    ("chunked twice", _post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), "unsupported_coding"),
    ("empty, then chunked", _post(b"Transfer-Encoding:", b"Transfer-Encoding: chunked"), "unsupported_coding"),
    ("empty coding", _post(b"Transfer-Encoding:"), "unsupported_coding"),
    ("chunked in quotes", _post(b'Transfer-Encoding: "chunked"'), "unsupported_coding"),
    ("chunked with a parameter", _post(b"Transfer-Encoding: chunked;x=y"), "unsupported_coding"),
    ("xchunked", _post(b"Transfer-Encoding: xchunked"), "unsupported_coding"),
    ("coding behind a comma", _post(b"Transfer-Encoding: ,chunked"), "unsupported_coding"),
    ("chunked behind a vertical tab", _post(b"Transfer-Encoding: \x0bchunked"), "malformed_request"),
    ("chunked in 1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "malformed_request"),
    ("unknown expectation", _post(b"Expect: 200-ok"), "unknown_expectation"),
    ("two expectations", _post(b"Expect: x", b"Expect: 100-continue"), "unknown_expectation"),
]
