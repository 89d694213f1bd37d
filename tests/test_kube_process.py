"""The in-memory API server as a process of its own: `python -m tests.kube` and its control paths."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
DEADLINE = 20.0
MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: whoami, namespace: web}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: web}
"""

pytestmark = pytest.mark.process


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its URL; killed at the end unless it has ended by then."""
    command = [sys.executable, "-m", "tests.kube", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            if process.poll() is None:
                process.kill()


def call(method: str, url: str, body: str | None = None) -> Any:
    request = urllib.request.Request(url, None if body is None else body.encode(), method=method)
    with urllib.request.urlopen(request, timeout=DEADLINE) as response:
        return json.load(response)


def test_manifests_control_and_termination(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(MANIFESTS)
    with running("--manifests", str(tmp_path)) as (process, url):
        assert len(call("GET", f"{url}/api/v1/services")["items"]) == 1
        loaded = call("POST", f"{url}/_control/load", MANIFESTS.replace("whoami", "other"))
        assert loaded["objects"] == 2
        call(
            "POST", f"{url}/_control/endpoints?namespace=web&service=other&addresses=10.0.0.1,10.0.0.2&port=81", ""
        )
        slices = call("GET", f"{url}/apis/discovery.k8s.io/v1/endpointslices")["items"]
        assert [endpoint["addresses"] for endpoint in slices[0]["endpoints"]] == [["10.0.0.1"], ["10.0.0.2"]]
        assert call("POST", f"{url}/_control/compact", "")["version"] > loaded["version"]
        assert call("POST", f"{url}/_control/drop-watches", "") == {"watches": 0}
        assert call("POST", f"{url}/_control/bookmarks", "") == {"watches": 0}
        assert call("POST", f"{url}/_control/delete", MANIFESTS)["objects"] == 2
        counters = call("GET", f"{url}/_control/counters")
        assert counters["objects"]["services"] == 1
        assert counters["watchers"] == {}
        assert counters["requests"] == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [("nothing", "", 405), ("load", "kind: Nothing", 400), ("load", "{", 400), ("delete", MANIFESTS, 404)],
)
def test_control_errors(path: str, body: str, code: int) -> None:
    with running() as (_, url):
        with pytest.raises(urllib.error.HTTPError) as caught:
            call("POST", f"{url}/_control/{path}", body)
        with caught.value as error:
            assert (error.code, json.load(error)["kind"]) == (code, "Status")


def test_ends_with_its_parents_pipe_and_demands_the_token() -> None:
    with running("--until-stdin-closes", "--token", "secret") as (process, url):
        with pytest.raises(urllib.error.HTTPError) as caught:
            call("GET", f"{url}/api/v1/services")
        with caught.value as error:
            assert error.code == 401
        assert call("GET", f"{url}/_control/counters")["requests"] == 1
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(DEADLINE) == 0
