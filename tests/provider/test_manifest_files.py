"""One file: numbers and text as Kubernetes tools read them, errors with a line, bounds."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider import manifest_files
from provider.manifest_files import ManifestError, parse

HEAD = b"apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"


def value_of(text: str) -> object:
    (found,) = parse(HEAD + f"x: {text}\n".encode(), "a.yaml")
    return found["x"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("80", 80),
        ("-5", -5),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 15),
        ("1_000", 1000),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("true", True),
        ("no", False),
        ('"80"', "80"),
        ("22:30", "22:30"),
        ("2026-01-02", "2026-01-02"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("1.2.3", "1.2.3"),
        ("10.0.0.1", "10.0.0.1"),
        ("~", None),
        ("-", None),
    ],
)
def test_values(text: str, value: object) -> None:
    if text == "-":
        assert value_of("") is None
    else:
        assert value_of(text) == value


def test_documents_and_lists_are_taken_apart() -> None:
    text = b"""
---
# nothing here
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: a}}
- apiVersion: v1
  kind: ServiceList
  items: [{apiVersion: v1, kind: Service, metadata: {name: b}}]
---
apiVersion: v1
kind: Service
metadata: {name: c}
"""
    assert [found["metadata"]["name"] for found in parse(text, "a.yml")] == ["a", "b", "c"]


def test_json_files() -> None:
    text = b'{"apiVersion": "v1", "kind": "Service",\n\t"metadata": {"name": "a"}}'
    assert parse(text, "a.json")[0]["metadata"] == {"name": "a"}
    with pytest.raises(ManifestError) as caught:
        parse(b'{\n"a": 1,\n]', "a.json")
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (HEAD + b"spec: {ports: [\n", 5, ""),
        (HEAD + b"\tspec: 1\n", 4, "cannot start any token"),
        (b"- a\n- b\n", 1, "no Kubernetes object"),
        (HEAD + b"---\nkind: Service\n", 5, "no apiVersion"),
        (HEAD + b"x: !!python/object:os.system {}\n", 4, "could not determine a constructor"),
        (HEAD + b"x: *nobody\n", 4, "undefined alias"),
    ],
)
def test_errors_name_a_line(text: bytes, line: int, says: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(text, "a.yaml")
    assert caught.value.line == line
    assert says in caught.value.message


def test_an_alias_bomb_is_refused() -> None:
    lines = [b"a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 12):
        lines.append(b"a%d: &a%d [%s]" % (level, level, b", ".join([b"*a%d" % (level - 1)] * 9)))
    with pytest.raises(ManifestError, match="written out"):
        parse(HEAD + b"\n".join(lines), "a.yaml")


def test_an_alias_to_itself_is_refused() -> None:
    with pytest.raises(ManifestError, match="contains it"):
        parse(HEAD + b"x: &a [*a]\n", "a.yaml")


def test_aliases_and_merges_work() -> None:
    found = parse(HEAD + b"x: &a {b: 1}\ny: {<<: *a, c: 2}\n", "a.yaml")[0]
    assert found["y"] == {"b": 1, "c": 2}


def test_depth_and_size_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for deep in (b"[" * 10**6, b"- " * 10**6, b"[" * 101 + b"]" * 101):
        with pytest.raises(ManifestError, match="deep"):
            parse(HEAD + b"x:\n  " + deep, "a.yaml")
    for deep in (b'{"a":' * 10**6, b"[" * 101 + b"]" * 101):
        with pytest.raises(ManifestError, match="deep"):
            parse(deep, "a.json")
    monkeypatch.setattr(manifest_files, "LARGEST_FILE_BYTES", 10)
    with pytest.raises(ManifestError, match="more than the 10"):
        parse(HEAD, "a.yaml")


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode), st.sampled_from(["a.yaml", "a.json"]))
def test_any_bytes_parse_or_give_our_error(data: bytes, name: str) -> None:
    with contextlib.suppress(ManifestError):
        assert isinstance(parse(data, name), list)
