"""Ingresses while the cluster changes: step by step comes to the same as from scratch."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from config.names import PROVIDER_INGRESS
from provider.options import TranslationOptions
from provider.resources.decode import from_plain, key_of
from provider.resources.kinds import KINDS
from provider.store import Store
from provider.translate.builder import Builder, Changes, build
from tests.provider.support import Json, endpoints, service

OPTIONS = TranslationOptions(section="providers.kubernetesIngress")


def ingress(name: str, host: str = "a.example", target: str = "whoami", **spec: Any) -> Json:
    backend = {"service": {"name": target, "port": {"number": 80}}}
    rules = [{"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"rules": rules, **spec},
    }


def catch_all(name: str, target: str = "whoami") -> Json:
    return ingress(name, rules=[], defaultBackend={"service": {"name": target, "port": {"number": 80}}})


def ingress_class(name: str, controller: str = "traefik.io/ingress-controller") -> Json:
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": name}}
    return {**kind, "spec": {"controller": controller}}


def annotated(plain: Json, **annotations: str) -> Json:
    prefixed = {f"traefik.ingress.kubernetes.io/{key.replace('__', '.')}": one for key, one in annotations.items()}
    return {**plain, "metadata": {**plain["metadata"], "annotations": prefixed}}


class Stage:
    """A store and a builder that follows it."""

    def __init__(self, *objects: Json) -> None:
        self.store, self.builder = Store(), Builder(OPTIONS, provider=PROVIDER_INGRESS)
        self.apply(*objects)

    def apply(self, *objects: Json) -> Changes:
        for plain in objects:
            kind = KINDS[plain["kind"]]
            self.store.insert(kind, from_plain(kind, plain))
        return self._update()

    def remove(self, plain: Json) -> Changes:
        kind = KINDS[plain["kind"]]
        self.store.remove(key_of(kind, from_plain(kind, plain)))
        return self._update()

    def _update(self) -> Changes:
        changes = self.builder.update(self.store, self.store.take_changed())
        assert self.builder.result(self.store) == build(self.store, OPTIONS, PROVIDER_INGRESS)
        return changes

    @property
    def routers(self) -> set[str]:
        return set(self.builder.routers)


WHOAMI = (service("whoami"), endpoints("whoami", "10.1.0.1"))


def test_an_ingress_appears_with_its_class() -> None:
    stage = Stage(*WHOAMI, ingress("one", ingressClassName="edge"))
    assert stage.routers == set()
    stage.apply(ingress_class("edge", "other"))
    assert stage.routers == set()
    stage.apply(ingress_class("edge"))
    assert stage.routers == {"default-one-a-example"}
    stage.remove(ingress_class("edge"))
    assert stage.routers == set()


def test_annotations_of_the_service_count_at_once_and_others_not_at_all() -> None:
    stage = Stage(*WHOAMI, ingress("one"))
    foreign = service("whoami")
    foreign["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    assert stage.apply(foreign).names == {}
    changes = stage.apply(annotated(service("whoami"), service__passhostheader="false"))
    assert changes.services == {"default-whoami-80"}
    assert changes.routers == set()


def test_the_default_backend_is_handed_on() -> None:
    stage = Stage(*WHOAMI, catch_all("b"), catch_all("c"))
    assert stage.builder.routers["default-router"].observability is not None

    def owner() -> str:
        observability = stage.builder.routers["default-router"].observability
        assert observability is not None
        assert observability.metadata is not None
        assert observability.metadata.ingress is not None
        return observability.metadata.ingress.name

    assert owner() == "b"
    stage.apply(catch_all("a", "later"))
    assert owner() == "b"
    stage.apply(service("later"), endpoints("later", "10.1.0.2"))
    assert owner() == "a"
    stage.remove(catch_all("a"))
    assert owner() == "b"
    stage.apply(ingress("b"))
    assert owner() == "c"
    stage.remove(catch_all("c"))
    assert stage.routers == {"default-b-a-example"}


def test_a_collision_comes_and_goes() -> None:
    paths = [
        {"path": path, "pathType": "Exact", "backend": {"service": {"name": target, "port": {"number": 80}}}}
        for path, target in (("/x", "whoami"), ("/x/", "later"))
    ]
    stage = Stage(*WHOAMI, ingress("one", rules=[{"http": {"paths": paths}}]))
    assert stage.routers == {"default-one-x"}
    stage.apply(service("later"), endpoints("later", "10.1.0.2"))
    assert len(stage.routers) == 2
    assert all(name.startswith("default-one-x-") for name in stage.routers)
    stage.remove(service("later"))
    assert stage.routers == {"default-one-x"}


OBJECTS = st.sampled_from(
    (
        *WHOAMI,
        annotated(service("whoami"), service__nativelb="true"),
        annotated(service("whoami"), service__nativelb="perhaps"),
        service("other"),
        endpoints("other", "10.1.0.2"),
        ingress_class("edge"),
        ingress_class("edge", "other"),
        ingress("a", ingressClassName="edge"),
        ingress("a", target="other"),
        annotated(ingress("b"), router__priority="7"),
        annotated(ingress("b"), router__priority="x"),
        catch_all("a"),
        catch_all("b", "other"),
        catch_all("c"),
    )
)


@given(st.lists(st.tuples(st.booleans(), OBJECTS), max_size=25))
def test_any_order_of_changes_gives_what_a_fresh_build_gives(steps: list[tuple[bool, Json]]) -> None:
    stage = Stage()
    for is_there, plain in steps:
        if is_there:
            stage.apply(plain)
        else:
            stage.remove(plain)
