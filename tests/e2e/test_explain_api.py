"""`pointsman explain --api` against a whole Pointsman."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import FLAGS, StartTree
from tests.e2e.tree import REAL
from tests.master.inspecting import pointsman
from tests.provider.support import endpoints, route, rule, service

pytestmark = pytest.mark.process


def test_the_running_instance_says_who_answers(start_tree: StartTree, tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    good = rule("Host(`a.example`)", {"name": "a", "port": 80})
    bad = rule("Host(`b.example`)", {"name": "gone", "port": 80})
    objects = [route("r", good, bad), service("a"), endpoints("a", "10.0.0.1")]
    (folder / "all.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    tree = start_tree(
        "--workers=1",
        f"--providers.manifests.directory={folder}",
        "--ping.entryPoint=web",
        "--entryPoints.traefik.address=127.0.0.1:0",
        "--api.insecure=true",
        program=REAL,
        base=FLAGS,
    )
    tree.wait_for(lambda: tree.get("/ready").status == 200, "ready")
    api = f"--api=http://127.0.0.1:{tree.port('traefik')}"

    def explained(url: str) -> Any:
        return json.loads(pointsman("explain", url, api, "--entrypoint=web", "--output=json").stdout)

    told = explained("http://a.example/")
    assert told["winner"]["object"] == "IngressRoute default/r"
    assert told["service"]["servers"] == ["http://10.0.0.1:8080"]
    told = explained("http://b.example/")
    assert told["status"] == 404
    assert [one["reason"] for one in told["findings"]] == ["ServiceNotFound"]
