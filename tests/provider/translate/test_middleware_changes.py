"""Middlewares over time: what they were made from changes, comes late, or goes."""

from __future__ import annotations

from typing import Any

import pytest

from config.http import Service
from config.middlewares import Middleware
from provider.options import TranslationOptions
from provider.resources.decode import from_plain, key_of
from provider.resources.kinds import KINDS, ObjectKey
from provider.store import Store
from provider.translate.builder import Builder, build
from tests.provider.support import Json, endpoints, route, rule, service
from tests.provider.translate.middlewares import secret, web

OPTIONS = TranslationOptions()


class World:
    """A store and the builder that follows it. After every step the result is that of a build from scratch."""

    def __init__(self, *objects: Json) -> None:
        self.store = Store()
        self.builder = Builder(OPTIONS)
        self.apply(*objects)

    def apply(self, *objects: Json) -> set[str]:
        """Insert or replace; names of all configuration objects that changed."""
        for plain in objects:
            kind = KINDS[plain["kind"]]
            self.store.insert(kind, from_plain(kind, plain))
        return self._follow()

    def remove(self, plain: Json) -> set[str]:
        kind = KINDS[plain["kind"]]
        self.store.remove(key_of(kind, from_plain(kind, plain)))
        return self._follow()

    def middlewares(self) -> dict[str, Middleware]:
        return self.builder.result(self.store).configuration.http.middlewares

    def services(self) -> dict[str, Service]:
        return self.builder.result(self.store).configuration.http.services

    def reasons(self) -> set[str]:
        return {finding.reason for finding in self.builder.result(self.store).findings}

    def _follow(self) -> set[str]:
        changes = self.builder.update(self.store, self.store.take_changed())
        assert self.builder.result(self.store) == build(self.store, OPTIONS)
        return {name for names in changes.names.values() for name in names} | changes.services


def middleware(name: str, **spec: Any) -> Json:
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "Middleware",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def test_users_follow_their_secret() -> None:
    auth = middleware("auth", basicAuth={"secret": "users"})
    world = World(auth, secret("users", users="a:1"))
    assert world.apply(secret("users", users="a:2")) == {"default-auth"}
    made = world.middlewares()["default-auth"].basic_auth
    assert made is not None
    assert made.users == ["a:2"]


@pytest.mark.parametrize(
    ("auth", "late"),
    [
        (middleware("m", basicAuth={"secret": "s"}), [secret("s", users="a:b")]),
        (middleware("m", forwardAuth={"address": "a", "tls": {"caSecret": "s"}}), [secret("s", ca__crt="x")]),
        (middleware("m", rateLimit={"redis": {"secret": "s"}}), [secret("s", username="", password="")]),
        (middleware("m", plugin={"x": {"k": "urn:k8s:secret:s:k"}}), [secret("s", k="v")]),
        (middleware("m", errors={"service": {"name": "web", "port": 80}}), web()),
    ],
    ids=lambda value: next(iter(value["spec"])) if isinstance(value, dict) else "",
)
def test_what_comes_late_is_picked_up_and_what_goes_is_lost(auth: Json, late: list[Json]) -> None:
    world = World(auth)
    assert world.middlewares() == {}
    changed = world.apply(*late)
    assert "default-m" in changed
    assert list(world.middlewares()) == ["default-m"]
    for plain in late:
        world.remove(plain)
    assert world.middlewares() == {}
    assert world.services() == {}


@pytest.mark.behaviour("PR-72")
def test_a_middleware_deleted_while_in_use_leaves_its_name_behind() -> None:
    gone = middleware("auth", addPrefix={"prefix": "/a"})
    shop = route("shop", rule("Host(`a`)", {"name": "web", "port": 80}, middlewares=[{"name": "auth"}]))
    world = World(gone, shop, *web())
    assert list(world.middlewares()) == ["default-auth"]
    assert world.remove(gone) == {"default-auth"}
    assert world.middlewares() == {}
    (router,) = world.builder.result(world.store).configuration.http.routers.values()
    assert router.middlewares == ["default-auth"]


def test_scaling_the_pages_changes_their_service_only() -> None:
    world = World(middleware("m", errors={"service": {"name": "web", "port": 80}}), *web())
    assert world.apply(endpoints("web", "10.1.0.1", "10.1.0.2")) == {"default-m-errorpage-service"}


def test_pages_of_another_name_take_the_old_service_away() -> None:
    world = World(middleware("m", errors={"service": {"name": "web", "port": 80}}), *web())
    world.apply(middleware("m", errors={"service": {"name": "x@file", "kind": "TraefikService"}}))
    assert world.services() == {}


def test_a_member_of_a_chain_may_come_later() -> None:
    world = World(middleware("all", chain={"middlewares": [{"name": "a"}]}))
    assert world.reasons() == {"MiddlewareNotFound"}
    world.apply(middleware("a", addPrefix={"prefix": "/a"}))
    assert world.reasons() == set()


def test_a_secret_that_nobody_reads_changes_nothing() -> None:
    world = World(middleware("m", basicAuth={"secret": "users"}), secret("users", users="a:b"))
    assert world.apply(secret("other", users="c:d")) == set()
    assert world.apply(service("unused", 80)) == set()


def test_a_middleware_waits_for_a_secret_that_is_not_fetched_yet() -> None:
    world = World()
    world.store.expect(KINDS["Secret"])
    world.builder.update(world.store, world.store.take_changed())
    world.store.insert(
        KINDS["Middleware"], from_plain(KINDS["Middleware"], middleware("m", basicAuth={"secret": "users"}))
    )
    world.builder.update(world.store, world.store.take_changed())
    key = ObjectKey("Middleware", "default", "m")
    assert world.builder.pending[key] == {ObjectKey("Secret", "default", "users")}
    assert world.reasons() == set()
