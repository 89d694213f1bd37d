"""The folder: what is read again, what is kept, what is reported."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from provider.kube.selectors import parse_selector
from provider.manifest_objects import ManifestsRead
from provider.manifests import EMPTIED_SECONDS, ManifestFolder
from provider.resources.decode import Malformed
from tests.provider.support import Json, endpoints, route, rule, service


def write(path: Path, *documents: Json) -> None:
    """Replace the file in one step, as careful tools do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text("\n---\n".join(json.dumps(document) for document in documents))
    draft.replace(path)


def names(read: ManifestsRead | None, kind: str = "Service") -> list[str]:
    assert read is not None
    return [f"{one.metadata.namespace}/{one.metadata.name}" for one in read.objects[kind]]


def reasons(read: ManifestsRead | None) -> list[tuple[str, str]]:
    assert read is not None
    return [(finding.name, finding.reason) for finding in read.findings]


def test_files_of_all_suffixes_in_all_folders(tmp_path: Path) -> None:
    write(tmp_path / "b.yml", service("b"))
    write(tmp_path / "a.yaml", service("a"), service("a2"))
    write(tmp_path / "deep" / "er" / "c.json", service("c"))
    write(tmp_path / "readme.txt", service("no"))
    write(tmp_path / ".hidden" / "x.yaml", service("no"))
    folder = ManifestFolder(str(tmp_path))
    assert names(folder.scan()) == [f"default/{name}" for name in ("a", "a2", "b", "c")]
    assert folder.scan() is None


def test_changes_and_deletions(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", service("a"))
    write(tmp_path / "b.yaml", service("b"))
    folder = ManifestFolder(str(tmp_path))
    folder.scan()
    write(tmp_path / "a.yaml", service("a"), service("new"))
    assert names(folder.scan()) == ["default/a", "default/new", "default/b"]
    (tmp_path / "a.yaml").unlink()
    assert names(folder.scan()) == ["default/b"]
    assert folder.scan() is None


def test_the_namespace_is_default_and_defaults_are_filled_in(tmp_path: Path) -> None:
    plain = route("r", rule("Host(`a`)", observability={"metrics": False}))
    del plain["metadata"]["namespace"]
    piece = endpoints("e", "10.0.0.1")
    del piece["ports"][0]["name"]
    write(tmp_path / "a.yaml", plain, piece)
    read = ManifestFolder(str(tmp_path)).scan()
    assert names(read, "IngressRoute") == ["default/r"]
    assert read is not None
    assert read.objects["IngressRoute"][0].spec.routes[0].observability.trace_verbosity == "minimal"
    assert read.objects["EndpointSlice"][0].ports[0].name == ""


def test_a_broken_file_keeps_its_objects_and_says_where(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", service("a"))
    write(tmp_path / "b.yaml", service("b"))
    folder = ManifestFolder(str(tmp_path))
    folder.scan()
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: [\n")
    read = folder.scan()
    assert names(read) == ["default/a", "default/b"]
    assert read is not None
    (finding,) = read.findings
    assert (finding.kind, finding.name, finding.reason) == ("Manifest", "a.yaml", "Unreadable")
    assert finding.field == "line 4"
    assert "1 objects last read stay" in finding.message
    assert folder.scan() is None
    write(tmp_path / "a.yaml", service("healed"))
    read = folder.scan()
    assert names(read) == ["default/healed", "default/b"]
    assert reasons(read) == []


def test_a_file_broken_from_the_start_has_no_objects(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("{")
    read = ManifestFolder(str(tmp_path)).scan()
    assert names(read) == []
    assert reasons(read) == [("a.yaml", "Unreadable")]


def test_a_truncated_file_is_given_a_moment(tmp_path: Path) -> None:
    now = [100.0]
    write(tmp_path / "a.yaml", service("a"))
    folder = ManifestFolder(str(tmp_path), clock=lambda: now[0])
    folder.scan()
    (tmp_path / "a.yaml").write_text("")
    assert folder.scan() is None
    now[0] += EMPTIED_SECONDS / 2
    assert folder.scan() is None
    now[0] += EMPTIED_SECONDS
    assert names(folder.scan()) == []


def test_a_mounted_config_map_swaps_at_once(tmp_path: Path) -> None:
    """kubelet's layout: visible links go through `..data`, which is replaced by a rename."""
    folder_path = tmp_path / "mount"
    write(folder_path / "..1" / "a.yaml", service("old"))
    write(folder_path / "..2" / "a.yaml", service("new"))
    (folder_path / "..data").symlink_to("..1")
    (folder_path / "a.yaml").symlink_to("..data/a.yaml")
    folder = ManifestFolder(str(folder_path))
    assert names(folder.scan()) == ["default/old"]
    (folder_path / "..data_tmp").symlink_to("..2")
    os.rename(folder_path / "..data_tmp", folder_path / "..data")
    assert names(folder.scan()) == ["default/new"]


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    write(tmp_path / "real" / "a.yaml", service("a"))
    outside = tmp_path / "outside"
    write(outside / "b.yaml", service("b"))
    (tmp_path / "real" / "loop").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "more").symlink_to(outside)
    read = ManifestFolder(str(tmp_path / "real")).scan()
    assert sorted(names(read)) == ["default/a", "default/b"]
    assert reasons(read) == []


def test_a_missing_folder_is_reported_and_picked_up(tmp_path: Path) -> None:
    folder = ManifestFolder(str(tmp_path / "later"))
    read = folder.scan()
    assert reasons(read) == [(str(tmp_path / "later"), "Unreadable")]
    assert folder.scan() is None
    write(tmp_path / "later" / "a.yaml", service("a"))
    assert reasons(folder.scan()) == []


def test_the_first_of_two_definitions_wins(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", service("s", 1), service("s", 2))
    write(tmp_path / "b.yaml", service("s", 3))
    read = ManifestFolder(str(tmp_path)).scan()
    assert read is not None
    (found,) = read.objects["Service"]
    assert found.spec.ports[0].port == 1
    assert [finding.message for finding in read.findings] == [
        "defined twice in a.yaml; the first one is used",
        "defined in a.yaml and in b.yaml; the first one is used",
    ]


def test_kinds_without_use_are_reported_once(tmp_path: Path) -> None:
    def other(kind: str, name: str, api_version: str = "traefik.io/v1alpha1") -> Json:
        return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}}

    write(
        tmp_path / "a.yaml",
        other("Pod", "a", "v1"),
        other("Pod", "b", "v1"),
        other("Deployment", "c", "apps/v1"),
        other("IngressRoute", "d", "traefik.containo.us/v1alpha1"),
    )
    read = ManifestFolder(str(tmp_path)).scan()
    assert read is not None
    by_kind = {finding.kind: finding for finding in read.findings}
    assert by_kind["Pod"].message.startswith("2 of v1 ignored: ")
    assert "traefik.io/v1alpha1" in by_kind["IngressRoute"].advice
    assert set(by_kind) == {"Pod", "Deployment", "IngressRoute"}


def test_malformed_objects_stand_in_their_place(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", route("bad", rule("Host(`a`)", priority="x")), route("good", rule("Host(`a`)")))
    write(tmp_path / "b.yaml", {"apiVersion": "v1", "kind": "Service", "metadata": {}})
    read = ManifestFolder(str(tmp_path)).scan()
    assert read is not None
    bad, good = read.objects["IngressRoute"]
    assert isinstance(bad, Malformed)
    assert good.metadata.name == "good"
    assert reasons(read) == [("b.yaml", "Malformed")]


def test_selector_and_namespaces_apply_as_in_a_cluster(tmp_path: Path) -> None:
    mine, other = route("mine", rule("Host(`a`)")), route("other", rule("Host(`a`)"))
    mine["metadata"]["labels"] = {"app": "x"}
    write(tmp_path / "a.yaml", mine, other, service("s"), service("t", namespace="b"))
    folder = ManifestFolder(str(tmp_path), parse_selector("app in (x, y)"), lambda name: name == "default")
    read = folder.scan()
    assert names(read, "IngressRoute") == ["default/mine"]
    assert names(read) == ["default/s"]


@pytest.mark.parametrize(
    "document",
    [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": 5}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "labels": "x"}, "spec": []},
        {"apiVersion": "v1", "kind": "Service", "metadata": "x"},
        {
            "apiVersion": "traefik.io/v1alpha1",
            "kind": "IngressRoute",
            "metadata": {"name": "r"},
            "spec": {"routes": {}},
        },
        {"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute", "metadata": {"name": "r"}, "spec": 5},
        {"apiVersion": "v1", "kind": "List", "items": [{"kind": "Service"}]},
    ],
)
def test_nonsense_never_raises(tmp_path: Path, document: dict[str, Any]) -> None:
    write(tmp_path / "a.yaml", document)
    write(tmp_path / "b.yaml", service("fine"))
    read = ManifestFolder(str(tmp_path)).scan()
    assert read is not None
    problems = [one for kind in read.objects.values() for one in kind if isinstance(one, Malformed)]
    assert problems or read.findings
    assert any(getattr(one, "metadata", None) and one.metadata.name == "fine" for one in read.objects["Service"])
