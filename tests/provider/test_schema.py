"""The custom resource definitions: in step with the structs, structural, and no stricter than they should be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import yaml
from msgspec import inspect

from provider.resources import (
    schema,
)
from provider.resources.kinds import INGRESS_ROUTE, KINDS, Kind
from provider.resources.schema import FIELDS
from tests.envtest import ApiServer, assets
from tests.waiting import wait_until

ROOT: Final = Path(__file__).resolve().parents[2]
CRDS: Final = ROOT / "etc" / "kubernetes" / "base" / "crds"
KEYWORDS: Final = {
    *("type", "description", "properties", "required", "items", "additionalProperties", "anyOf", "format"),
    *("enum", "default", "minimum", "maximum", "pattern", "x-kubernetes-int-or-string"),
    *("x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
}
Schema = dict[str, Any]


CUSTOM: Final = [kind for kind in KINDS.values() if kind.is_custom]


def root_schema(kind: Kind = INGRESS_ROUTE) -> Schema:
    (version,) = schema.definition(kind)["spec"]["versions"]
    root: Schema = version["schema"]["openAPIV3Schema"]
    return root


def nodes(node: Schema) -> Iterator[Schema]:
    """A schema and every schema inside it, but for the alternatives of `anyOf`."""
    yield node
    inner = [*node.get("properties", {}).values(), node.get("items"), node.get("additionalProperties")]
    for each in inner:
        if each is not None:
            yield from nodes(each)


def errors(value: Any, node: Schema, path: str = "") -> list[str]:
    """What the API server would say, unknown fields (which it drops, and kubectl refuses) included."""
    if node.get("x-kubernetes-preserve-unknown-fields"):
        return []
    if isinstance(value, str) and not re.search(node.get("pattern", ""), value):
        return [f"{path}: does not match"]
    if node.get("x-kubernetes-int-or-string"):
        return [] if isinstance(value, int | str) and not isinstance(value, bool) else [f"{path}: int or string"]
    types = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    if not isinstance(value, types[node["type"]]) or (node["type"] == "integer" and isinstance(value, bool)):
        return [f"{path}: must be {node['type']}"]
    found = [f"{path}: not one of {node['enum']}" for _ in "x" if value not in node.get("enum", [value])]
    if isinstance(value, int):
        found += [f"{path}: out of range" for _ in "x" if not in_range(value, node)]
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += errors(item, node["items"], f"{path}[{index}]")
    if isinstance(value, dict):
        found += errors_of_object(value, node, path)
    return found


def in_range(value: int, node: Schema) -> bool:
    return bool(node.get("minimum", value) <= value <= node.get("maximum", value))


def errors_of_object(value: dict[str, Any], node: Schema, path: str) -> list[str]:
    found = [f"{path}.{name}: required" for name in node.get("required", []) if name not in value]
    properties, others = node.get("properties", {}), node.get("additionalProperties")
    for name, item in value.items():
        inner = properties.get(name, others)
        if inner is not None:
            found += errors(item, inner, f"{path}.{name}")
        elif properties:
            found.append(f"{path}.{name}: unknown")
    return found


def ingress_route(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {"routes": [{"match": "Host(`shop.example`)", "kind": "Rule"}], **spec},
    }


def service(**fields: Any) -> dict[str, Any]:
    return {"routes": [{"match": "Path(`/`)", "services": [{"name": "shop", "port": 80, **fields}]}]}


def route(**fields: Any) -> dict[str, Any]:
    return {"routes": [{"match": "Path(`/`)", **fields}]}


ACCEPTED: Final[list[dict[str, Any]]] = [
    {},
    service(),
    service(port="web", kind="Service", strategy="RoundRobin", weight=0, nativeLB=True, nodePortLB=False),
    service(sticky={"cookie": {"sameSite": "Lax", "maxAge": -1, "httpOnly": True}}, passHostHeader=False),
    service(healthCheck={"interval": 10, "timeout": "3s", "headers": {"X-A": "b"}, "followRedirects": False}),
    service(passiveHealthCheck={"failureWindow": "10s"}, responseForwarding={"flushInterval": "100ms"}),
    service(middlewares=[{"name": "auth", "namespace": "other"}], serversTransport="mtls@file"),
    # the API server keeps the maximum as a float, which rounds it down to this number
    route(priority=9223372036854774784, syntax="v2", observability={"accessLogs": False}),
    route(priority=-5, observability={"traceVerbosity": "detailed", "metrics": True, "tracing": True}),
    {"entryPoints": ["web"], "ingressClassName": "", "parentRefs": [{"name": "parent"}]},
    {"tls": {}},
    {"tls": {"secretName": "s", "options": {"name": "o"}, "store": {"name": "default"}, "certResolver": "le"}},
    {"tls": {"domains": [{"main": "a.example", "sans": ["*.a.example"]}]}},
]
REFUSED: Final[list[tuple[dict[str, Any], str]]] = [
    ({"routes": None}, ".spec.routes: must be array"),
    ({"routes": [{}]}, ".spec.routes[0].match: required"),
    (route(kind="Rules"), ".spec.routes[0].kind: not one of ['Rule']"),
    (route(priority=9223372036854774808), ".spec.routes[0].priority: out of range"),
    (route(observability={"traceVerbosity": "loud"}), "traceVerbosity: not one of ['minimal', 'detailed']"),
    (route(middlewares=[{"namespace": "x"}]), ".spec.routes[0].middlewares[0].name: required"),
    (service(kind="Pod"), ".kind: not one of ['Service', 'TraefikService']"),
    (service(strategy="random"), ".strategy: not one of"),
    (service(weight=-1), ".weight: out of range"),
    (service(port=True), ".port: int or string"),
    (service(sticky={"cookie": {"sameSite": "loose"}}), ".sameSite: not one of"),
    (service(nativelb=True), ".nativelb: unknown"),
    ({"tls": {"options": {}}}, ".spec.tls.options.name: required"),
]


def test_the_files_are_in_step_with_the_structs() -> None:
    written = {path.name: path.read_text() for path in CRDS.glob("*.yaml")}
    assert written == dict(schema.files()), "run `make schema`"


def test_the_command_writes_the_files(tmp_path: Path) -> None:
    assert schema.main([str(tmp_path / "new")]) == 0
    written = {path.name for path in (tmp_path / "new").iterdir()}
    assert written == {f"traefik.io_{kind.plural}.yaml" for kind in CUSTOM}


def test_the_command_wants_one_directory(capsys: pytest.CaptureFixture[str]) -> None:
    assert schema.main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_every_field_has_words_and_every_word_has_a_field() -> None:
    structs = {struct for kind in CUSTOM for struct in structs_below(schema.spec_of(kind))}
    assert structs == set(FIELDS)
    for struct in structs:
        fields = {field.encode_name for field in msgspec.structs.fields(struct)}
        assert {name for name, words in FIELDS[struct].items() if words.type is None} == fields, struct


def structs_below(struct: type) -> set[type]:
    """A struct and those of its fields, at any depth."""
    return {info.cls for info in infos_below(inspect.type_info(struct))}


def infos_below(info: inspect.Type) -> Iterator[inspect.StructType]:
    match info:
        case inspect.StructType():
            yield info
            for field in info.fields:
                yield from infos_below(field.type)
        case inspect.Metadata():
            yield from infos_below(info.type)
        case inspect.UnionType():
            for each in info.types:
                yield from infos_below(each)
        case inspect.ListType():
            yield from infos_below(info.item_type)
        case inspect.DictType():
            yield from infos_below(info.value_type)


@pytest.mark.parametrize("kind", CUSTOM, ids=lambda kind: kind.name)
def test_the_schema_is_structural(kind: Kind) -> None:
    for node in nodes(root_schema(kind)):
        assert set(node) <= KEYWORDS
        untyped = node.get("x-kubernetes-int-or-string") or node.get("x-kubernetes-preserve-unknown-fields")
        assert ("type" in node) != bool(untyped)
        assert set(node.get("required", [])) <= set(node.get("properties", {}))
        assert not {"properties", "additionalProperties"} <= set(node)
        if "default" in node:
            assert errors(node["default"], node) == []


@pytest.mark.parametrize("kind", CUSTOM, ids=lambda kind: kind.name)
def test_every_field_that_a_user_writes_is_described(kind: Kind) -> None:
    for node in nodes(root_schema(kind)["properties"]["spec"]):
        for name, field in node.get("properties", {}).items():
            assert re.fullmatch(r"[A-Z\dh].{8,}[.]", field["description"]), name


def test_types_without_a_schema_are_refused() -> None:
    with pytest.raises(TypeError, match="no schema"):
        schema._of_type(inspect.type_info(bytes))
    with pytest.raises(TypeError, match="union"):
        schema._of_type(inspect.type_info(int | bool | str))


@pytest.mark.parametrize("spec", ACCEPTED, ids=str)
def test_what_the_original_accepts_is_accepted(spec: dict[str, Any]) -> None:
    assert errors(ingress_route(**spec), root_schema()) == []


@pytest.mark.parametrize(("spec", "error"), REFUSED, ids=str)
def test_what_the_original_refuses_is_refused(spec: dict[str, Any], error: str) -> None:
    found = errors(ingress_route(**spec), root_schema())
    assert any(error in each for each in found), found


def test_the_samples_fit_the_schema() -> None:
    for path in sorted((ROOT / "etc" / "samples").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document and document["kind"] == "IngressRoute":
                assert errors(document, root_schema()) == [], path.name


@pytest.fixture(scope="module")
def cluster() -> Iterator[ApiServer]:
    """A real API server that has our definitions."""
    if assets() is None:
        pytest.skip("KUBEBUILDER_ASSETS names no folder with kube-apiserver and etcd (make envtest builds one)")
    with ApiServer() as server:
        definition = schema.definition(INGRESS_ROUTE)
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        status, made = server.request("POST", f"{path}?fieldValidation=Strict", definition)
        assert status == 201, str(made)
        name = definition["metadata"]["name"]
        wait_until(lambda: is_established(server.request("GET", f"{path}/{name}")[1]), what="CRD established")
        yield server


def is_established(definition: Any) -> bool:
    reported = definition.get("status", {}).get("conditions") or []
    conditions = {each["type"]: each["status"] for each in reported}
    assert "NonStructuralSchema" not in conditions, definition["status"]
    return conditions.get("Established") == "True"


def create(server: ApiServer, spec: dict[str, Any]) -> tuple[int, Any]:
    """Create and remove again; the answer to the creation."""
    path = "/apis/traefik.io/v1alpha1/namespaces/default/ingressroutes"
    status, answer = server.request("POST", f"{path}?fieldValidation=Strict", ingress_route(**spec))
    if status == 201:
        server.request("DELETE", f"{path}/shop")
    return status, answer


@pytest.mark.envtest
def test_a_real_api_server_accepts_the_same(cluster: ApiServer) -> None:
    for spec in ACCEPTED:
        status, answer = create(cluster, spec)
        assert status == 201, str(answer)


@pytest.mark.envtest
def test_a_real_api_server_refuses_the_same(cluster: ApiServer) -> None:
    for spec, _ in REFUSED:
        status, answer = create(cluster, spec)
        assert status in {400, 422}, (spec, answer)


@pytest.mark.envtest
def test_a_real_api_server_adds_the_default_verbosity(cluster: ApiServer) -> None:
    status, answer = create(cluster, route(observability={"metrics": False}))
    assert status == 201, answer
    assert answer["spec"]["routes"][0]["observability"] == {"metrics": False, "traceVerbosity": "minimal"}
