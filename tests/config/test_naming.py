"""Names of objects by default and with `safeNaming`; the differential tests hold both against the original."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from config.naming import DEFAULT_NAMING, MIRROR, SAFE_NAMING

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,3}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=3).map(".".join)


def test_default_names_say_the_rule_and_safe_ones_count() -> None:
    assert DEFAULT_NAMING.http_router("a", "b.c", 3, "Host(`x`)").startswith("a-b-c-")
    assert DEFAULT_NAMING.balancer("r") == DEFAULT_NAMING.weighted("r") == "r"
    assert SAFE_NAMING.http_router("a", "b.c", 3, "Host(`x`)") == "a_b.c_3"
    assert SAFE_NAMING.tcp_router("a", "b.c", 3, "x") == SAFE_NAMING.udp_router("a", "b.c", 3) == "a_b.c_3"
    assert SAFE_NAMING.child(("a_m", MIRROR, "0"), "b", "web", "http") == "a_m_mirror_0_b_web_http"
    assert SAFE_NAMING.foreign("", "t") == "_t"


@given(st.tuples(LABELS, NAMES), st.tuples(LABELS, NAMES))
def test_safe_names_are_equal_for_equal_objects_only(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (SAFE_NAMING.object(*one) == SAFE_NAMING.object(*other)) == (one == other)
