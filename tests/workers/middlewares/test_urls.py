"""URLs as Go's net/url reads and writes them. All of these have been seen in the original's Location."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.middlewares.urls import _ORDINARY, URLError, rewritten_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"http://h/a b/?x y#frag ment", b"http://h/a%20b/?x y#frag%20ment"),
        (b"HTTP://H/x", b"http://H/x"),
        (b"http://h/!'()*[]|<", b"http://h/%21%27%28%29%2A%5B%5D%7C%3C"),
        (b"http://h/!'()*[]", b"http://h/!'()*[]"),
        (b"http://h/../a/./x//y", b"http://h/../a/./x//y"),
        (b"http://u:p@h/", b"http://u:p@h/"),
        (b"http://u%20u:p%2fp@h/", b"http://u%20u:p%2Fp@h/"),
        (b"http://[::1]:80/", b"http://[::1]:80/"),
        (b"http://h:/", b"http://h:/"),
        (b"mailto:a b", b"mailto:a b"),
        (b"//h/x", b"//h/x"),
        (b"/x?", b"/x?"),
        (b"http://h/#", b"http://h/"),
        (b"http://h?%zz", b"http://h?%zz"),
        ("http://é/".encode(), b"http://%C3%A9/"),
        (b"*", b"*"),
        (b"", b""),
    ],
)
def test_written_anew(text: bytes, expected: bytes) -> None:
    assert rewritten_url(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"http://%zz",
        b"http://a%20b/",
        b"http://a b/",
        b"http://[::1/",
        b"http://h:x/",
        b"http://u u@h/",
        b"http://h/%2",
        b"http://h/#%zz",
        b"http://h/\t",
        b"a b:c/",
        b"1a:b",
        b":x",
    ],
)
def test_no_url(text: bytes) -> None:
    with pytest.raises(URLError):
        rewritten_url(text)


@given(st.text("aZ0-._~$&+,/:;=@!'()*[]?\"|<", max_size=12))
def test_ordinary_urls_are_left_alone(rest: str) -> None:
    text = b"http://h" + rest.encode()
    if _ORDINARY.fullmatch(text):
        # A blank in the query makes it out of the ordinary and is kept.
        mark = b" " if b"?" in text else b"? "
        assert rewritten_url(text + mark) == text + mark


@given(st.binary(max_size=30))
def test_any_bytes_give_a_url_without_line_ends_or_our_error(text: bytes) -> None:
    try:
        written = rewritten_url(b"http://h/" + text)
    except URLError:
        return
    assert not set(written) & set(b"\r\n\0")
    assert rewritten_url(written) == written
