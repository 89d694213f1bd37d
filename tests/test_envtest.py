"""Smoke tests of the real API server: that it starts, answers, forbids, forgets and ends.

They pin the few behaviours that the other tests take for granted when they run against the real server.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.envtest import GUARD, ApiServer, EnvtestError, assets
from tests.waiting import wait_until

pytestmark = pytest.mark.envtest

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"


@pytest.fixture(scope="module")
def found() -> Path:
    """The folder with the programs; without it the test is skipped."""
    folder = assets()
    if folder is None:
        pytest.skip("KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd (make envtest builds one)")
    return folder


@pytest.fixture(scope="module")
def server(found: Path) -> Iterator[ApiServer]:
    """One API server for all tests that only read and write objects, each its own."""
    with ApiServer(found) as running:
        yield running


@pytest.fixture
def own_server(found: Path) -> Iterator[ApiServer]:
    """An API server for one test, which may restart it: the leak check counts processes test by test."""
    with ApiServer(found) as running:
        yield running


def create(server: ApiServer, name: str) -> Any:
    status, made = server.request("POST", CONFIGMAPS, {"metadata": {"name": name}, "data": {"step": "1"}})
    assert status == 201, made
    return made


def version_of(answer: Any) -> str:
    return str(answer["metadata"]["resourceVersion"])


def left_of(folder: Path) -> list[str]:
    """The command lines of the processes that name the folder."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # gone since
            lines.append(path.read_bytes().decode(errors="replace"))
    return [line for line in lines if str(folder) in line]


def test_version(server: ApiServer) -> None:
    status, answer = server.request("GET", "/version")
    assert status == 200
    assert (answer["major"], int(answer["minor"]) >= 34) == ("1", True)
    assert answer["gitVersion"].startswith(f"v1.{answer['minor']}.")


def test_create_list_watch(server: ApiServer) -> None:
    status, before = server.request("GET", CONFIGMAPS)
    assert (status, before["kind"]) == (200, "ConfigMapList")

    create(server, "watched")
    patch = {"data": {"step": "2"}}
    status, _ = server.request(
        "PATCH", f"{CONFIGMAPS}/watched", patch, content_type="application/merge-patch+json"
    )
    assert status == 200
    assert server.request("DELETE", f"{CONFIGMAPS}/watched")[0] == 200

    events = server.watch(f"{CONFIGMAPS}?watch=true&resourceVersion={version_of(before)}&timeoutSeconds=30")
    seen = [(event["type"], event["object"]["data"]["step"]) for event in islice(events, 3)]
    events.close()
    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


def test_watch_ends_at_the_servers_time(server: ApiServer) -> None:
    listed = server.request("GET", CONFIGMAPS)[1]
    path = f"{CONFIGMAPS}?watch=true&resourceVersion={version_of(listed)}&timeoutSeconds=1"
    assert list(server.watch(path)) == []


def test_tokens_of_nobody(server: ApiServer) -> None:
    assert server.request("GET", CONFIGMAPS, token="unknown")[0] == 401
    status, answer = server.request("GET", CONFIGMAPS, token="")
    assert (status, answer["reason"]) == (403, "Forbidden")
    assert 'User "system:anonymous"' in answer["message"]


def test_user_is_forbidden_until_a_role_is_bound(found: Path) -> None:
    server = ApiServer(found)
    jane = server.add_user("jane", ["developers", "testers"])
    with server:
        with pytest.raises(EnvtestError, match="before the start"):
            server.add_user("late")
        status, answer = server.request("GET", CONFIGMAPS, token=jane)
        assert (status, answer["reason"]) == (403, "Forbidden")

        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
        group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "testers"}
        role = {"metadata": {"name": "reader"}, "rules": rules}
        binding = {"metadata": {"name": "reader"}, "roleRef": reference, "subjects": [group]}
        assert server.request("POST", f"{ROLES}/roles", role)[0] == 201
        assert server.request("POST", f"{ROLES}/rolebindings", binding)[0] == 201
        # the authorizer learns of new roles through a watch of its own
        wait_until(lambda: server.request("GET", CONFIGMAPS, token=jane)[0] == 200, 30, what="jane may list")
        assert server.request("POST", CONFIGMAPS, {"metadata": {"name": "x"}}, token=jane)[0] == 403


def test_compaction_gives_410(own_server: ApiServer) -> None:
    for name in ("one", "two", "three"):
        create(own_server, name)
    page = own_server.request("GET", f"{CONFIGMAPS}?limit=1")[1]
    newest = version_of(create(own_server, "newest"))

    assert own_server.compact_etcd() > int(newest)

    (event,) = own_server.watch(f"{CONFIGMAPS}?watch=true&resourceVersion={newest}")
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    token = page["metadata"]["continue"]
    for query in (f"limit=1&continue={token}", f"resourceVersion={newest}&resourceVersionMatch=Exact"):
        status, answer = own_server.request("GET", f"{CONFIGMAPS}?{query}")
        assert (status, answer["reason"]) == (410, "Expired"), query
    assert own_server.request("GET", f"{CONFIGMAPS}/newest")[0] == 200


def test_restart_keeps_address_data_and_tokens(own_server: ApiServer) -> None:
    uid = create(own_server, "kept")["metadata"]["uid"]
    url = own_server.url
    own_server.restart_apiserver()
    assert own_server.url == url
    assert own_server.request("GET", f"{CONFIGMAPS}/kept")[1]["metadata"]["uid"] == uid


def test_kubeconfig_serves_the_usual_client(server: ApiServer, tmp_path: Path) -> None:
    from kubernetes import client, config

    path = tmp_path / "kubeconfig"
    server.write_kubeconfig(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with config.new_client_from_config(str(path)) as api:
        names = [item.metadata.name for item in client.CoreV1Api(api).list_namespace().items]
    assert "default" in names


def test_stop_leaves_nothing(found: Path) -> None:
    server = ApiServer(found)
    folder = server.ca_path.parent
    with server:
        assert len(left_of(folder)) == 4  # two servers, each below its guard
    assert left_of(folder) == []
    assert not folder.exists()
    server.stop()


def test_failed_start_says_why_and_leaves_nothing(found: Path) -> None:
    server = ApiServer(found, arguments=["--no-such-option"])
    folder = server.ca_path.parent
    with pytest.raises(EnvtestError, match=r"kube-apiserver ended with 1: .*unknown flag: --no-such-option"):
        server.start()
    assert left_of(folder) == []
    assert not folder.exists()


def test_guard_ends_the_program_when_the_tests_are_killed() -> None:
    guarded = ["-I", "-S", str(GUARD)]
    program = ["sh", "-c", "echo up; exec sleep 600"]
    script = (
        "import os, subprocess, sys\n"
        f"subprocess.call([sys.executable, *{guarded!r}, str(os.getpid()), *{program!r}])\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        assert tests.stdout.readline() == "up\n"
        tests.kill()
        tests.communicate(timeout=30)  # returns once nobody holds the pipe: guard and program have gone


def test_guard_passes_the_exit_code_on() -> None:
    command = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), "sh", "-c"]
    assert subprocess.call([*command, "exit 7"], timeout=30) == 7
    assert subprocess.call([*command, "kill -9 $$"], timeout=30) == 128 + 9
