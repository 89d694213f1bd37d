"""The man page covers every option and says the same as the structs."""

from __future__ import annotations

from config.static_reference import as_text, groups
from config.static_schema import Leaf, leaves, root


def test_every_option_is_described() -> None:
    entries = {entry.flag: entry for listed in groups().values() for entry in listed}
    flags = {
        f"--{path}.<name>" if isinstance(leaf, Leaf) and leaf.kind == "map" else f"--{path}"
        for path, leaf in leaves(root())
    }
    assert flags == entries.keys() - {"--configFile"}
    for entry in entries.values():
        assert entry.description.endswith((".", "path).")), entry
        assert entry.kind


def test_an_entry_in_full() -> None:
    text = as_text(100)
    assert (
        "  --log.level  TRACE|DEBUG|INFO|WARN|ERROR|FATAL|PANIC\n"
        "      Least severity that is logged.\n"
        "      Default: ERROR. Environment: POINTSMAN_LOG_LEVEL\n" in text
    )
    assert "      Default: 3m0s. Environment: POINTSMAN_ENTRYPOINTS_<NAME>_TRANSPORT_RESPONDINGTIMEOUTS_" in text
    assert "  --ping  switch\n" in text
    assert all(line == line.rstrip() for line in text.splitlines())
