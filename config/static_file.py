"""The configuration file: where it is looked for, and YAML, TOML or JSON into the raw tree.

Safer than the original, on purpose: a --configFile that does not exist is fatal (the original goes on to the
default places), directories named by unset variables are not probed, a key written twice is an error, and a
section without content (`ping:`), which the original ignores in silence, is ignored with a warning (by `build`).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Any, Final

import yaml

from config.static_errors import Problem, StaticError
from config.static_tree import Node

_SUFFIXES: Final = (".toml", ".yaml", ".yml")
_NAMES: Final = ("pointsman", "traefik")
_NULL: Final = "tag:yaml.org,2002:null"
_DEEPEST: Final = 32
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def find_file(named: str, environ: Mapping[str, str], cwd: Path, system: Path) -> tuple[Path | None, list[Path]]:
    """The file to read, and others in default places that it hides.

    `named` is the value of --configFile; variables in it are expanded. Raises StaticError if it is no file.
    """
    if named:
        path = cwd / Template(named).safe_substitute(environ)
        if not os.path.isfile(path):
            raise StaticError(Problem("configFile", "", f"--configFile {path}: there is no such file"))
        return path, []
    found = [path for path in default_places(environ, cwd, system) if os.path.isfile(path)]
    return (found[0], found[1:]) if found else (None, [])


def default_places(environ: Mapping[str, str], cwd: Path, system: Path) -> Iterator[Path]:
    """Every place looked at without --configFile, in order: first our own name, then Traefik's."""
    for name in _NAMES:
        folders = [system / name]
        if environ.get("XDG_CONFIG_HOME"):
            folders.append(Path(environ["XDG_CONFIG_HOME"]))
        if environ.get("HOME"):
            folders.append(Path(environ["HOME"], ".config"))
        for folder in (*folders, cwd):
            for suffix in _SUFFIXES:
                yield folder / f"{name}{suffix}"


def read_file(path: Path) -> Node:
    """The raw tree. Raises StaticError if the file cannot be read, is empty or malformed."""
    reader = {".toml": _read_toml, ".yaml": _read_yaml, ".yml": _read_yaml, ".json": _read_yaml}.get(path.suffix)
    if reader is None:
        raise _refused(path, "the suffix must be .toml, .yaml, .yml or .json")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(path, f"cannot be read: {error}") from error
    tree = Node(origin=str(path))
    reader(path, text, tree)
    if not tree.children:
        raise _refused(path, f"no configuration found in file: {path}")
    return tree


def tree_of(mapping: Mapping[str, object]) -> Node:
    """The raw tree of plain data, as TOML and JSON give it."""
    tree = Node()
    _fill_plain(dict(mapping), tree, "")
    return tree


def _read_yaml(path: Path, text: str, tree: Node) -> None:
    loader = _Loader(text)
    try:
        document = loader.get_single_node()
        if document is not None and document.tag != _NULL:
            _Yaml(path, loader).fill(document, tree, ())
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise _refused(path, f"{line}{error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise _refused(path, str(error)) from error
    finally:
        loader.dispose()


class _Yaml:
    """Turns composed nodes into raw ones: scalars keep the text that the user wrote."""

    def __init__(self, path: Path, loader: Any) -> None:
        self._path, self._loader = path, loader

    def fill(self, source: yaml.Node, target: Node, names: tuple[str, ...]) -> None:
        target.origin = f"{self._path}:{source.start_mark.line + 1}"
        if len(names) > _DEEPEST:
            raise _refused(self._path, f"line {source.start_mark.line + 1}: nested too deeply")
        if isinstance(source, yaml.MappingNode):
            self._mapping(source, target, names)
        elif not names:
            raise _refused(self._path, "must hold a mapping of options")
        elif isinstance(source, yaml.SequenceNode):
            self._sequence(source, target, names)
        elif source.tag == _NULL:
            target.empty = True
        else:
            target.value = str(source.value)

    def _mapping(self, source: yaml.MappingNode, target: Node, names: tuple[str, ...]) -> None:
        self._refuse_twice(source, names)
        self._loader.flatten_mapping(source)
        for key, value in source.value:
            path = (*names, str(key.value))
            target.children.pop(str(key.value).lower(), None)  # a key of its own overrides a merged one
            self.fill(value, target.child(str(key.value), ""), path)

    def _refuse_twice(self, source: yaml.MappingNode, names: tuple[str, ...]) -> None:
        seen: set[str] = set()
        for key, _ in source.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refused(self._path, f"line {key.start_mark.line + 1}: a key must be plain text")
            name = str(key.value).lower()
            if name in seen:
                full = ".".join((*names, str(key.value)))
                raise StaticError(
                    Problem(full, f"{self._path}:{key.start_mark.line + 1}", f"{full} is written twice")
                )
            seen.add(name)

    def _sequence(self, source: yaml.SequenceNode, target: Node, names: tuple[str, ...]) -> None:
        if all(isinstance(item, yaml.ScalarNode) for item in source.value):
            target.items = [str(item.value) for item in source.value]
            return
        for index, item in enumerate(source.value):
            self.fill(item, target.child(f"[{index}]", ""), (*names, f"[{index}]"))


def _read_toml(path: Path, text: str, tree: Node) -> None:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refused(path, str(error)) from error
    _fill_plain(document, tree, str(path))


def _fill_plain(source: Any, target: Node, origin: str) -> None:
    target.origin = origin
    if source is None:
        target.empty = True
    elif isinstance(source, dict):
        for name, value in source.items():
            _fill_plain(value, target.child(name, origin), origin)
    elif isinstance(source, list) and any(isinstance(item, dict | list) for item in source):
        for index, item in enumerate(source):
            _fill_plain(item, target.child(f"[{index}]", origin), origin)
    elif isinstance(source, list):
        target.items = [_plain_text(item) for item in source]
    else:
        target.value = _plain_text(source)


def _plain_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refused(path: Path, message: str) -> StaticError:
    return StaticError(Problem("", str(path), message))
