"""Templates of the v2 syntax."""

from __future__ import annotations

import pytest

from config import rule_templates as templates


def test_text_is_literal_and_braces_are_patterns() -> None:
    assert templates.path(b"/a.b/{id}") == rb"^/a\.b/[^/]+$"
    assert templates.path_prefix(b"/{x:a|b}/c") == b"^/(?:a|b)/c"
    assert templates.host(b"{x}.b") == rb"^[^.]+\.b$"
    assert templates.host(b"{x:[a-z]{2}}") == b"^(?:[a-z]{2})$"
    assert templates.query(b"a", b"") == b"^a=.*$"
    assert templates.query(b"a", b"{x}") == b"^a=.*$"


@pytest.mark.parametrize("template", [b"/{x", b"/x}", b"/{}", b"/{:a}", b"/{x:}", b"/{x:(}", b"/{x:a)(b}", b"/}{"])
def test_wrong_templates_are_refused(template: bytes) -> None:
    with pytest.raises(templates.TemplateError):
        templates.path(template)


def test_query_pairs_are_split_at_the_first_equals_sign() -> None:
    assert templates.query_pairs((b"a=b=c", b"d=")) == [(b"a", b"b=c"), (b"d", b"")]
    assert templates.query_pairs((b"a", b"b")) == [(b"a", b"b")]
    with pytest.raises(templates.TemplateError):
        templates.query_pairs((b"a",))
