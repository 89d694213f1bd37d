"""EncodedCharacters as a middleware; as an option of entry points it is in tests/workers/test_models.py."""

from __future__ import annotations

import pytest

from config.middlewares_paths import EncodedCharacters, ReplacePath
from tests.workers.middlewares.calls import call, made, request
from workers.middlewares.encoded_characters import encoded_characters
from workers.middlewares.paths import replace_path

STRICT = made(encoded_characters, EncodedCharacters())
ESCAPES = {
    "allow_encoded_slash": "%2F",
    "allow_encoded_back_slash": "%5C",
    "allow_encoded_null_character": "%00",
    "allow_encoded_semicolon": "%3B",
    "allow_encoded_percent": "%25",
    "allow_encoded_question_mark": "%3F",
    "allow_encoded_hash": "%23",
}


@pytest.mark.behaviour("MW-157")
@pytest.mark.parametrize(("option", "escape"), ESCAPES.items())
@pytest.mark.behaviour("ADV-A-4")
def test_each_by_itself(option: str, escape: str) -> None:
    for written in (escape, escape.lower()):
        answer = call(STRICT, request(f"/a{written}b"))
        assert (answer.served, answer.status, answer.body, answer.headers) == (None, 400, b"", [])
        allowing = made(encoded_characters, EncodedCharacters(**{option: True}))
        assert call(allowing, request(f"/a{written}b")).target == f"/a{escape}b".encode()
    assert call(STRICT, request(f"/a?x={escape}")).status == 200


def test_others_pass() -> None:
    assert call(STRICT, request("/%20%C3%A9%41;x")).target == b"/%20%C3%A9A;x"


def test_the_path_as_rewritten() -> None:
    replace = made(replace_path, ReplacePath(path="/a%2fb"))
    assert call(lambda handler: replace(STRICT(handler)), request("/x")).status == 400
    assert call(lambda handler: STRICT(replace(handler)), request("/x%2F")).status == 400
    assert call(lambda handler: STRICT(replace(handler)), request("/x")).target == b"/a%2fb"
