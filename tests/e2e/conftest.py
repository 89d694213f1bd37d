"""Process trees that are ended after the test, whatever it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.e2e.tree import STAND_INS, Tree

StartTree = Callable[..., Tree]

FLAGS = ("--entryPoints.web.address=127.0.0.1:0", "--log.level=INFO")


@pytest.fixture
def start_tree(tmp_path: Path) -> Iterator[StartTree]:
    """`start_tree("--workers=2", ...)`: entry point web on a port of 127.0.0.1, log level INFO, stand-in parts."""
    trees: list[Tree] = []

    def start(
        *flags: str,
        environ: Mapping[str, str] | None = None,
        program: Sequence[str] = STAND_INS,
        base: Sequence[str] = FLAGS,
        descriptors: Sequence[int] = (),
        wrapper: Sequence[str] = (),
    ) -> Tree:
        folder = tmp_path / f"tree{len(trees)}"
        folder.mkdir()
        tree = Tree(folder, [*base, *flags], environ or {}, program, descriptors, wrapper)
        trees.append(tree)
        return tree

    yield start
    for tree in trees:
        tree.end()
