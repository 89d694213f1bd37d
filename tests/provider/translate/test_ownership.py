"""What a collision of names costs, and what it does not."""

from __future__ import annotations

import pytest

from config.findings import Finding
from provider.options import TranslationOptions
from provider.resources.decode import from_plain
from provider.resources.kinds import KINDS, ObjectKey
from provider.store import Store
from provider.translate.builder import Builder, build
from tests.provider.support import Json, endpoints, service
from tests.provider.translate.routes import custom

OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
"""`a/b-c` and `a-b/c` have the same name in every kind: `a-b-c`."""


def dated(plain: Json, created: str) -> Json:
    return {**plain, "metadata": {**plain["metadata"], "creationTimestamp": created}}


def auth(namespace: str, name: str, prefix: str, created: str) -> Json:
    return dated(custom("Middleware", name, namespace, addPrefix={"prefix": prefix}), created)


def victim(*middlewares: str) -> Json:
    """Two routes in `a-b`; the first has the middlewares."""
    to_web = [{"name": "web", "port": 80}]
    return custom(
        "IngressRoute",
        "shop",
        "a-b",
        routes=[
            {"match": "Host(`one`)", "services": to_web, "middlewares": [{"name": name} for name in middlewares]},
            {"match": "Host(`two`)", "services": to_web},
        ],
    )


WEB = [service("web", namespace="a-b"), endpoints("web", "10.1.0.1", namespace="a-b")]


class Stage:
    def __init__(self, *objects: Json, shares: bool = False) -> None:
        self.options = TranslationOptions(allow_cross_namespace=shares)
        self.store, self.builder = Store(), Builder(self.options)
        self.put(*objects)

    def put(self, *objects: Json) -> None:
        for plain in objects:
            kind = KINDS[plain["kind"]]
            self.store.insert(kind, from_plain(kind, plain))
        self._update()

    def remove(self, kind: str, namespace: str, name: str) -> None:
        self.store.remove(ObjectKey(kind, namespace, name))
        self._update()

    def _update(self) -> None:
        self.builder.update(self.store, self.store.take_changed())
        assert self.builder.result(self.store) == build(self.store, self.options)

    @property
    def rules(self) -> list[str]:
        return sorted(router.rule for router in self.builder.routers.values())

    @property
    def prefixes(self) -> list[str]:
        return [one.add_prefix.prefix for one in self.builder.sections["http.middlewares"].values()]

    @property
    def findings(self) -> list[Finding]:
        return self.builder.result(self.store).findings


def test_the_older_one_keeps_the_name_and_the_other_says_so() -> None:
    stage = Stage(*WEB, auth("a", "b-c", "/evil", NEW), auth("a-b", "c", "/good", OLD), victim("c"))
    assert stage.prefixes == ["/good"]
    assert stage.rules == ["Host(`one`)", "Host(`two`)"]
    (finding,) = stage.findings
    assert (finding.kind, finding.namespace, finding.name) == ("Middleware", "a", "b-c")
    assert (finding.reason, finding.field) == ("NameCollision", "metadata.name")
    assert "Middleware a-b/c, which is older" in finding.message


def test_who_refers_to_the_loser_is_not_led_to_the_winner() -> None:
    stage = Stage(*WEB, auth("a", "b-c", "/evil", OLD), auth("a-b", "c", "/good", NEW), victim("c"))
    assert stage.prefixes == ["/evil"]
    assert stage.rules == ["Host(`two`)"]
    assert [(one.name, one.field) for one in stage.findings] == [
        ("shop", "spec.routes[0].middlewares[0].name"),
        ("c", "metadata.name"),
    ]
    stage.remove("Middleware", "a", "b-c")
    assert stage.prefixes == ["/good"]
    assert stage.rules == ["Host(`one`)", "Host(`two`)"]
    assert stage.findings == []


def test_a_name_that_leads_nowhere_is_not_filled_by_a_neighbour() -> None:
    """Of an authentication whose Secret is missing nothing is put out; the neighbour's must not step in."""
    stage = Stage(*WEB, victim("c"), custom("Middleware", "c", "a-b", basicAuth={"secret": "absent"}))
    assert len(stage.rules) == 2
    stage.put(auth("a", "b-c", "/evil", NEW))
    assert stage.rules == ["Host(`two`)"]
    assert "NameCollision" in [one.reason for one in stage.findings]


def test_re_creation_hands_the_name_on() -> None:
    stage = Stage(auth("a", "b-c", "/one", OLD), auth("a-b", "c", "/two", NEW))
    assert stage.prefixes == ["/one"]
    stage.put(auth("a", "b-c", "/one", "2026-03-01T00:00:00Z"))
    assert stage.prefixes == ["/two"]
    assert [one.namespace for one in stage.findings] == ["a"]


@pytest.mark.parametrize("shares", [False, True])
def test_routers_services_and_their_children(shares: bool) -> None:
    """Of both the router, its weighted service and a child have the same names."""
    match = "Host(`shop`)"
    objects = [
        one
        for namespace, name, child, address in (("a", "b-c", "b-web", "10.1.0.1"), ("a-b", "c", "web", "10.1.0.2"))
        for one in (
            service(child, namespace=namespace),
            endpoints(child, address, namespace=namespace),
            dated(
                custom(
                    "IngressRoute",
                    name,
                    namespace,
                    routes=[{"match": match, "services": [{"name": child, "port": 80}] * 2}],
                ),
                OLD if namespace == "a-b" else NEW,
            ),
        )
    ]
    stage = Stage(*objects, shares=shares)
    assert len(stage.builder.routers) == 1
    servers = [
        server.url
        for one in stage.builder.services.values()
        if one.load_balancer
        for server in one.load_balancer.servers
    ]
    assert servers == ["http://10.1.0.2:8080"]
    assert {(one.namespace, one.reason) for one in stage.findings} == {("a", "NameCollision")}
    stage.remove("IngressRoute", "a-b", "c")
    assert [one.load_balancer.servers[0].url for one in stage.builder.services.values() if one.load_balancer] == [
        "http://10.1.0.1:8080"
    ]


def test_a_child_route_is_not_hung_under_a_strangers_parent() -> None:
    parent = [{"match": "Host(`p`)"}]
    child = custom(
        "IngressRoute",
        "child",
        "a-b",
        parentRefs=[{"name": "c"}],
        routes=[{"match": "Path(`/`)", "services": [{"name": "web", "port": 80}]}],
    )
    stage = Stage(*WEB, dated(custom("IngressRoute", "c", "a-b", routes=parent), NEW), child)
    assert len(stage.rules) == 2
    stage.put(dated(custom("IngressRoute", "b-c", "a", routes=parent), OLD))
    assert stage.rules == ["Host(`p`)"]
    assert {(one.name, one.reason) for one in stage.findings} == {
        ("c", "NameCollision"),
        ("child", "NameCollision"),
        ("b-c", "NoService"),
    }


def test_certificates_are_never_in_dispute() -> None:
    stage = Stage(auth("a", "b-c", "/x", OLD))
    assert stage.builder.sections["tls.certificates"].standing("a/b") is None
