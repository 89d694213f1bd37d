"""`pointsman check`: findings, the routes that result, exit codes; from files, standard input and a cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kube import KubeServer
from tests.master.inspecting import OBJECTS, A, nowhere, pointsman, write
from tests.provider.support import endpoints, route, rule, service

__all__ = ["nowhere"]


def checked(*words: str) -> dict[str, Any]:
    result = pointsman("check", "--output=json", *words)
    assert result.exit_code in (0, 1), result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_what_the_provider_and_what_the_worker_finds_is_told_once(tmp_path: Path) -> None:
    report = checked(write(tmp_path, *OBJECTS))
    found = [(one["name"], one["severity"], one["reason"], one["field"]) for one in report["findings"]]
    assert sorted(found) == [
        ("shop", "error", "InvalidRule", "spec.routes[3].match"),
        ("shop", "error", "MiddlewareNotFound", "spec.routes[4].middlewares[0].name"),
        ("shop", "error", "ServiceNotFound", "spec.routes[2].services[0].name"),
        ("shop", "warning", "UnknownEntryPoint", "spec.entryPoints"),
    ]
    assert (report["summary"]["errors"], report["summary"]["warnings"]) == (3, 1)


def test_routes_come_in_the_order_in_which_they_are_asked(tmp_path: Path) -> None:
    report = checked(write(tmp_path, *OBJECTS))
    rows = [(row["entryPoint"], row["tls"], row["priority"], row["status"]) for row in report["routes"]]
    assert rows == [
        ("web", False, 62, "warning"),
        ("web", False, 42, "warning"),
        ("web", False, 33, "disabled"),
        ("web", False, 21, "enabled"),
        ("web", False, 1, "disabled"),
        ("websecure", False, 21, "enabled"),
        ("websecure", True, 20, "enabled"),
    ]
    assert report["routes"][0]["servers"] == ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]
    assert report["routes"][0]["object"] == "IngressRoute default/shop"
    assert report["routes"][0]["field"] == "spec.routes[1]"


def test_text_for_people(tmp_path: Path) -> None:
    path = write(tmp_path, *OBJECTS)
    result = pointsman("check", path)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:3] == [
        "error    IngressRoute default/shop spec.routes[2].services[0].name",
        "         there is no Service default/gone [ServiceNotFound]",
        "         -> create the Service or correct the name",
    ]
    assert "ENTRY POINT  TLS  PRIORITY  STATUS    SERVERS" in result.stdout
    assert "websecure    yes  20        enabled   2" in result.stdout
    assert f"Read {path}: 3 IngressRoute, 1 Service, 1 EndpointSlice.\n" in result.stdout
    assert result.stdout.endswith("6 routers, 2 disabled; 3 errors, 1 warning.\n")


def test_what_moves_the_cursor_is_escaped(tmp_path: Path) -> None:
    path = write(
        tmp_path, route("r", rule("Host(`a`) && Path(`/\x1b[2J`)", A)), service("a"), endpoints("a", "10.0.0.1")
    )
    assert "\x1b" not in pointsman("check", path).stdout


@pytest.mark.parametrize(
    ("objects", "words", "code"),
    [
        ([route("r", rule("Host(`a`)", A)), service("a"), endpoints("a", "10.0.0.1")], [], 0),
        ([route("r", rule("Host(`a`)", A, syntax="v3")), service("a"), endpoints("a", "10.0.0.1")], [], 0),
        (
            [route("r", rule("Host(`a`)", A, syntax="v3")), service("a"), endpoints("a", "10.0.0.1")],
            ["--strict"],
            1,
        ),
        ([route("r", rule("Host(`a`)", A)), service("a")], [], 1),
        ([route("r", rule("Host(`a`)", A)), service("a")], ["--assume-endpoints", "--strict"], 0),
        ([route("r", rule("Host(`a`)", A), namespace="x")], ["--namespace", "y"], 0),
        ([route("r", rule("Host(`a`)", A), namespace="x")], ["--namespace=x"], 1),
        ([], [], 0),
    ],
)
def test_exit_codes(tmp_path: Path, objects: list[dict[str, Any]], words: list[str], code: int) -> None:
    assert pointsman("check", write(tmp_path, *objects), *words).exit_code == code


def test_files_without_endpoints_get_a_hint(tmp_path: Path) -> None:
    path = write(tmp_path, route("r", rule("Host(`a`)", A)), service("a"))
    assert "--assume-endpoints" in pointsman("check", path).stdout
    report = checked(path, "--assume-endpoints")
    assert report["summary"]["assumedEndpoints"] == ["default/a"]
    assert report["routes"][0]["servers"] == ["http://192.0.2.1:80"]


def test_standard_input_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "below" / "deep"
    folder.mkdir(parents=True)
    write(folder, service("a"), endpoints("a", "10.0.0.1"))
    document = json.dumps(route("r", rule("Host(`a`)", A)))
    result = pointsman("check", "-", str(tmp_path / "below"), standard_input=document)
    assert result.exit_code == 0
    assert "1 router, 0 disabled; 0 errors, 0 warnings." in result.stdout


def test_a_broken_file_is_a_finding_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("kind: Service\n  x: [\n")
    result = pointsman("check", "bad.yaml")
    assert result.exit_code == 1
    assert result.stdout.startswith("error    Manifest bad.yaml line ")


def test_the_static_configuration_counts(tmp_path: Path) -> None:
    path = write(tmp_path, route("r", rule("Host(`a`)", {**A, "namespace": "b"}), entryPoints=["main"]),
                 service("a", namespace="b"), endpoints("a", "10.0.0.1", namespace="b"))  # fmt: skip
    flags = ["--entrypoints.main.address", ":8000", "--providers.kubernetescrd.allowcrossnamespace"]
    report = checked(*flags, path)
    assert report["findings"] == []
    assert report["summary"]["entryPoints"] == ["main"]
    assert {one["reason"] for one in checked(path)["findings"]} >= {"CrossNamespaceNotAllowed"}


def test_without_words_the_configured_folder_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    write(tmp_path / "objects", service("a"))
    (tmp_path / "static.yaml").write_text("providers: {manifests: {directory: objects}}\n")
    report = checked("--configFile=static.yaml")
    assert report["summary"]["sources"] == ["objects"]
    assert report["summary"]["objects"] == {"Service": 1}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "nothing to look at"),
        (["no-such-file.yaml"], "there is no no-such-file.yaml"),
        (["--output", "xml"], "--output"),
    ],
)
def test_usage_errors_exit_2(words: list[str], told: str) -> None:
    result = pointsman("check", *words)
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_wrong_static_option_is_named() -> None:
    result = pointsman("check", "--entrypoints.web.adress=:80", "-")
    assert result.exit_code == 1
    assert "did you mean entryPoints.web.address?" in result.stderr


def test_a_cluster_is_listed_once_and_never_watched() -> None:
    with KubeServer() as server:
        server.apply(OBJECTS)
        report = checked("--endpoint", server.url)
        assert report["summary"]["objects"] == {"IngressRoute": 3, "Service": 1, "EndpointSlice": 1}
        assert report["summary"]["errors"] == 3
        assert all(request.method == "GET" and "watch" not in request.query for request in server.requests)


def test_a_cluster_that_does_not_answer(free_port: int) -> None:
    result = pointsman("check", f"--endpoint=http://127.0.0.1:{free_port}")
    assert result.exit_code == 1
    assert "no answer from the API server" in result.stderr


def test_secrets_are_listed_only_if_somebody_reads_one() -> None:
    with KubeServer() as server:
        server.apply(OBJECTS)
        checked("--endpoint", server.url)
        assert not any("/secrets" in request.path for request in server.requests)
        server.apply([route("t", rule("Host(`t`)", A), tls={"secretName": "cert"})])
        report = checked("--endpoint", server.url)
        assert any("/secrets" in request.path for request in server.requests)
        assert [one for one in report["findings"] if one["name"] == "t"], "the Secret does not exist"


def test_help_tells_where_options_come_from() -> None:
    text = pointsman("check", "--help").stdout
    for words in ("Exits 0 if there is no error", "--assume-endpoints", "Every option of", "are assumed"):
        assert words in " ".join(text.split())


def test_flags_that_a_file_hides_are_named(tmp_path: Path) -> None:
    (tmp_path / "static.yaml").write_text("entryPoints: {web: {address: ':80'}}\n")
    path = write(tmp_path, service("a"))
    result = pointsman("check", path, "--configFile=static.yaml", "--providers.kubernetescrd.allowcrossnamespace")
    assert result.exit_code == 0
    assert "pointsman: flags have no effect because" in result.stderr
    assert "--providers.kubernetescrd.allowcrossnamespace" in result.stderr


def test_ingresses_are_checked_where_their_provider_is_on(tmp_path: Path) -> None:
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "i"},
        "spec": {"defaultBackend": {"service": {"name": "gone", "port": {"number": 80}}}},
    }
    path = write(tmp_path, ingress)
    assert [one["reason"] for one in checked(path)["findings"]] == ["IgnoredKind"]
    flags = ["--entrypoints.web.address=:80", "--providers.kubernetesingress"]
    assert {one["kind"] for one in checked(path, *flags)["findings"]} == {"Ingress"}
