"""A grammar of requests, all of them well-formed, most of them odd: what both proxies must treat alike.

Left out is what we treat otherwise on purpose; the corpus has those cases with their reasons.
"""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

_METHODS: Final = ["GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "get", "X-Y"]
_PLAIN: Final = [
    *(
        "a",
        "b",
        "index.html",
        ".",
        "..",
        "...",
        "",
        "",
        ";",
        "a;b=c",
        ":",
        "@",
        "a:b",
        "~",
        "'",
        "!",
        "$&",
        "(x)",
        "*",
    ),
    *("+", ",", "=", "[", "]", "%41", "%2e", "%2E%2e", "%7e", "%20", "%c3%a9"),
]
_ESCAPED: Final = [
    *("%2f", "%2F", "%5c", "%00", "%25", "%3b", "%3F", "%23", "%252f", "%7c", "%0a", "%0d%0a"),
    *_PLAIN,
]
_RAW: Final = [
    *("|", "\\", '"', "<>", "{}", "^", "`", "\xe9"),
    *("a", "b", ".", "..", "...", "", "", ":", "@", "~", "$&", "+", "=", "-_"),
]
"""Raw bytes that want an escape, with what nobody escapes: the original rewrites the whole path then, `%2F` in it
becomes a slash, and `(` an escape."""
_QUERIES: Final = [
    *(
        "a=b",
        "a",
        "a=",
        "=b",
        "&",
        "&&",
        ";",
        "a;b",
        "%41=%42",
        "a=%zz",
        "%",
        "a=b=c",
        "?",
        "/",
        "/../",
        "//",
        "+",
    ),
    *('"', "'", "<", "\xe9", "[]", "|", "%2f", "%3B", "{", "\\", "^", "`", "a=1&a=2", "%00", "%20"),
]
_NAMES: Final = [
    *(
        "A",
        "x-b",
        "X-C",
        "X_D",
        "x.e",
        "X-Auth-User",
        "Accept",
        "accept-encoding",
        "Accept-Language",
        "Authorization",
    ),
    *("Cache-Control", "Content-Type", "Cookie", "cookie", "Forwarded", "If-None-Match", "Max-Forwards", "Origin"),
    *(
        "Pragma",
        "Range",
        "Referer",
        "Via",
        "X-Request-Id",
        "X-Http-Method-Override",
        "Date",
        "Server",
    ),
    *("!#$%&'*+-.^`|~", "0", "Te", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Sec-WebSocket-Key"),
]
_MANAGED: Final = [
    *("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server"),
    *("X-Forwarded-Prefix", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Tls-Client-Cert", "X-Real-Ip"),
    *("X-Forwarded-Tls-Client-Cert-Info", "X-Forwarded-Scheme", "X-Scheme", "X-Forwarded"),
]
_VALUES: Final = [
    *(
        "",
        "1",
        "a b",
        "a\tb",
        "a, b",
        "no-cache",
        "trailers",
        "gzip, trailers;q=1",
        "10.1.1.1",
        "https",
        "x" * 300,
    ),
    *("\xe9\xff", '"q"', "a=b; c=d", "bytes=0-1", "*", ";", "(c)", "\\", "Bearer x", "1.2.3.4, 5.6.7.8", "::1"),
]
_TOKENS: Final = ["close", "keep-alive", "", "te", "x-b", "A", "cookie", "X-Real-Ip", "x-forwarded-for", "host"]
_HOSTS: Final = [
    *("corpus", "CORPUS", "a.b.example", "a.b.example.", "corpus:80", "corpus:8443", "[::1]", "[::1]:80"),
    *("127.0.0.1", "xn--a", "a_b", "a-b", "corpus:0"),
]


def _spelled(names: list[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda name, how: how(name),
        st.sampled_from(names),
        st.sampled_from([str, str.lower, str.upper, str.title, lambda name: name.replace("-", "_")]),
    )


def _paths_of(pieces: list[str]) -> st.SearchStrategy[str]:
    segments = st.lists(st.builds("".join, st.lists(st.sampled_from(pieces), max_size=2)), max_size=5)
    last = st.sampled_from(["", "", "/"])
    return st.builds(lambda segments, last: "/" + "/".join(segments) + last, segments, last)


_paths = st.one_of(_paths_of(_ESCAPED), _paths_of(_RAW))
_queries = st.one_of(
    st.just(""), st.builds(lambda parts: "?" + "&".join(parts), st.lists(st.sampled_from(_QUERIES), max_size=3))
)
_lines = st.one_of(
    st.tuples(st.sampled_from(_NAMES), st.sampled_from(_VALUES)),
    st.tuples(_spelled(_NAMES[:20]), st.sampled_from(_VALUES)),
    st.tuples(_spelled(_MANAGED), st.sampled_from(_VALUES)),
    st.tuples(st.sampled_from(["Connection", "connection"]), st.lists(st.sampled_from(_TOKENS)).map(", ".join)),
)
_colons = st.sampled_from([": ", ":", ":  ", ":\t", ": \t "])


@st.composite
def _bodies(draw: st.DrawFn) -> tuple[list[str], str]:
    """Header lines that frame a body, and the body."""
    kind = draw(st.sampled_from(["none", "none", "none", "length", "chunked", "empty"]))
    if kind == "none":
        return [], ""
    if kind == "empty":
        return ["Content-Length: 0"], ""
    pieces = draw(st.lists(st.text("ab\r\n0", min_size=1, max_size=30), max_size=4))
    if kind == "length":
        body = "".join(pieces)
        return [f"Content-Length: {len(body)}"], body
    extension = draw(st.sampled_from(["", "", ";a", ";a=b", ';a="b"']))
    chunks = "".join(f"{len(piece):x}{extension}\r\n{piece}\r\n" for piece in pieces)
    trailer = draw(st.sampled_from(["", "", "X-T: 1\r\n", "X-T: 1\r\nY: 2\r\n"]))
    return [draw(st.sampled_from(["Transfer-Encoding: chunked", "transfer-encoding: Chunked"]))], (
        f"{chunks}0\r\n{trailer}\r\n"
    )


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """The bytes of one HTTP/1.1 request."""
    method, host = draw(st.sampled_from(_METHODS)), draw(st.sampled_from(_HOSTS))
    target = draw(_paths) + draw(_queries)
    if draw(st.integers(0, 9)) == 0:
        target = f"http://{draw(st.sampled_from(_HOSTS))}{target}"
    lines = [f"Host: {host}"]
    lines += draw(st.sampled_from([[], ["user-agent: x"]]))  # the original passes on one at most, and no empty one
    lines += [name + draw(_colons) + value for name, value in draw(st.lists(_lines, max_size=6))]
    framing, body = draw(_bodies())
    lines = draw(st.permutations(lines + framing))
    return _joined(method, target, lines, body)


def _joined(method: str, target: str, lines: list[str], body: str) -> bytes:
    head = [f"{method} {target} HTTP/1.1", *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + body.encode("latin-1")
