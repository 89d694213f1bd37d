"""The examples in etc/examples: each fits the definitions, and is served whole by the configuration beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from config import static_load
from provider.resources.kinds import KINDS
from tests.master.inspecting import nowhere, pointsman
from tests.provider.test_schema import errors, root_schema

__all__ = ["nowhere"]

FOLDER: Final = Path(__file__).resolve().parent.parent / "etc" / "examples"
STATIC: Final = FOLDER / "static.yaml"
EXAMPLES: Final = sorted(path for path in FOLDER.glob("*.yaml") if path != STATIC)


def checked(path: Path) -> Any:
    """What `pointsman check` has to say, as JSON."""
    result = pointsman("check", "--assume-endpoints", "--output=json", f"--configFile={STATIC}", str(path))
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_nothing_is_wrong_and_every_route_is_served(path: Path) -> None:
    report = checked(path)
    assert report["findings"] == []
    assert report["summary"]["routesDisabled"] == 0
    assert [row for row in report["routes"] if row["object"]], "a route of the example's own"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_definitions_have_all_fields(path: Path) -> None:
    custom = {kind.name: kind for kind in KINDS.values() if kind.is_custom}
    documents = [one for one in yaml.safe_load_all(path.read_text()) if one and one["kind"] in custom]
    assert documents
    for document in documents:
        assert errors(document, root_schema(custom[document["kind"]])) == []


def test_the_static_configuration_is_taken_without_a_warning(tmp_path: Path) -> None:
    loaded = static_load.load([f"--configFile={STATIC}"], {}, tmp_path, system=tmp_path)
    assert loaded.warnings == ()
