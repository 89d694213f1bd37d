"""The configuration file: where it is found and what its three formats may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.static_errors import StaticError
from config.static_file import default_places, find_file, read_file
from config.static_schema import root
from config.static_tree import Built, build


def built(path: Path, text: str) -> Built:
    path.write_text(text)
    return build(root(), read_file(path))


def test_places_in_order_ours_first() -> None:
    environ = {"XDG_CONFIG_HOME": "/xdg", "HOME": "/home/u"}
    places = [str(path) for path in default_places(environ, Path("/work"), Path("/etc"))]
    assert places[:12] == [
        f"{folder}/pointsman{suffix}"
        for folder in ("/etc/pointsman", "/xdg", "/home/u/.config", "/work")
        for suffix in (".toml", ".yaml", ".yml")
    ]
    assert places[12:] == [place.replace("pointsman", "traefik") for place in places[:12]]


def test_unset_variables_are_no_places() -> None:
    places = {path.parent for path in default_places({"HOME": ""}, Path("/work"), Path("/etc"))}
    assert places == {Path("/etc/pointsman"), Path("/etc/traefik"), Path("/work")}


def test_the_first_file_wins_and_hidden_ones_are_told(tmp_path: Path) -> None:
    (tmp_path / "traefik.toml").touch()
    (tmp_path / "pointsman.yml").touch()
    found = find_file("", {}, tmp_path, tmp_path / "etc")
    assert found == (tmp_path / "pointsman.yml", [tmp_path / "traefik.toml"])


def test_a_named_file_is_relative_and_may_hold_variables(tmp_path: Path) -> None:
    (tmp_path / "x.yml").touch()
    assert find_file("$NAME.yml", {"NAME": "x"}, tmp_path, tmp_path) == (tmp_path / "x.yml", [])


def test_a_named_file_that_is_missing_is_fatal(tmp_path: Path) -> None:
    (tmp_path / "traefik.yml").touch()
    with pytest.raises(StaticError, match=r"gone\.yml: there is no such file"):
        find_file("gone.yml", {}, tmp_path, tmp_path)


YAML = """
entryPoints:
  Web: &web
    ADDRESS: :80
    forwardedHeaders: {trustedIPs: [10.0.0.0/8, "::1"]}
    transport: {respondingTimeouts: {readTimeout: 5, idleTimeout: 1m30s}}
  other:
    <<: *web
    address: ":81"
ping: {}
log: {level: info, noColor: true}
"""
TOML = """
[entryPoints.Web]
address = ":80"
[entryPoints.Web.forwardedHeaders]
trustedIPs = ["10.0.0.0/8", "::1"]
[entryPoints.Web.transport.respondingTimeouts]
readTimeout = 5
idleTimeout = "1m30s"
[entryPoints.other]
address = ":81"
[entryPoints.other.forwardedHeaders]
trustedIPs = ["10.0.0.0/8", "::1"]
[entryPoints.other.transport.respondingTimeouts]
readTimeout = 5
idleTimeout = "1m30s"
[ping]
[log]
level = "info"
noColor = true
"""
JSON = """
{"entryPoints": {
   "Web": {"address": ":80", "forwardedHeaders": {"trustedIPs": ["10.0.0.0/8", "::1"]},
           "transport": {"respondingTimeouts": {"readTimeout": 5, "idleTimeout": "1m30s"}}},
   "other": {"address": ":81", "forwardedHeaders": {"trustedIPs": ["10.0.0.0/8", "::1"]},
           "transport": {"respondingTimeouts": {"readTimeout": 5, "idleTimeout": "1m30s"}}}},
 "ping": {}, "log": {"level": "info", "noColor": true}}
"""


def test_the_formats_say_the_same(tmp_path: Path) -> None:
    results = [
        built(tmp_path / name, text) for name, text in [("a.yaml", YAML), ("a.toml", TOML), ("a.json", JSON)]
    ]
    assert results[0].problems == []
    assert results[0] == results[1] == results[2]
    point = results[0].options.entry_points["Web"]  # type: ignore[attr-defined]
    assert point.transport.responding_timeouts.idle_timeout_seconds == 90


def test_an_empty_section_is_ignored_with_a_warning(tmp_path: Path) -> None:
    result = built(tmp_path / "a.yml", "ping:\napi: {}\nlog:\n  level:\n")
    assert result.options.ping is None  # type: ignore[attr-defined]
    assert result.options.api is not None  # type: ignore[attr-defined]
    assert result.warnings == [
        f"{tmp_path}/a.yml:1: ping has no value and is ignored; write ping: {{}} to switch a section on",
        f"{tmp_path}/a.yml:4: log.level has no value and is ignored; write level: {{}} to switch a section on",
    ]


def test_a_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    result = built(tmp_path / "a.yml", "log:\n  level: INFO\n  levle: INFO\nfoo: 1\n")
    assert [str(problem) for problem in result.problems] == [
        f"{tmp_path}/a.yml:3: unknown option log.levle; did you mean log.level?",
        f"{tmp_path}/a.yml:4: unknown option foo",
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yml", "", "no configuration found in file"),
        ("a.yml", "# nothing\n", "no configuration found in file"),
        ("a.json", "{}", "no configuration found in file"),
        ("a.toml", "", "no configuration found in file"),
        ("a.yml", "- a\n", "must hold a mapping"),
        ("a.yml", "text\n", "must hold a mapping"),
        ("a.yml", "log: {level: INFO\n", "line 2: "),
        ("a.yml", "log: {}\nLog: {}\n", "Log is written twice"),
        ("a.yml", "? [a]\n: b\n", "a key must be plain text"),
        ("a.yml", "ping: &p {a: *p}\n", "nested too deeply|alias"),
        ("a.yml", "ping: {}\n---\napi: {}\n", "another document"),
        ("a.toml", "x = ", "Invalid value"),
        ("a.ini", "x", "the suffix must be"),
    ],
)
def test_unusable_files(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(StaticError, match=message) as raised:
        built(tmp_path / name, text)
    assert str(tmp_path / name) in str(raised.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StaticError, match="cannot be read"):
        read_file(tmp_path / "a.yml")
