"""What the server says about itself: versions, groups, resources, health, and just enough OpenAPI.

Only the old, unaggregated discovery is spoken; clients that ask for the aggregated form fall back to it.
The OpenAPI documents name nothing but the patch operations, which is where kubectl looks up whether the
server validates fields, so `kubectl apply` needs no `--validate=false`.
"""

from __future__ import annotations

from collections.abc import Sequence

from .errors import Json, PageNotFound
from .kinds import Kind
from .messages import Response, json_response, text_response

_VERSION = {
    "major": "1",
    "minor": "37",
    "gitVersion": "v1.37.0",
    "gitCommit": "unknown",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "go1.26.0",
    "compiler": "gc",
    "platform": "linux/amd64",
}
_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_HEALTH = ("healthz", "readyz", "livez")


def discover(segments: Sequence[str], kinds: Sequence[Kind]) -> Response:
    """Answer a GET outside of any resource. Raises `PageNotFound`."""
    match list(segments):
        case [name, *_] if name in _HEALTH:
            return text_response("ok")
        case ["version"]:
            return json_response(_VERSION)
        case ["api"]:
            return json_response({"kind": "APIVersions", "apiVersion": "v1", "versions": ["v1"]})
        case ["apis"]:
            groups = [_group(name, kinds) for name in _groups(kinds)]
            return json_response({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        case ["apis", group] if group in _groups(kinds):
            return json_response({"kind": "APIGroup", "apiVersion": "v1", **_group(group, kinds)})
        case ["api", version]:
            return _resources("", version, kinds)
        case ["apis", group, version]:
            return _resources(group, version, kinds)
        case ["openapi", "v3"]:
            return json_response(_openapi_index(kinds))
        case ["openapi", "v3", ("api" | "apis"), *rest]:
            return _openapi("/".join(rest), kinds)
    raise PageNotFound


def _groups(kinds: Sequence[Kind]) -> list[str]:
    return sorted({kind.group for kind in kinds if kind.group})


def _group(name: str, kinds: Sequence[Kind]) -> Json:
    found = sorted({kind.version for kind in kinds if kind.group == name})
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in found]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _resources(group: str, version: str, kinds: Sequence[Kind]) -> Response:
    served = [kind for kind in kinds if kind.group == group and kind.version == version]
    if not served:
        raise PageNotFound
    resources: list[Json] = []
    for kind in sorted(served, key=lambda kind: kind.plural):
        resource = {
            "name": kind.plural,
            "singularName": kind.kind.lower(),
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": _VERBS,
        }
        resources.append(resource)
        if kind.short_names:
            resource["shortNames"] = list(kind.short_names)
        if kind.status:
            status = {**resource, "name": f"{kind.plural}/status", "singularName": ""}
            status["verbs"] = ["get", "patch", "update"]
            status.pop("shortNames", None)
            resources.append(status)
    return json_response(
        {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": served[0].api_version,
            "resources": resources,
        }
    )


def _root(kind: Kind) -> str:
    return f"apis/{kind.api_version}" if kind.group else f"api/{kind.version}"


def _openapi_index(kinds: Sequence[Kind]) -> Json:
    roots = sorted({_root(kind) for kind in kinds})
    return {"paths": {root: {"serverRelativeURL": f"/openapi/v3/{root}"} for root in roots}}


def _openapi(api_version: str, kinds: Sequence[Kind]) -> Response:
    served = [kind for kind in kinds if kind.api_version == api_version]
    if not served:
        raise PageNotFound
    names = ("dryRun", "fieldManager", "fieldValidation", "force")
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}} for name in names
    ]
    paths = {}
    for kind in served:
        scope = "namespaces/{namespace}/" if kind.namespaced else ""
        paths[f"/{_root(kind)}/{scope}{kind.plural}/{{name}}"] = {
            "patch": {
                "operationId": f"patch{kind.kind}",
                "parameters": parameters,
                "responses": {"200": {"description": "OK"}},
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": {
                    "group": kind.group,
                    "version": kind.version,
                    "kind": kind.kind,
                },
            }
        }
    info = {"title": "Kubernetes", "version": _VERSION["gitVersion"]}
    return json_response({"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}})
