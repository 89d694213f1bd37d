"""Names and value checks of both syntaxes."""

from __future__ import annotations

from config import rule_matchers


def test_spellings() -> None:
    assert rule_matchers.spellings("ClientIP") == {"ClientIP", "clientip", "CLIENTIP", "Clientip"}


def test_refusals_are_sentences_about_the_matcher() -> None:
    form = rule_matchers.V2["Headers"]
    assert form.refusal("Headers", (b"a", b"b")) is None
    assert form.refusal("Headers", (b"a", b"b", b"c")) == "Headers takes pairs of values, got 3"
    assert form.refusal("Headers", ()) == "Headers needs a value, as in Headers(`...`)"
