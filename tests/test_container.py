"""The whole tree under the restrictions of the sample Deployment, without a container engine.

A mount namespace makes everything read-only but /tmp, and the processes start as user 65532 without any
capability. Needs root, `unshare` and `setpriv`; skipped where mounting is not allowed.
"""

from __future__ import annotations

import http.client
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
import pytest

from master.commands.whoami import WhoamiServer
from tests.e2e.tree import REAL, Tree
from tests.waiting import wait_until

ROOT: Final = Path(__file__).resolve().parent.parent
USER: Final = 65532
TMP: Final = Path("/tmp")
BECOME: Final = (
    f'exec setpriv --reuid={USER} --regid={USER} --clear-groups --inh-caps=-all --bounding-set=-all "$0" "$@"'
)
NOTHING: Final = "0" * 16
MANIFESTS: Final = """\
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: whoami}
spec:
  routes:
    - {match: Path(`/hello`), kind: Rule, services: [{name: whoami, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: whoami}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: whoami, labels: {kubernetes.io/service-name: whoami}}
addressType: IPv4
ports: [{name: "", port: PORT}]
endpoints: [{addresses: [127.0.0.1]}]
"""


def may_mount() -> bool:
    if not shutil.which("unshare") or not shutil.which("setpriv"):
        return False
    attempt = ["unshare", "-m", "sh", "-c", "mount --make-rprivate / && mount -t tmpfs tmpfs /tmp"]
    return subprocess.run(attempt, capture_output=True, check=False).returncode == 0


def closed_ancestors(paths: Iterable[Path]) -> dict[Path, set[Path]]:
    """Folders above `paths` that user 65532 cannot pass, with what has to stay visible in them."""
    closed: dict[Path, set[Path]] = {}
    for path in paths:
        for child, parent in zip([path, *path.parents], path.parents, strict=False):
            if not parent.stat().st_mode & 0o001:
                closed.setdefault(parent, set()).add(child)
    return closed


def confinement(stage: Path) -> str:
    """Shell commands: a new /tmp is all that can be written; interpreter and sources can be reached."""
    needed = [ROOT, Path(sys.prefix), Path(sys.base_prefix)]
    commands = ["set -e", "mount --make-rprivate /", f"mount -t tmpfs -o mode=1777 tmpfs {stage}"]
    for number, (folder, children) in enumerate(closed_ancestors(needed).items()):
        substitute = stage / f"substitute-{number}"
        commands += [*_copy_of(children, substitute), _bind(substitute, folder)]
    below_tmp = {TMP / path.relative_to(TMP).parts[0] for path in needed if path.is_relative_to(TMP)}
    commands += _copy_of(below_tmp, stage / "tmp")
    commands += ["mount -o remount,bind,ro /", "mount -o remount,bind,ro /dev/shm"]
    return "\n".join([*commands, f"chmod 1777 {stage}/tmp", _bind(stage / "tmp", TMP), "cd /", BECOME])


def _copy_of(children: Iterable[Path], folder: Path) -> Iterator[str]:
    """Make `folder` and show in it the `children` of another one, read-only."""
    yield f"mkdir -m 755 {shlex.quote(str(folder))}"
    for child in sorted(children):
        place = folder / child.name
        quoted = shlex.quote(str(place))
        yield f"mkdir {quoted}\n{_bind(child, place)}\nmount -o remount,bind,ro {quoted}"


def _bind(source: Path, target: Path) -> str:
    return f"mount --rbind {shlex.quote(str(source))} {shlex.quote(str(target))}"


@contextmanager
def whoami() -> Iterator[WhoamiServer]:
    with WhoamiServer("127.0.0.1", 0, "in the container") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def status_of(process: psutil.Process) -> dict[str, str]:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.process
@pytest.mark.behaviour("OP-70")
def test_serves_without_privileges_on_a_read_only_file_system(tmp_path: Path) -> None:
    if not may_mount():
        pytest.skip("mounting in a namespace of one's own needs root, unshare and setpriv")
    stage = tmp_path / "stage"
    stage.mkdir()
    with whoami() as server:
        # written from inside, where the folder of this test is not visible
        script = confinement(stage).replace(
            BECOME, f"cat >/tmp/all.yaml <<'END'\n{manifests(server)}END\n{BECOME}"
        )
        tree = Tree(
            tmp_path,
            [
                "--entryPoints.web.address=127.0.0.1:0",
                "--entryPoints.traefik.address=127.0.0.1:0",
                "--ping=true",
                "--providers.manifests.directory=/tmp",
                "--log.level=INFO",
                "--workers=2",
            ],
            {"PYTHONDONTWRITEBYTECODE": "1", "HOME": "/"},
            program=REAL,
            wrapper=["unshare", "-m", "sh", "-c", script],
        )
        try:
            internal, web = tree.port("traefik"), tree.port("web")
            wait_until(lambda: get(internal, "/ready")[0] == 200, what="ready")
            status, body = get(web, "/hello")
            family = [tree.master, *tree.master.children(recursive=True)]
            states = [status_of(process) for process in family]
            code = tree.stop()
        finally:
            tree.end()
    assert (status, body.splitlines()[0]) == (200, "Name: in the container")
    assert len(states) == 4  # master, provider, two workers
    for state in states:
        assert state["Uid"].split() == [str(USER)] * 4
        assert (state["CapEff"], state["CapPrm"], state["CapBnd"]) == (NOTHING, NOTHING, NOTHING)
        assert state["NoNewPrivs"] == "1"
    assert "Read-only file system" not in tree.log()
    assert "Permission denied" not in tree.log()
    assert code == 0


def manifests(server: WhoamiServer) -> str:
    return MANIFESTS.replace("PORT", str(server.server_address[1]))
