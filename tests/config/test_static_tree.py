"""From raw text to typed options: every kind of value, every kind of mistake."""

from __future__ import annotations

from typing import Any

import pytest

from config.static_file import tree_of
from config.static_flags import read_flags
from config.static_schema import root, schema_of
from config.static_shape import Options
from config.static_tree import Node, build


class Domain(Options, frozen=True, kw_only=True):
    main: str = ""
    sans: list[str] = []


class Sample(Options, frozen=True, kw_only=True):
    domains: list[Domain] = []
    buckets: list[float] = []
    header_labels: dict[str, str] = {}
    count: int = 0


def sample(mapping: dict[str, Any]) -> tuple[Options, list[str]]:
    built = build(schema_of(Sample), tree_of(mapping))
    return built.options, [problem.message for problem in built.problems]


def test_lists_of_sections_keep_the_order_of_a_file() -> None:
    options, problems = sample({"domains": [{"main": "a", "sans": ["b", "c,d"]}, {"main": "e"}]})
    assert not problems
    assert options == Sample(domains=[Domain(main="a", sans=["b", "c,d"]), Domain(main="e")])


def test_numbered_sections_come_in_string_order_of_the_index() -> None:
    tree = Node()
    for name in ("[2]", "[10]", "1"):
        tree.reach(["domains", name, "main"], "--x").value = name
    assert build(schema_of(Sample), tree).options == Sample(
        domains=[Domain(main=name) for name in ("1", "[10]", "[2]")]
    )


def test_numbers_and_maps() -> None:
    options, problems = sample({"buckets": "0.1, 5", "headerLabels": {"Agent": "User-Agent"}, "COUNT": "+7"})
    assert not problems
    assert options == Sample(buckets=[0.1, 5.0], header_labels={"Agent": "User-Agent"}, count=7)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"domains": "a"}, "domains is a list of sections, written domains[0].<option>"),
        ({"domains": {"x": {"main": "a"}}}, "domains.x is no index; write domains[0]"),
        ({"domains": ["a", {"main": "b"}]}, "domains[0] cannot stand alone; give one of its options: main, sans"),
        ({"buckets": "a"}, "buckets must be numbers separated by commas, not 'a'"),
        ({"headerLabels": "a"}, "headerLabels needs names below it, each with a value"),
        ({"headerLabels": {"a": ["b"]}}, "headerLabels.a takes one value"),
        ({"count": "1.5"}, "count must be a whole number, not '1.5'"),
        ({"count": "1_000"}, "count must be a whole number, not '1_000'"),
        ({"count": str(1 << 63)}, f"count must be a whole number, not '{1 << 63}'"),
        ({"count": ["1"]}, "count takes one value, not a list"),
        ({"count": {}}, "count takes a value, not a section"),
        ({"count": {"x": 1}}, "count.x does not exist: nothing can stand below this option"),
    ],
)
def test_mistakes(mapping: dict[str, Any], message: str) -> None:
    assert sample(mapping)[1] == [message]


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--api.insecure=yes", "api.insecure must be true or false, not 'yes'"),
        ("--ping=on", "ping must be true or false, not 'on'"),
        ("--log.level=LOUD", "log.level must be one of TRACE, DEBUG, INFO, WARN, ERROR, FATAL, PANIC, not 'LOUD'"),
        ("--core.defaultRuleSyntax=v4", "core.defaultRuleSyntax must be one of v2, v3, not 'v4'"),
        ("--entryPoints=:80", "entryPoints needs names below it, such as entryPoints.<name>"),
        (
            "--entryPoints.web.transport.lifeCycle=true",
            "entryPoints.web.transport.lifeCycle cannot stand alone; give one of its options: "
            "requestAcceptGraceTimeout, graceTimeOut",
        ),
    ],
)
def test_mistakes_in_flags(flag: str, message: str) -> None:
    assert [problem.message for problem in build(root(), read_flags([flag]).tree).problems] == [message]


@pytest.mark.behaviour("OP-6")
def test_durations_are_seconds_or_go_text_and_days_are_refused() -> None:
    def throttle(text: str) -> tuple[float, list[str]]:
        built = build(root(), read_flags([f"--providers.providersThrottleDuration={text}"]).tree)
        value: float = built.options.providers.providers_throttle_duration_seconds  # type: ignore[attr-defined]
        return value, [problem.message for problem in built.problems]

    assert throttle("5") == (5.0, [])
    assert throttle("500ms") == (0.5, [])
    assert throttle("1m30s") == (90.0, [])
    assert throttle("5d")[1][0].startswith("providers.providersThrottleDuration is wrong: '5d' is not a duration")


def test_all_mistakes_are_told_at_once() -> None:
    tree = read_flags(["--foo=1", "--log.level=LOUD", "--ping.port=1"]).tree
    assert len(build(root(), tree).problems) == 3
