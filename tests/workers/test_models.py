"""What an entry point adds to its routers: the check of encoded characters, and copies of their own."""

from __future__ import annotations

import pytest

from config.static import EntryPoint, StaticConfiguration
from config.static_entrypoint import HTTP, EncodedCharacters
from tests.playbook import Stage, respond
from tests.workers.fakes import FakeExchange, router
from workers.models import Model, encoded_character_check, models_of, per_entry_point

NONE = EncodedCharacters(
    allow_encoded_slash=False,
    allow_encoded_back_slash=False,
    allow_encoded_null_character=False,
    allow_encoded_semicolon=False,
    allow_encoded_percent=False,
    allow_encoded_question_mark=False,
    allow_encoded_hash=False,
)


def test_only_entry_points_with_the_option_have_a_model() -> None:
    static = StaticConfiguration(
        entry_points={
            "web": EntryPoint(address=":80", http=HTTP(encoded_characters=NONE)),
            "other": EntryPoint(address=":81"),
        }
    )
    assert list(models_of(static)) == ["web"]


@pytest.mark.parametrize(("path", "refused"), [(b"/a%2Fb", True), (b"/a%5Cb", False), (b"/a", False)])
@pytest.mark.behaviour("ADV-A-4")
def test_encoded_characters(path: bytes, refused: bool) -> None:
    served: list[object] = []
    handler = encoded_character_check(EncodedCharacters(allow_encoded_slash=False))(served.append)
    exchange = FakeExchange(path)
    handler(exchange)
    assert (exchange.status, bool(served)) == ((400, False) if refused else (0, True))


@pytest.mark.behaviour("DP-20")
@pytest.mark.parametrize("escape", [b"%2f", b"%5C", b"\\", b"%00", b"%3b", b"%25", b"%252F", b"%3f", b"%23"])
def test_any_spelling_is_refused_on_the_wire(escape: bytes) -> None:
    """ADV-A: also a raw backslash, which is forwarded escaped."""
    with Stage(handler=encoded_character_check(NONE)(respond())) as stage:
        client = stage.client()
        refused = client.get(b"/a" + escape + b"b")
        assert (refused.status, refused.body) == (400, b"")
        assert client.get(b"/?x=" + escape).status == 200
        assert client.get(b"/%61%20%C3%A9;x").status == 200


def test_everything_is_allowed_by_default() -> None:
    handler = encoded_character_check(EncodedCharacters())
    for escape in (b"%2F", b"%5C", b"%00", b"%3B", b"%25", b"%3F", b"%23"):
        served: list[object] = []
        handler(served.append)(FakeExchange(b"/" + escape))
        assert served


def test_a_router_is_attached_once_for_each_model_and_once_for_the_rest() -> None:
    model = Model(encoded_character_check(NONE))
    models = {"a": model, "b": model}
    attached = per_entry_point("r@p", router(entry_points=["a", "x", "b", "a", "y"]), ["x"], models)
    assert [(name, one.entry_points, with_model is model) for name, one, with_model in attached] == [
        ("a-r@p", ["a"], True),
        ("b-r@p", ["b"], True),
        ("r@p", ["x", "y"], False),
    ]
    (plain,) = per_entry_point("r@p", router(), ["x"], models)
    assert (plain[0], plain[2]) == ("r@p", None)
