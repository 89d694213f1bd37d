"""The folder's watcher: changes arrive by themselves."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable
from pathlib import Path

from provider.manifest_objects import ManifestsRead
from provider.manifest_watch import ManifestWatcher
from provider.manifests import ManifestFolder
from tests.provider.support import service
from tests.provider.test_manifests import names, write

DEADLINE_SECONDS = 10.0


class Watching:
    def __init__(self, path: Path) -> None:
        self.reads: queue.SimpleQueue[ManifestsRead] = queue.SimpleQueue()
        self.watcher = ManifestWatcher(ManifestFolder(str(path)), self.reads.put)

    def __enter__(self) -> Watching:
        self.watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.watcher.stop(DEADLINE_SECONDS)

    def until(self, accept: Callable[[ManifestsRead], bool]) -> ManifestsRead:
        while True:
            read = self.reads.get(timeout=DEADLINE_SECONDS)
            if accept(read):
                return read


def test_writes_renames_and_deletions_arrive(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", service("a"))
    with Watching(tmp_path) as watching:
        watching.until(lambda read: names(read) == ["default/a"])
        write(tmp_path / "b.yaml", service("b"))
        watching.until(lambda read: names(read) == ["default/a", "default/b"])
        write(tmp_path / "sub" / "c.yaml", service("c"))
        watching.until(lambda read: "default/c" in names(read))
        (tmp_path / "a.yaml").unlink()
        watching.until(lambda read: names(read) == ["default/b", "default/c"])


def test_a_folder_that_appears_later(tmp_path: Path) -> None:
    with Watching(tmp_path / "later") as watching:
        watching.until(lambda read: bool(read.findings))
        write(tmp_path / "later" / "a.yaml", service("a"))
        watching.until(lambda read: names(read) == ["default/a"])


def test_a_folder_that_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write(folder / "a.yaml", service("a"))
    with Watching(folder) as watching:
        watching.until(lambda read: names(read) == ["default/a"])
        folder.rename(tmp_path / "old")
        watching.until(lambda read: bool(read.findings))
        write(folder / "b.yaml", service("b"))
        watching.until(lambda read: names(read) == ["default/b"])
        write(folder / "c.yaml", service("c"))
        watching.until(lambda read: names(read) == ["default/b", "default/c"])


def test_the_swap_of_a_mounted_config_map_arrives(tmp_path: Path) -> None:
    write(tmp_path / "..1" / "a.yaml", service("old"))
    write(tmp_path / "..2" / "a.yaml", service("new"))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    with Watching(tmp_path) as watching:
        watching.until(lambda read: names(read) == ["default/old"])
        (tmp_path / "..data_tmp").symlink_to("..2")
        os.rename(tmp_path / "..data_tmp", tmp_path / "..data")
        watching.until(lambda read: names(read) == ["default/new"])
