"""The documents against the code: what they must mention, and that what they name is there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

from config.layer4 import TCPMiddleware
from config.middlewares import Middleware
from config.static_known import TRAEFIK
from config.static_schema import leaves, root
from master.cli import cli
from workers.exposition import LEVELS
from workers.middlewares import BUILDERS
from workers.udp.drops import REPORT_SECONDS
from workers.upstream.strategies import STRATEGIES

ROOT: Final = Path(__file__).resolve().parent.parent
DOCS: Final = ROOT / "docs"
ROOMS: Final = ("config", "provider", "workers", "tls", "master", "tests", "benchmarks")
PROVIDERS_SERVED: Final = ("providers.kubernetesCRD", "providers.kubernetesIngress.", "providers.manifests")


def text_of(name: str) -> str:
    return (DOCS / name).read_text()


def code_in(text: str) -> Iterator[str]:
    """What stands between backticks in running text."""
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


def general(path: str) -> str:
    """An option's path with one spelling for what users name."""
    return path.replace("<name>", "*").replace("[n]", ".*").lower()


def refused_options() -> list[str]:
    """Traefik's options that this version has not; of whole providers only the section."""
    ours = {general(path) for path, _ in leaves(root())}
    found = [path for path in TRAEFIK.leaves() if not {path.lower(), path.lower().removesuffix(".*")} & ours]
    return [path for path in found if not path.startswith("providers.") or path.startswith(PROVIDERS_SERVED)]


def listed_as_missing() -> list[str]:
    section = text_of("migration.md").partition("## Not there")[2].partition("\n## ")[0]
    return [one for one in code_in(section) if re.fullmatch(r"[a-zA-Z]\w*(\.[\w<>]+)*", one)]


def covers(listed: str, path: str) -> bool:
    prefix = listed.replace("<name>", "*").lower()
    return path.lower() == prefix or path.lower().startswith(f"{prefix}.")


def test_every_option_that_is_refused_is_listed() -> None:
    listed = listed_as_missing()
    missing = [path for path in refused_options() if not any(covers(one, path) for one in listed)]
    # a switch of a provider that is not there goes with it
    assert {path.rpartition(".")[0] for path in missing} <= {"experimental"}, missing


def test_what_is_listed_as_missing_is_refused() -> None:
    ours = [general(path) for path, _ in leaves(root())]
    listed = [one for one in listed_as_missing() if one.partition(".")[0].lower() in _sections()]
    served = [one for one in listed if any(covers(one, path) for path in ours)]
    assert set(served) == {"api.dashboard", "providers.manifests.directory"}
    assert len(listed) > 20


def _sections() -> Iterable[str]:
    return TRAEFIK.below.keys()


def test_every_middleware_is_mentioned() -> None:
    mentioned = set(code_in(text_of("migration.md")))
    assert mentioned >= {*Middleware.__struct_encode_fields__, *TCPMiddleware.__struct_encode_fields__, *BUILDERS}


def test_every_strategy_command_and_metric_is_mentioned() -> None:
    assert all(f"`{name}`" in (ROOT / "README.md").read_text() for name in STRATEGIES)
    operations = text_of("operations.md")
    assert all(f"| `pointsman {name}" in operations for name in cli.commands)
    assert all(f"traefik_{level.name}_" in operations for level in LEVELS)
    assert f"at most every {REPORT_SECONDS:.0f} s" in operations


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(path: Path) -> None:
    names = {one.name for room in ROOMS for one in (ROOT / room).rglob("*") if one.suffix in (".py", ".c")}
    for code in code_in(path.read_text()):
        if re.fullmatch(r"([\w-]+/)*\w+\.(py|c)", code):
            first = code.partition("/")[0]
            assert (ROOT / code).exists() if first in ROOMS else code.rpartition("/")[2] in names, code
        elif re.fullmatch(rf"({'|'.join(ROOMS)})(/\w+)*/", code):
            assert (ROOT / code).is_dir(), code


def test_decisions_are_numbered_without_a_gap_and_mentioned() -> None:
    decisions = sorted((DOCS / "decisions").glob("*.md"))
    assert [path.name[:4] for path in decisions] == [f"{number:04}" for number in range(1, len(decisions) + 1)]
    assert all(path.read_text().startswith(f"# {int(path.name[:4])}. ") for path in decisions)
    everything = "".join(path.read_text() for path in documents())
    assert [path.name for path in decisions if path.name not in everything] == []
