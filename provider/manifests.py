"""`providers.manifests.directory`: Kubernetes objects from files, as if a cluster held them.

`ManifestFolder.scan` reads what changed since the last scan; `manifest_watch.py` says when to call it. Files
are taken in sorted order. A file that cannot be read keeps its last good objects: a half-saved file must not
drop routes. Hidden files and folders are skipped, which is how a mounted ConfigMap hides its revisions.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from provider.kube.selectors import Selector
from provider.manifest_files import LARGEST_FILE_BYTES, ManifestError, parse
from provider.manifest_objects import Gathering, ManifestsRead, Scope

SUFFIXES: Final = (".yaml", ".yml", ".json")
EMPTIED_SECONDS: Final = 2.0
"""How long a file must stay empty before its objects go: editors truncate before they write."""

Signature = tuple[int, int, int, int]


@dataclass(slots=True)
class _File:
    signature: Signature | None = None
    documents: list[dict[str, Any]] = field(default_factory=list)
    error: ManifestError | None = None
    emptied_at: float | None = None


class ManifestFolder:
    """The folder as last read. `selector` limits the custom resources, as it would in a cluster."""

    def __init__(
        self,
        directory: str,
        selector: Selector | None = None,
        watches: Callable[[str], bool] = lambda namespace: True,
        clock: Callable[[], float] = time.monotonic,
        ingress: Scope | None = None,
    ) -> None:
        self.directory = Path(directory)
        self._selector = selector or Selector()
        self._watches = watches
        self._clock = clock
        self._ingress = ingress
        self._files: dict[str, _File] = {}
        self._missing: str | None = None
        self._scanned = False

    def scan(self) -> ManifestsRead | None:
        """Read what changed; None if nothing did. Never raises for what users can do to a folder."""
        changed = not self._scanned
        missing = None if self.directory.is_dir() else "there is no such directory"
        changed |= missing != self._missing
        self._missing, self._scanned = missing, True
        present = dict(manifest_files(self.directory))
        for name in set(self._files) - set(present):
            del self._files[name]
            changed = True
        for name, path in present.items():
            changed |= self._refresh(name, path)
        return self._gather() if changed else None

    def _refresh(self, name: str, path: Path) -> bool:
        """Read one file again if it looks different; whether it was read."""
        known = self._files.setdefault(name, _File())
        try:
            signature, data = _read(path, known.signature)
            if data is None or (not data and known.documents and not self._stays_empty(known)):
                return False
            known.emptied_at = None
            known.signature = signature  # also of a broken file: it is not read again until it changes
            known.documents, known.error = parse(data, name), None
        except ManifestError as error:
            known.error = error
        except OSError as error:
            before = known.error
            known.signature, known.error = None, ManifestError(error.strerror or str(error))
            return before is None or before.message != known.error.message
        return True

    def _stays_empty(self, known: _File) -> bool:
        """Whether an emptied file has been so for long enough not to be one that is just being written."""
        if known.emptied_at is None:
            known.emptied_at = self._clock()
        return self._clock() - known.emptied_at >= EMPTIED_SECONDS

    def _gather(self) -> ManifestsRead:
        gathering = Gathering(self._selector, self._watches, self._ingress)
        if self._missing:
            gathering.note(str(self.directory), "Unreadable", self._missing, "create it")
        for name in sorted(self._files):
            one = self._files[name]
            if one.error is not None:
                kept = f"; the {len(one.documents)} objects last read stay" if one.documents else ""
                message = f"{one.error.message}{kept}"
                gathering.note(name, "Unreadable", message, "correct the file", one.error.line)
            for document in one.documents:
                gathering.add(name, document)
        return gathering.result()


def manifest_files(directory: Path) -> Iterator[tuple[str, Path]]:
    """(path below the directory, path) of each file; linked folders are followed, each real folder once."""
    visited: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(directory, followlinks=True):
        try:
            status = os.stat(place)
        except OSError:
            folders.clear()
            continue
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        for name in names:
            if name.endswith(SUFFIXES) and not name.startswith("."):
                path = Path(place, name)
                yield str(path.relative_to(directory)), path


def _read(path: Path, known: Signature | None) -> tuple[Signature, bytes | None]:
    """Signature and content of a file; no content if the signature is the known one. Raises OSError."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        signature = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if signature == known:
            return signature, None
        return signature, file.read(LARGEST_FILE_BYTES + 1)
