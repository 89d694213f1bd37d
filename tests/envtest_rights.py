"""Our shipped rights on a real API server: a tenant's objects, a ServiceAccount, roles, a provider.

A right is named by where it stands (file, role, rule) and what it allows. The roles of the manifests are bound
as they are, or without one right; what then fails is up to the tests.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from config import generation_channel
from config.control_page import Head
from config.findings import Finding
from config.generation import Generation, SectionKey
from config.static_load import from_mapping
from provider.resources.kinds import GATEWAY_GROUP, KINDS, TRAEFIK_GROUP
from tests.envtest import ApiServer
from tests.provider.support import Json, ProviderProcess, running
from tests.waiting import wait_until

KUBERNETES: Final = Path(__file__).parents[1] / "etc" / "kubernetes"
CRDS: Final = KUBERNETES / "base" / "crds"
ACCOUNT: Final = "pointsman"
RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEADLINE_SECONDS: Final = 60.0
"""For anything a provider does; each of many is started on a machine that has other things to do."""
LOOK_SECONDS: Final = 0.1
MERGE: Final = "application/merge-patch+json"
_numbers = itertools.count()


class Right(NamedTuple):
    """One verb on one or more resources of one rule of a manifest (`path` below etc/kubernetes)."""

    path: str
    role: str
    rule: int
    resources: tuple[str, ...]
    verb: str

    def __str__(self) -> str:
        what = self.resources[0] if len(self.resources) == 1 else f"{len(self.resources)} kinds"
        return f"{self.path.split('/')[-2]}-{self.verb} {what}"


def roles_of(path: str) -> list[Json]:
    documents = yaml.safe_load_all((KUBERNETES / path).read_text())
    return [one for one in documents if one["kind"] in ("Role", "ClusterRole")]


def rights_of(path: str, alone: frozenset[str]) -> list[Right]:
    """Every right that a manifest grants; of one rule those on resources in `alone` each by itself."""
    found = []
    for role in roles_of(path):
        for index, rule in enumerate(role["rules"]):
            groups = [(one,) for one in rule["resources"] if one in alone]
            together = tuple(one for one in rule["resources"] if one not in alone)
            for resources in [*groups, together] if together else groups:
                found += [Right(path, role["metadata"]["name"], index, resources, verb) for verb in rule["verbs"]]
    return found


def without(role: Json, right: Right | None) -> list[Json]:
    """The role's rules, but for this right."""
    rules: list[Json] = []
    for index, rule in enumerate(role["rules"]):
        if right is None or (role["metadata"]["name"], index) != (right.role, right.rule):
            rules.append(rule)
            continue
        kept = [one for one in rule["resources"] if one not in right.resources]
        verbs = [verb for verb in rule["verbs"] if verb != right.verb]
        rules += [{**rule, "resources": kept}] if kept else []
        rules += [{**rule, "resources": list(right.resources), "verbs": verbs}] if verbs else []
    return rules


class View:
    """One generation, as far as rights show in it."""

    def __init__(self, descriptors: Sequence[int]) -> None:
        self.names: set[tuple[str, str]] = set()
        self.findings: list[Finding] = []
        with Generation(descriptors) as generation:
            for key in generation.sections:
                self._take(key, generation.read(key))

    def _take(self, key: SectionKey, value: Any) -> None:
        if key.section == "findings":
            self.findings += value
        elif key.section in ("routing", "tls"):
            for field in value.__struct_fields__:
                self.names |= {(field, name) for name in getattr(value, field)}

    def forbidden(self) -> set[str]:
        """Kinds of which it is said that we may not read them."""
        return {one.kind for one in self.findings if one.reason == "Forbidden" and not one.name}

    def reasons(self, name: str) -> set[str]:
        return {one.reason for one in self.findings if one.name == name}


class Running:
    """A provider with the tenant's rights, and the newest view."""

    def __init__(self, provider: ProviderProcess, log: Path) -> None:
        self.provider = provider
        self._log = log

    def view(self, accept: Callable[[View], object]) -> View:
        """The first generation that is accepted."""
        seen: list[set[str]] = []
        while True:
            self.provider.channel.settimeout(DEADLINE_SECONDS)
            try:
                parcel = generation_channel.receive(self.provider.channel)
            except TimeoutError:
                raise AssertionError(f"no such view, only {seen}: {self.log()[-4000:]}") from None
            assert parcel is not None, self.log()
            view = View(parcel.descriptors)
            for descriptor in parcel.descriptors:
                os.close(descriptor)
            seen.append(view.forbidden())
            if accept(view):
                return view

    def has_published(self) -> bool:
        self.provider.channel.setblocking(False)
        try:
            return bool(self.provider.channel.recv(1024))
        except BlockingIOError:
            return False

    @property
    def is_synced(self) -> bool:
        return bool(self.provider.page[Head.PROVIDER_SYNCED])

    def log(self) -> str:
        return self._log.read_text()

    def wait_for_sync(self) -> None:
        self.until(lambda: self.is_synced, "every kind is followed")

    def until(self, predicate: Callable[[], object], what: str) -> None:
        """Wait until it is so. Asked now and then only: most ask the API server, which has more to do."""
        try:
            wait_until(predicate, DEADLINE_SECONDS, what=what, pause=self._pause)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.log()[-4000:]}") from None

    def _pause(self, _: float) -> None:
        time.sleep(LOOK_SECONDS)
        code = self.provider.process.poll()
        assert code is None, f"the provider ended with {code}"

    def says(self, *texts: str) -> None:
        """Wait until the log has a line with all of the texts."""

        def is_said() -> bool:
            return any(all(text in line for text in texts) for line in self.log().splitlines())

        self.until(is_said, f"{texts} in the log")


class Tenant:
    """Two namespaces with one object of each kind, and an account with the rights of some manifests."""

    def __init__(self, server: ApiServer, folder: Path, paths: list[str], right: Right | None = None) -> None:
        self.server = server
        self.name = f"tenant-{next(_numbers)}"
        self.other = f"{self.name}-other"
        self._folder = folder
        for namespace in (self.name, self.other):
            self.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
        accounts = f"/api/v1/namespaces/{self.name}/serviceaccounts"
        self.create(accounts, {"metadata": {"name": ACCOUNT}})
        for path in paths:
            for role in roles_of(path):
                self._grant(role, without(role, right if right is not None and right.path == path else None))
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        self.token = self.create(f"{accounts}/{ACCOUNT}/token", body)["status"]["token"]

    def create(self, path: str, body: Json) -> Any:
        status, answer = self.server.request("POST", path, body)
        assert status == 201, answer
        return answer

    def get(self, path: str) -> Any:
        status, answer = self.server.request("GET", path)
        assert status in (200, 404), answer
        return answer

    def put_objects(self, objects: list[Json]) -> None:
        for one in objects:
            self.create(KINDS[one["kind"]].path(one["metadata"].get("namespace", "")), one)

    def conditions(self) -> dict[str, str]:
        """Kind to the status of the condition, of the objects that have one; one object of each kind."""
        found = {}
        for kind in KINDS.values():
            if kind.group == TRAEFIK_GROUP:
                for one in self.get(kind.path(self.name))["items"]:
                    for condition in one.get("status", {}).get("conditions", []):
                        found[f"{kind.name} {one['metadata']['name']}"] = condition["status"]
        return found

    def events(self) -> list[Json]:
        found: list[Json] = self.get(f"/api/v1/namespaces/{self.name}/events")["items"]
        return found

    def lease(self) -> Json:
        found: Json = self.get(self.lease_path)
        return found

    @property
    def lease_path(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.name}/leases/pointsman"

    @contextmanager
    def provider(self, **providers: Any) -> Iterator[Running]:
        """`providers`: further sections of the static configuration's `providers`."""
        namespaces = [self.name, self.other]
        connection = {
            "endpoint": self.server.url,
            "token": self.token,
            "certAuthFilePath": str(self.server.ca_path),
            "namespaces": namespaces,
        }
        crd = {**connection, "disableClusterScopeResources": True, **providers.pop("kubernetesCRD", {})}
        for section in providers.values():
            section["namespaces"] = namespaces
        static = from_mapping(
            {
                "providers": {"providersThrottleDuration": "0s", "kubernetesCRD": crd, **providers},
                "entryPoints": {"web": {"address": ":0"}, "dns": {"address": ":0/udp"}},
                "log": {"level": "DEBUG"},
            }
        )
        path = self._folder / f"{self.name}-{next(_numbers)}.log"
        with path.open("w") as log, running(static, {"POD_NAMESPACE": self.name}, log=log) as provider:
            yield Running(provider, path)

    def _grant(self, role: Json, rules: list[Json]) -> None:
        """Make the role and bind it to the account; a Role in both namespaces. Returns when it is in force."""
        name = f"{role['metadata']['name']}-{self.name}"
        kind = role["kind"]
        places = (
            [RBAC] if kind == "ClusterRole" else [f"{RBAC}/namespaces/{one}" for one in (self.name, self.other)]
        )
        plural, bindings = f"{kind.lower()}s", f"{kind.lower()}bindings"
        subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": self.name}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
        for place in places:
            self.create(f"{place}/{plural}", {"metadata": {"name": name}, "rules": rules})
            body = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
            self.create(f"{place}/{bindings}", body)
        wait_until(lambda: all(map(self._may, rules)), what="the role is in force")

    def _may(self, rule: Json) -> bool:
        return all(self._may_in(namespace, rule) for namespace in (self.name, self.other))

    def _may_in(self, namespace: str, rule: Json) -> bool:
        resource, _, subresource = rule["resources"][0].partition("/")
        attributes = {
            "namespace": namespace,
            "verb": rule["verbs"][0],
            "group": rule["apiGroups"][0],
            "resource": resource,
            "subresource": subresource,
            "name": next(iter(rule.get("resourceNames", [])), ""),
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{self.name}:{ACCOUNT}",
                "resourceAttributes": attributes,
            },
        }
        answer = self.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"])


def install(server: ApiServer) -> None:
    """Our definitions as they are shipped, and that of ReferenceGrants as far as it matters."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    grants = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "referencegrants.gateway.networking.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {
            "group": GATEWAY_GROUP,
            "names": {"plural": "referencegrants", "kind": "ReferenceGrant"},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
    paths = []
    for one in [*(yaml.safe_load(path.read_text()) for path in sorted(CRDS.glob("*.yaml"))), grants]:
        status, answer = server.request("POST", DEFINITIONS, one)
        assert status == 201, json.dumps(answer)
        (served,) = one["spec"]["versions"]
        paths.append(f"/apis/{one['spec']['group']}/{served['name']}/{one['spec']['names']['plural']}")
    for path in paths:
        wait_until(lambda path=path: server.request("GET", path)[0] == 200, 30, what=path)  # type: ignore[misc]
