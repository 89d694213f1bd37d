"""The HTTP API without sockets: a request -> a response, or a watch for the connection to stream.

The order is that of a real server: outage, credentials, authorization, then the resource. Verbs and paths
are taken apart here; what a verb does is in `objects.py` and `reads.py`.
"""

from __future__ import annotations

import hmac
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from . import documents, errors, protobuf
from .discovery import discover
from .errors import ApiError, Json, PageNotFound
from .kinds import BUILT_IN_GROUPS, Kind, Registry
from .messages import LoggedRequest, Request, Response, error_response, json_response, text_response
from .objects import Objects
from .patches import json_patch, merge_patch, strategic_merge
from .reads import Reads
from .store import Entry, Store
from .watch import Watch

_KEPT_REQUESTS = 20_000
_STRATEGIC = "application/strategic-merge-patch+json"
_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
_APPLY = ("application/apply-patch+yaml", "application/apply-patch+json")


@dataclass(frozen=True, slots=True)
class Target:
    """What a resource path names."""

    kind: Kind
    namespace: str
    name: str
    subresource: str


@dataclass(slots=True)
class Rules:
    """What tests change while the server runs: credentials and failures."""

    token: str | None = None
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    """Pairs of plural or `plural/status` and verb; the verb `*` is all of them."""
    outage: ApiError | None = None
    outage_plurals: frozenset[str] = frozenset()
    """Empty: the outage is for everything."""

    def denies(self, resource: str, verb: str) -> bool:
        return (resource, verb) in self.forbidden or (resource, "*") in self.forbidden


class Api:
    """Answers requests; thread safe."""

    def __init__(self, store: Store, registry: Registry, objects: Objects, reads: Reads, rules: Rules) -> None:
        self.requests: deque[LoggedRequest] = deque(maxlen=_KEPT_REQUESTS)
        self.request_count = 0
        self._store = store
        self._registry = registry
        self._objects = objects
        self._reads = reads
        self._rules = rules

    def handle(self, request: Request) -> Response | Watch:
        self._log(request)
        try:
            return self._answer(request)
        except ApiError as error:
            return error_response(error)
        except PageNotFound:
            return text_response("404 page not found\n", 404)

    def _log(self, request: Request) -> None:
        agent = request.headers.get("user-agent", "")
        with self._store.lock:
            self.request_count += 1
            self.requests.append(LoggedRequest(request.method, request.path, request.query, agent))
            self._store.changed.notify_all()

    def _answer(self, request: Request) -> Response | Watch:
        segments = [segment for segment in request.path.split("/") if segment]
        outage = self._rules.outage
        if outage is not None and not self._rules.outage_plurals:
            raise outage
        self._authenticate(request)
        resource = _resource_segments(segments)
        if resource is None:
            if request.method not in ("GET", "HEAD"):
                raise errors.method_not_allowed()
            with self._store.lock:
                return discover(segments, list(self._registry))
        group, version, rest = resource
        namespace, plural, name, subresource = _split(rest)
        if outage is not None and plural in self._rules.outage_plurals:
            raise outage
        verb = _verb(request, name)
        self._authorize(group, plural, subresource, verb, namespace, name)
        kind = self._find_kind(group, version, plural)
        _check_scope(kind, verb, namespace, name)
        return self._perform(verb, Target(kind, namespace, name, subresource), request)

    def _authenticate(self, request: Request) -> None:
        token = self._rules.token
        if token is None or request.client_certificate:
            return
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise errors.unauthorized()

    def _authorize(self, group: str, plural: str, subresource: str, verb: str, namespace: str, name: str) -> None:
        resource = f"{plural}/{subresource}" if subresource else plural
        if self._rules.denies(resource, verb):
            raise errors.forbidden(group, resource, verb, namespace, name)

    def _find_kind(self, group: str, version: str, plural: str) -> Kind:
        with self._store.lock:
            kind = self._registry.lookup(group, version, plural)
        if kind is None:
            raise errors.unknown_resource() if group in BUILT_IN_GROUPS else PageNotFound
        return kind

    def _perform(self, verb: str, target: Target, request: Request) -> Response | Watch:
        kind, namespace, name = target.kind, target.namespace, target.name
        if target.subresource and (target.subresource != "status" or not kind.status):
            raise PageNotFound if kind.custom else errors.unknown_resource()
        match verb:
            case "watch":
                return self._reads.watch(kind, namespace, name, request, time.monotonic())
            case "list":
                return self._reads.list(kind, namespace, request)
            case "get":
                return _entry_response(self._objects.get(kind, namespace, name))
            case "create" if not name:
                body, dry_run = _json_body(request), _dry_run(request)
                return _entry_response(self._objects.create(kind, namespace, body, dry_run=dry_run), 201)
            case "update" if name:
                return self._update(target, request)
            case "patch" if name:
                return self._patch(target, request)
            case "delete" if not target.subresource:
                return self._delete(target, request)
            case "deletecollection":
                return self._delete_collection(target, request)
            case "update" | "patch" if kind.custom and not name:
                raise errors.bad_request("name must be provided")
        raise errors.method_not_allowed()

    def _update(self, target: Target, request: Request) -> Response:
        body = _json_body(request)
        entry = self._objects.update(
            target.kind,
            target.namespace,
            target.name,
            body,
            subresource=target.subresource,
            dry_run=_dry_run(request),
        )
        return _entry_response(entry)

    def _patch(self, target: Target, request: Request) -> Response:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip()
        change = _patch_function(target.kind, media_type, _any_body(request))
        entry, created = self._objects.patch(
            target.kind,
            target.namespace,
            target.name,
            change,
            subresource=target.subresource,
            create_missing=media_type in _APPLY and not target.subresource,
            dry_run=_dry_run(request),
        )
        return _entry_response(entry, 201 if created else 200)

    def _delete(self, target: Target, request: Request) -> Response:
        options = _json_body(request) if request.body else {}
        dry_run = _dry_run(request) or bool(options.get("dryRun"))
        preconditions = options.get("preconditions")
        kind = target.kind
        entry = self._objects.delete(kind, target.namespace, target.name, preconditions, dry_run=dry_run)
        metadata = entry.document["metadata"]
        if metadata.get("deletionTimestamp"):
            return _entry_response(entry)
        details = {"name": target.name, "kind": kind.plural, "uid": metadata["uid"]}
        if kind.group:
            details["group"] = kind.group
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return json_response({**status, "details": details})

    def _delete_collection(self, target: Target, request: Request) -> Response:
        with self._store.lock:
            page = self._reads.list(target.kind, target.namespace, request)
            for item in next(iter(documents.parse(page.body)))["items"]:
                metadata = item["metadata"]
                if not _dry_run(request):
                    self._objects.delete(target.kind, metadata.get("namespace", ""), metadata["name"])
        return page


def _resource_segments(segments: list[str]) -> tuple[str, str, list[str]] | None:
    """Group, version and the rest of a path below a group version; None for any other path."""
    if segments[:1] == ["api"] and len(segments) > 2:
        return "", segments[1], segments[2:]
    if segments[:1] == ["apis"] and len(segments) > 3:
        return segments[1], segments[2], segments[3:]
    return None


def _check_scope(kind: Kind, verb: str, namespace: str, name: str) -> None:
    """Only lists and watches of namespaced kinds may leave out the namespace."""
    if bool(namespace) == kind.namespaced or (kind.namespaced and verb in ("list", "watch") and not name):
        return
    if kind.custom:
        raise PageNotFound
    if namespace or name:
        raise errors.unknown_resource()
    raise errors.method_not_allowed()


def _split(rest: list[str]) -> tuple[str, str, str, str]:
    """Namespace, plural, name, subresource; each may be empty but the plural."""
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    if len(rest) > 3:
        raise PageNotFound
    plural, name, subresource = [*rest, "", ""][:3]
    return namespace, plural, name, subresource


def _verb(request: Request, name: str) -> str:
    match request.method:
        case "GET" | "HEAD":
            return "watch" if request.flag("watch") else "get" if name else "list"
        case "POST":
            return "create"
        case "PUT":
            return "update"
        case "PATCH":
            return "patch"
        case "DELETE":
            return "delete" if name else "deletecollection"
    raise errors.method_not_allowed()


def _entry_response(entry: Entry, code: int = 200) -> Response:
    return Response(code, entry.data + b"\n")


def _dry_run(request: Request) -> bool:
    return request.query.get("dryRun") == "All"


def _any_body(request: Request) -> Any:
    try:
        if request.headers.get("content-type", "").startswith(protobuf.MEDIA_TYPE):
            return protobuf.decode(request.body)
        return next(documents.parse(request.body))
    except (ValueError, StopIteration) as error:
        raise errors.bad_request(f"the object provided is unrecognized: {error}") from error


def _json_body(request: Request) -> Json:
    body = _any_body(request)
    if not isinstance(body, dict):
        raise errors.bad_request("the object provided is unrecognized (must be of type object)")
    return body


def _patch_function(kind: Kind, media_type: str, patch: Any) -> Callable[[Json], Json]:
    if media_type == _JSON_PATCH:
        return partial(_flip, json_patch, patch)
    if not isinstance(patch, dict):
        raise errors.bad_request("a patch of this type is an object")
    if media_type == _MERGE:
        return partial(_flip, merge_patch, patch)
    if (media_type == _STRATEGIC and not kind.custom) or media_type in _APPLY:
        return lambda document: strategic_merge(document, patch, kind.merge_keys)
    supported = [_JSON_PATCH, _MERGE, *_APPLY] + ([] if kind.custom else [_STRATEGIC])
    raise errors.unsupported_media_type(media_type, supported)


def _flip(function: Callable[[Json, Any], Json], patch: Any, document: Json) -> Json:
    return function(document, patch)
