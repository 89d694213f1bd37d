"""What is shipped beside the code: samples, Kubernetes manifests, systemd units, the image, the documents."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from config import static_load
from config.names import PROVIDER_INGRESS
from config.static_schema import Leaf, leaves, root
from provider.resources.ingress import CONTROLLER
from provider.resources.kinds import KINDS
from tests.envtest import ApiServer, assets

ROOT: Final = Path(__file__).resolve().parent.parent
KUSTOMIZATIONS: Final = (
    "etc/kubernetes/base",
    "etc/kubernetes/overlays/namespaced",
    "etc/kubernetes/overlays/ingress",
    "etc/kubernetes/overlays/ports",
)
NOT_THE_DEFAULT: Final = {"entryPoints.web.address", "entryPoints.traefik.address", "log.level"}
PACKAGES: Final = ("config", "provider", "workers", "tls", "master")
BROUGHT_ALONG: Final = ("greenlet", "urllib3")
"""Imported, and installed with gevent and with the Kubernetes client."""
Object = dict[str, Any]


def kubectl(*arguments: str, **environment: str) -> str:
    """Output of kubectl: the one installed beside this Python, else the one of PATH; without it: skip."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("kubectl", path=path)
    if program is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(
        [program, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def built(kustomization: str) -> dict[str, Object]:
    """Objects of a kustomization by kind, and of the custom resource definitions any one."""
    objects = list(yaml.safe_load_all(kubectl("kustomize", kustomization)))
    by_kind = {each["kind"]: each for each in objects}
    definitions = [each for each in objects if each["kind"] == "CustomResourceDefinition"]
    assert len(by_kind) == len(objects) - len(definitions[1:])
    return by_kind


def test_every_custom_kind_is_defined() -> None:
    objects = yaml.safe_load_all(kubectl("kustomize", KUSTOMIZATIONS[0]))
    defined = {each["metadata"]["name"] for each in objects if each["kind"] == "CustomResourceDefinition"}
    assert defined == {f"{kind.plural}.{kind.group}" for kind in KINDS.values() if kind.is_custom}


def rules_of(role: Object) -> list[Object]:
    rules: list[Object] = role["rules"]
    return rules


def options_in(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path and value of everything in a file that is no mapping, and of the mappings themselves."""
    if path:
        yield path, node
    if isinstance(node, dict):
        for name, value in node.items():
            yield from options_in(value, f"{path}.{name}" if path else name)
    elif isinstance(node, list):
        for value in node:
            if isinstance(value, dict):
                yield from options_in(value, f"{path}[n]")


def uncommented(text: str) -> str:
    """The sample with the options switched on that it shows behind a comment sign."""
    return re.sub(r"^( *)# (?=( *)[a-z]\w+:( |$))", r"\1", text, flags=re.MULTILINE)


@pytest.fixture
def sample() -> str:
    return (ROOT / "etc" / "pointsman.yaml").read_text()


def test_the_sample_configuration_loads_without_a_warning(tmp_path: Path) -> None:
    loaded = static_load.load([f"--configFile={ROOT / 'etc/pointsman.yaml'}"], {}, tmp_path, system=tmp_path)
    assert loaded.warnings == ()
    assert loaded.static.providers.kubernetes_crd is not None
    assert set(loaded.static.entry_points) == {"web", "traefik"}


def test_the_sample_configuration_shows_every_option(sample: str) -> None:
    shown = {
        path.replace("entryPoints.web", "entryPoints.<name>")
        for path, _ in options_in(yaml.safe_load(uncommented(sample)))
    }
    assert {path for path, _ in leaves(root())} - shown == set()


def test_the_sample_configuration_shows_the_defaults(sample: str, tmp_path: Path) -> None:
    """Deleting any option that is not marked otherwise changes nothing."""
    whole = static_load.from_mapping(yaml.safe_load(sample))
    known = {path for path, option in leaves(root()) if isinstance(option, Leaf)}
    tried = 0
    for path, _ in options_in(yaml.safe_load(sample)):
        general = re.sub(r"^entryPoints\.\w+", "entryPoints.<name>", path)
        if general in known and path not in NOT_THE_DEFAULT:
            assert static_load.from_mapping(without(yaml.safe_load(sample), path.split("."))) == whole, path
            tried += 1
    assert tried > 45


def without(document: Object, path: list[str]) -> Object:
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return document


@pytest.mark.parametrize("path", sorted((ROOT / "etc").rglob("*.yaml")), ids=lambda path: path.name)
def test_every_yaml_file_can_be_read(path: Path) -> None:
    assert list(yaml.safe_load_all(path.read_text()))


@pytest.mark.parametrize("kustomization", [*KUSTOMIZATIONS[:2], KUSTOMIZATIONS[3]])
def test_the_deployment_is_started_with_options_that_exist(kustomization: str, tmp_path: Path) -> None:
    container = built(kustomization)["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    command, *flags = container["args"]
    assert command == "run"
    loaded = static_load.load(flags, {}, tmp_path, system=tmp_path)
    assert loaded.warnings == ()
    ports = {name: (point.port, point.protocol) for name, point in loaded.static.entry_points.items()}
    assert ports == {
        port["name"]: (port["containerPort"], port.get("protocol", "TCP").lower()) for port in container["ports"]
    }
    crd = loaded.static.providers.kubernetes_crd
    assert crd is not None
    assert crd.disable_cluster_scope_resources


def test_the_deployment_gives_no_privileges() -> None:
    pod = built(KUSTOMIZATIONS[0])["Deployment"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/tmp"}


@pytest.mark.parametrize("kustomization", [KUSTOMIZATIONS[0], KUSTOMIZATIONS[3]])
def test_the_deployment_drains_longer_than_its_grace_times(kustomization: str, tmp_path: Path) -> None:
    pod = built(kustomization)["Deployment"]["spec"]["template"]["spec"]
    points = static_load.load(pod["containers"][0]["args"][1:], {}, tmp_path, system=tmp_path).static.entry_points
    assert pod["terminationGracePeriodSeconds"] >= longest_stop(list(points.values()))


def longest_stop(entry_points: list[Any]) -> float:
    cycles = [point.transport.life_cycle for point in entry_points]
    longest: float = max(
        each.request_accept_grace_timeout_seconds + each.grace_time_out_seconds for each in cycles
    )
    return 10 + longest


@pytest.mark.parametrize("kustomization", [KUSTOMIZATIONS[0], KUSTOMIZATIONS[3]])
def test_the_service_and_the_probes_lead_to_ports_of_the_container(kustomization: str) -> None:
    objects = built(kustomization)
    container = objects["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    ports = {(port["name"], port.get("protocol", "TCP")) for port in container["ports"]}
    assert {
        (one["targetPort"], one.get("protocol", "TCP")) for one in objects["Service"]["spec"]["ports"]
    } <= ports
    assert container["livenessProbe"]["httpGet"] == {"path": "/ping", "port": "traefik"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "traefik"}
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert objects["Service"]["spec"]["selector"].items() <= labels.items()


def test_the_rights_are_what_the_provider_reads_and_no_more() -> None:
    """Nodes are left out: the manifests switch them off. Ingresses have an overlay of their own."""
    granted = {
        (group, plural): set(rule["verbs"])
        for rule in rules_of(built(KUSTOMIZATIONS[0])["ClusterRole"])
        for group in rule["apiGroups"]
        for plural in rule["resources"]
    }
    assert set(granted) == {
        (kind.group, kind.plural)
        for kind in KINDS.values()
        if kind.namespaced and kind.provider != PROVIDER_INGRESS
    }
    assert all(verbs == {"list", "watch"} for verbs in granted.values())


def test_the_namespaced_overlay_needs_no_rights_in_the_cluster() -> None:
    objects = built(KUSTOMIZATIONS[1])
    assert not {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"} & set(objects)
    assert rules_of(objects["Role"]) == rules_of(built(KUSTOMIZATIONS[0])["ClusterRole"])
    namespaces = {each["metadata"]["namespace"] for each in objects.values()}
    assert namespaces == {objects["RoleBinding"]["subjects"][0]["namespace"]}


def test_the_ingress_overlay_serves_ingresses_and_may_do_so(tmp_path: Path) -> None:
    objects = list(yaml.safe_load_all(kubectl("kustomize", KUSTOMIZATIONS[2])))
    (role,) = [each for each in objects if each["metadata"]["name"] == "pointsman-ingress" and "rules" in each]
    granted = {
        (plural, verb)
        for rule in rules_of(role)
        if rule["apiGroups"] == ["networking.k8s.io"]
        for plural in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted == {
        *((plural, verb) for plural in ("ingresses", "ingressclasses") for verb in ("list", "watch")),
        ("ingresses", "get"),
        ("ingresses/status", "update"),
    }
    (deployment,) = [each for each in objects if each["kind"] == "Deployment"]
    flags = deployment["spec"]["template"]["spec"]["containers"][0]["args"][1:]
    settings = static_load.load(flags, {}, tmp_path, system=tmp_path).static.providers.kubernetes_ingress
    assert settings is not None
    assert settings.ingress_endpoint is not None
    namespace, name = settings.ingress_endpoint.published_service.split("/")
    published = {
        (each["metadata"]["namespace"], each["metadata"]["name"]) for each in objects if each["kind"] == "Service"
    }
    assert published == {(namespace.replace("$(POD_NAMESPACE)", deployment["metadata"]["namespace"]), name)}
    (ours,) = [each for each in objects if each["kind"] == "IngressClass"]
    assert ours["spec"]["controller"] == CONTROLLER


@pytest.mark.envtest
def test_a_real_api_server_takes_the_manifests_and_grants_the_rights(tmp_path: Path) -> None:
    if assets() is None:
        pytest.skip("KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd (make envtest builds one)")
    with ApiServer() as server:
        config = tmp_path / "kubeconfig"
        server.write_kubeconfig(config)
        manifests = tmp_path / "base.yaml"
        manifests.write_text(kubectl("kustomize", KUSTOMIZATIONS[0]))
        home = {"KUBECONFIG": str(config), "HOME": str(tmp_path)}
        kubectl("apply", "--server-side", "-f", str(manifests), **home)
        may = {
            (verb, kind): access(server, verb, *kind)
            for verb in ("list", "watch", "update", "delete")
            for kind in [("traefik.io", "ingressroutes"), ("", "services"), ("discovery.k8s.io", "endpointslices")]
        }
        assert {verb for (verb, _), allowed in may.items() if allowed} == {"list", "watch"}
        assert all(allowed == (verb in {"list", "watch"}) for (verb, _), allowed in may.items())
        assert access(server, "list", "", "secrets"), "certificates and credentials are read"
        writing = ("create", "update", "patch", "delete")
        assert not any(access(server, verb, "", "secrets") for verb in writing)
        assert not any(access(server, "list", "", plural) for plural in ("pods", "nodes", "events"))
        kubectl("kustomize", KUSTOMIZATIONS[1])
        server.request("POST", "/api/v1/namespaces", {"metadata": {"name": "pointsman"}})
        manifests.write_text(kubectl("kustomize", KUSTOMIZATIONS[1]))
        kubectl("apply", "--server-side", "-f", str(manifests), **home)


def access(server: ApiServer, verb: str, group: str, plural: str) -> bool:
    """May our service account do that in another namespace?"""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": "system:serviceaccount:default:pointsman",
            "resourceAttributes": {"namespace": "kube-system", "verb": verb, "group": group, "resource": plural},
        },
    }
    status, answer = server.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    assert status == 201, str(answer)
    return bool(answer["status"]["allowed"])


def unit(name: str) -> dict[str, str]:
    """Directives of a unit; of one that is repeated, the last."""
    text = (ROOT / "etc" / "systemd" / name).read_text()
    return dict(line.split("=", 1) for line in text.splitlines() if re.match(r"[A-Z]\w+=", line))


def test_the_unit_reloads_by_hangup_and_drains_longer_than_its_grace_times(sample: str) -> None:
    service = unit("pointsman.service")
    points = static_load.from_mapping(yaml.safe_load(sample)).entry_points
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert int(service["TimeoutStopSec"].removesuffix("s")) >= longest_stop(list(points.values()))
    assert (service["Type"], service["NotifyAccess"], service["KillMode"]) == ("notify", "main", "mixed")


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    for path in (ROOT / "etc" / "systemd").iterdir():
        text = path.read_text().replace("/opt/pointsman/bin/pointsman", "/bin/true")
        (tmp_path / path.name).write_text(text)
    units = sorted(str(path) for path in tmp_path.iterdir())
    done = subprocess.run([program, "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "pointsman" in line]
    assert complaints == []


def test_the_image_holds_every_package_and_runs_without_privileges() -> None:
    text = (ROOT / "Dockerfile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages <= set(re.findall(r"^COPY (\w+) \1$", text, re.MULTILINE))
    copied = {name for names in re.findall(r"^COPY ([^-].*) \S+$", text, re.MULTILINE) for name in names.split()}
    assert packages < copied
    assert copied <= set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    final = text.split("\nFROM ")[-1]
    assert re.search(r"^USER 65532:65532$", final, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["pointsman"\]$', final, re.MULTILINE)
    assert "PYTHONDONTWRITEBYTECODE=1" in final


def test_what_the_packages_import_is_what_is_installed_with_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["redis"], *extras["http3"]]
    declared = {_normal(re.split(r"[<>=\[ ]", one)[0]) for one in wanted}
    distributions = packages_distributions()
    imported = {name for folder in PACKAGES for path in (ROOT / folder).rglob("*.py") for name in imports(path)}
    foreign = imported - set(sys.stdlib_module_names) - set(PACKAGES)
    missing = {name for name in foreign if not declared & {_normal(one) for one in distributions[name]}}
    assert missing == set(BROUGHT_ALONG)


def imports(path: Path) -> Iterator[str]:
    """First parts of the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module.partition(".")[0]


def _normal(distribution: str) -> str:
    return distribution.lower().replace("_", "-")


def test_the_tags_of_the_samples_are_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    container = built(KUSTOMIZATIONS[0])["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == f"pointsman:{version}"
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_gate_can_be_started() -> None:
    gate = ROOT / ".ci" / "run"
    assert os.access(gate, os.X_OK)
    assert subprocess.run(["bash", "-n", gate], check=False).returncode == 0
    for target in re.findall(r"\bmake (\w+)", gate.read_text()):
        assert target in makefile_targets()


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_commands_to_targets(path: Path) -> None:
    text = path.read_text()
    for link in re.findall(r"\]\((?!\w+:)([^)#]+)(?:#[^)]*)?\)", text):
        assert (path.parent / link).exists(), link
    for target in re.findall(r"`make ([a-z]+)`", text):
        assert target in makefile_targets(), target
