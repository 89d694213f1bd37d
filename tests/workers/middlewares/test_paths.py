"""The path family at the level of handlers; `tests/differential` has the same and more against the original."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.middlewares_paths import AddPrefix, ReplacePath, ReplacePathRegex, StripPrefix, StripPrefixRegex
from tests.workers.middlewares.calls import Answered, call, client, made, request
from workers.building import BuildError
from workers.http1.target import normalize_path, routing_path, sanitize_path
from workers.middlewares.base import Wrap
from workers.middlewares.path_model import decoded, encoded, is_clean, respelled, without_start
from workers.middlewares.paths import (
    add_prefix,
    replace_path,
    replace_path_regex,
    strip_prefix,
    strip_prefix_regex,
)


def added(prefix: str) -> Wrap:
    return made(add_prefix, AddPrefix(prefix=prefix))


def stripped(*prefixes: str, force_slash: bool | None = None) -> Wrap:
    return made(strip_prefix, StripPrefix(prefixes=list(prefixes), force_slash=force_slash))


def stripped_by(*expressions: str) -> Wrap:
    return made(strip_prefix_regex, StripPrefixRegex(regex=list(expressions)))


def replaced(path: str) -> Wrap:
    return made(replace_path, ReplacePath(path=path))


def replaced_by(expression: str, replacement: str = "") -> Wrap:
    return made(replace_path_regex, ReplacePathRegex(regex=expression, replacement=replacement))


def refused(answer: Answered) -> bool:
    return answer.served is None and (answer.status, answer.body) == (400, b"Bad Request\n")


@pytest.mark.parametrize(
    ("prefix", "target", "expected"),
    [
        pytest.param("/api", "/users?x=1", b"/api/users?x=1", marks=pytest.mark.behaviour("MW-9")),
        pytest.param("/api", "/a%2Fb", b"/api/a%2Fb", marks=pytest.mark.behaviour("MW-10")),
        pytest.param("/api/", "/x", b"/api//x", marks=pytest.mark.behaviour("MW-11")),
        ("api", "/x", b"/api/x"),
        ("/a%20b", "/x?", b"/a%2520b/x?"),
        ("/a b", "/x%2F..", b"/a%20b/x%2F.."),
        ("/a!", "/x", b"/a%21/x"),
        ("/a!", "/x!", b"/a!/x!"),
        ("/é", "/", b"/%C3%A9/"),
    ],
)
def test_add_prefix(prefix: str, target: str, expected: bytes) -> None:
    assert call(added(prefix), request(target)).target == expected


@pytest.mark.behaviour("MW-12")
def test_add_prefix_wants_one() -> None:
    with pytest.raises(BuildError, match="prefix cannot be empty"):
        added("")


@pytest.mark.parametrize(
    ("prefixes", "target", "expected", "header"),
    [
        pytest.param(["/api"], "/api/users?q=1", b"/users?q=1", b"/api", marks=pytest.mark.behaviour("MW-13")),
        pytest.param(["/api"], "/api", b"/", b"/api", marks=pytest.mark.behaviour("MW-14")),
        pytest.param(["/api"], "/apifoo", b"/foo", b"/api", marks=pytest.mark.behaviour("MW-15")),
        pytest.param(["/api"], "/other", b"/other", None, marks=pytest.mark.behaviour("MW-16")),
        pytest.param(["/api"], "/api/a%2Fb", b"/a%2Fb", b"/api", marks=pytest.mark.behaviour("MW-18")),
        pytest.param(["/stat", "/stat/us"], "/stat/us", b"/us", b"/stat", marks=pytest.mark.behaviour("MW-19")),
        pytest.param(["/api/"], "/api", b"/api", None, marks=pytest.mark.behaviour("MW-20")),
        ([" /api "], "/api/x", b"/x", b"/api"),
        (["/c d"], "/c%20d/x%2Fy", b"/x%2Fy", b"/c d"),
        (["/a/b"], "/a%2Fb/c", b"/c", b"/a/b"),
        (["/api"], "/api?x", b"/?x", b"/api"),
        (["/api"], "/api/.well-known/x", b"/.well-known/x", b"/api"),
        ([], "/api", b"/api", None),
    ],
)
def test_strip_prefix(prefixes: list[str], target: str, expected: bytes, header: bytes | None) -> None:
    answer = call(stripped(*prefixes), request(target))
    assert answer.target == expected
    assert answer.sent(b"x-forwarded-prefix") == ([header] if header is not None else [])


@pytest.mark.behaviour("MW-17")
@pytest.mark.parametrize(
    "target", ["/api../foo", "/api./foo", "/api..", "/api%2F", "/api%2Fadmin", "/api%2F..%2Fadmin"]
)
@pytest.mark.behaviour("ADV-A-6")
def test_what_is_left_must_be_a_clean_path(target: str) -> None:
    """ADV-A: CVE-2026-48020; an escaped slash at the start is refused too."""
    assert refused(call(stripped("/api"), request(target)))


@pytest.mark.behaviour("MW-21")
def test_two_prefixes_are_two_lines() -> None:
    outer, inner = stripped("/a"), stripped("/b")
    answer = call(lambda handler: outer(inner(handler)), request("/a/b/c"))
    assert (answer.target, answer.sent(b"x-forwarded-prefix")) == (b"/c", [b"/a", b"/b"])


@pytest.mark.behaviour("MW-22")
@pytest.mark.parametrize(("trusted", "expected"), [(True, [b"/out", b"/api"]), (False, [b"/api"])])
@pytest.mark.behaviour("ADV-B-2")
def test_a_prefix_that_a_proxy_has_cut_off_already(trusted: bool, expected: list[bytes]) -> None:
    """ADV-B: CVE-2024-52003."""
    sent = request("/api/x", "X-Forwarded-Prefix: /out", peer=client(trusted))
    assert call(stripped("/api"), sent).sent(b"x-forwarded-prefix") == expected


@pytest.mark.parametrize(("force", "expected"), [(True, b"/v/"), (False, b"/v")])
def test_force_slash_is_seen_by_the_next_one(force: bool, expected: bytes) -> None:
    outer, inner = stripped("/api", force_slash=force), added("/v")
    assert call(lambda handler: outer(inner(handler)), request("/api")).target == expected


@pytest.mark.behaviour("MW-8")
def test_the_order_of_two() -> None:
    strip, add = stripped("/a"), added("/b")
    assert call(lambda handler: strip(add(handler)), request("/a/x")).target == b"/b/x"
    assert call(lambda handler: add(strip(handler)), request("/a/x")).target == b"/b/a/x"


@pytest.mark.parametrize(
    ("expression", "target", "expected", "header"),
    [
        pytest.param("/api/[0-9]+", "/api/42/x", b"/x", b"/api/42", marks=pytest.mark.behaviour("MW-23")),
        pytest.param("/b", "/a/b", b"/a/b", None, marks=pytest.mark.behaviour("MW-24")),
        ("x*", "/x", b"/x", None),
        ("^/(a|é)", "/%C3%A9/x%2Fy", b"/x%2Fy", "/é".encode()),
        ("^/.", "/%FF%FE/x", b"/%FE/x", b"/\xff"),
        (".*", "/a/b?x", b"/?x", b"/a/b"),
    ],
)
def test_strip_prefix_regex(expression: str, target: str, expected: bytes, header: bytes | None) -> None:
    answer = call(stripped_by(expression), request(target))
    lines = [header] if header is not None else []
    assert (answer.target, answer.sent(b"x-forwarded-prefix")) == (expected, lines)


@pytest.mark.parametrize("target", ["/api/42../x", "/api/42%2F", "/api/4%0D%0AX-Evil:%201/x", "/api/4%00/"])
@pytest.mark.behaviour("ADV-A-5")
def test_a_matched_prefix_that_cannot_be_told_to_the_server(target: str) -> None:
    """ADV-A: CVE-2026-40912, and no header lines out of escapes."""
    assert refused(call(stripped_by("/api/[^/.]+"), request(target)))


@pytest.mark.behaviour("MW-25")
@pytest.mark.parametrize("expression", ["(?=x)", "(a)\\1", "("])
def test_expressions_are_of_the_dialect_of_go(expression: str) -> None:
    with pytest.raises(BuildError, match="error parsing regexp: "):
        stripped_by(expression)
    with pytest.raises(BuildError, match=r"error compiling regular expression .*: error parsing regexp: "):
        replaced_by(expression)


@pytest.mark.parametrize(
    ("path", "target", "expected"),
    [
        pytest.param("/foo", "/bar/baz?x=1", b"/foo?x=1", marks=pytest.mark.behaviour("MW-26")),
        pytest.param("/foo?x=1", "/y", b"/foo%3Fx=1", marks=pytest.mark.behaviour("MW-29")),
        ("/a%2Fb%2fc", "/y", b"/a%2Fb%2fc"),
        ("", "/y?z", b"/?z"),
        ("/a b#", "/y", b"/a%20b%23"),
        ("foo", "/y", b"/foo"),
    ],
)
def test_replace_path(path: str, target: str, expected: bytes) -> None:
    answer = call(replaced(path), request(target))
    assert answer.target == expected
    assert answer.sent(b"x-replaced-path") == [target.partition("?")[0].encode()]


@pytest.mark.behaviour("MW-27")
def test_a_client_may_send_the_header_of_the_replaced_path_too() -> None:
    sent = request("/bar/baz", "X-Replaced-Path: evil")
    assert call(replaced("/foo"), sent).sent(b"x-replaced-path") == [b"evil", b"/bar/baz"]


@pytest.mark.behaviour("MW-28")
@pytest.mark.parametrize(
    ("path", "body"), [("/a%zz", b'invalid URL escape "%zz"\n'), ('/%"', b'invalid URL escape "%\\""\n')]
)
def test_a_broken_escape_in_the_configuration(path: str, body: bytes) -> None:
    for wrap in (replaced(path), replaced_by(".+", path)):
        answer = call(wrap, request("/y"))
        assert (answer.served, answer.status, answer.body) == (None, 500, body)


@pytest.mark.parametrize(
    ("expression", "replacement", "target", "expected"),
    [
        pytest.param(
            "^/foo/(.*)", "/bar/$1", "/foo/x/y?q=1", b"/bar/x/y?q=1", marks=pytest.mark.behaviour("MW-30")
        ),
        pytest.param("/whoami", "/w", "/whoami/and/whoami", b"/w/and/w", marks=pytest.mark.behaviour("MW-31")),
        pytest.param(".*", "/x", "/abc", b"/x", marks=pytest.mark.behaviour("MW-32")),
        pytest.param("^/a/(.*)", "/$1x", "/a/b", b"/", marks=pytest.mark.behaviour("MW-34")),
        pytest.param("^/a/(.*)", "/${1}x", "/a/b", b"/bx", marks=pytest.mark.behaviour("MW-34")),
        pytest.param("/aaa%2Fbbb", "/z", "/aaa%2Fbbb", b"/z", marks=pytest.mark.behaviour("MW-35")),
        (" ^/foo ", " /b r ", "/foo%20", b"/b%20r%20"),
    ],
)
def test_replace_path_regex(expression: str, replacement: str, target: str, expected: bytes) -> None:
    answer = call(replaced_by(expression, replacement), request(target))
    assert (answer.target, answer.sent(b"x-replaced-path")) == (expected, [target.partition("?")[0].encode()])


@pytest.mark.behaviour("MW-33")
@pytest.mark.parametrize("target", ["/foo../bar", "/foo/bar", "/foo."])
@pytest.mark.behaviour("ADV-A-7")
def test_a_replaced_path_must_be_clean(target: str) -> None:
    """ADV-A: CVE-2026-65600."""
    assert refused(call(replaced_by("^/foo(.*)", "/$1"), request(target)))


@pytest.mark.parametrize("target", ["/foo../bar", "/foo..", "/foo./x"])
def test_a_replaced_path_without_a_slash_must_be_clean_too(target: str) -> None:
    assert refused(call(replaced_by("^/foo(.*)", "$1"), request(target)))
    assert call(replaced_by("^/foo(.*)", "$1"), request("/foobar")).target == b"/bar"


def test_a_path_that_does_not_match_stays_as_it_is() -> None:
    answer = call(replaced_by("^/foo", "/x"), request("/a%2Fb!?q"))
    assert (answer.target, answer.sent(b"x-replaced-path")) == (b"/a%2Fb!?q", [])


# Laws

segments = st.text(st.sampled_from("ab./%!;~ é\\?#"), max_size=6)


@st.composite
def escaped_paths(draw: st.DrawFn) -> bytes:
    """Paths as the entry point lets them through: escapes of anything, no `.`, `..` or empty segments."""
    text = "/" + "/".join(draw(st.lists(segments, max_size=4)))
    raw = "".join(draw(st.sampled_from([one, f"%{ord(one):02X}"])) if one in "ab./!%" else one for one in text)
    path = normalize_path(raw.encode().replace(b"?", b"%3F").replace(b"#", b"%23"))
    return sanitize_path(path) if path is not None else b"/"


@given(escaped_paths(), st.sampled_from(["/a", "/a/", "/", "/a.", "/%", "/a b", "/!", "/é", "/a/b"]))
def test_what_goes_on_was_there_before(path: bytes, prefix: str) -> None:
    """ADV-A: the prefix and what is sent on, put together, are the path that the router has seen; nothing that the
    client had escaped is sent without its escape, and nothing is left to be resolved."""
    answer = call(stripped(prefix), request(path.decode()))
    if answer.served is None:
        assert refused(answer)
        return
    assert answer.target is not None
    assert is_clean(answer.target)
    if not answer.sent(b"x-forwarded-prefix"):
        assert answer.target == path
        return
    possible = [answer.target, answer.target.removeprefix(b"/")]  # a slash may have been put in front
    assert any(path.endswith(rest) and decoded(path) == prefix.encode() + decoded(rest) for rest in possible)


@given(escaped_paths(), st.sampled_from(["/x", "/x y", "/!", "/%41", "x"]))
def test_a_prefix_leaves_the_rest_alone(path: bytes, prefix: str) -> None:
    answer = call(added(prefix), request(path.decode()))
    assert answer.target is not None
    assert answer.target.endswith(path)
    assert routing_path(answer.target).endswith(routing_path(path))


@given(st.binary(max_size=12))
def test_encoding_and_decoding(path: bytes) -> None:
    assert decoded(encoded(path)) == path
    assert respelled(b"/" + encoded(path)) == b"/" + encoded(path)


@given(escaped_paths(), st.integers(0, 8))
def test_cutting_counts_decoded_bytes(path: bytes, count: int) -> None:
    assert decoded(without_start(path, count)) == decoded(path)[count:]
