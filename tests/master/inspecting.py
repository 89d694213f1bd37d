"""What the tests of `check` and `explain` share: manifests in files, and the command run in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from master.cli import cli
from tests.provider.support import endpoints, route, rule, service

A: dict[str, Any] = {"name": "a", "port": 80}
OBJECTS = [
    route(
        "shop",
        rule("Host(`shop.example`) && PathPrefix(`/api`)", A),
        rule("Host(`shop.example`) && (Method(`POST`) || Header(`X-A`, `b`))", A),
        rule("Host(`shop.example`)", {"name": "gone", "port": 80}),
        rule("Host(`shop.example`) && Hots(`x`)", A),
        rule("PathPrefix(`/`)", A, priority=1, middlewares=[{"name": "nix"}]),
        entryPoints=["web", "nope"],
    ),
    route("secure", rule("Host(`shop.example`)", A), entryPoints=["websecure"], tls={}),
    route("plain", rule("Host(`plain.example`)", A)),
    service("a"),
    endpoints("a", "10.0.0.1", "10.0.0.2"),
]


def write(folder: Path, *objects: dict[str, Any], name: str = "objects.json") -> str:
    """A file that holds the objects; its path."""
    path = folder / name
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))
    return str(path)


def pointsman(*words: str, standard_input: str | None = None) -> Result:
    return CliRunner().invoke(cli, words, prog_name="pointsman", input=standard_input)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No static configuration and no cluster is found by chance."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
