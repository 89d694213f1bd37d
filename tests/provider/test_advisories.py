"""Advisories of the original, classes G (tenants of one cluster) and I (secrets): what must not be possible here.

The general laws about tenants are in tests/properties; these are the known ways around them, one by one.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.dynamic import SECTIONS, objects_in
from config.names import PROVIDER_INGRESS
from config.rules import RuleError, hosts_of, matchers_of, parse
from provider.findings import FindingLog
from provider.options import TranslationOptions
from provider.resources.core import Metadata
from provider.resources.decode import from_plain
from provider.resources.kinds import KINDS
from provider.sections import Sections
from provider.store import Store
from provider.translate.builder import Builder, BuildResult, build
from provider.translate.ingress_rules import PATH_MATCHERS, rule_of
from tests.provider.golden import store_of
from tests.provider.support import Json, endpoints, middleware, route, rule, service
from tests.provider.translate.middlewares import secret
from tests.provider.translate.routes import built, custom, names, reasons, web
from tests.provider.translate.test_grants import HOSTS_OBJECTS, REFERENCES, SERVICES

WEB = {"name": "web", "port": 80}
NASTY = st.text(st.sampled_from('`"\\|&()!{}*.,/ab \n\x00é'), max_size=20)


@given(NASTY.filter(bool), NASTY, st.sampled_from(PATH_MATCHERS), st.booleans())
@pytest.mark.behaviour("ADV-G-1")
def test_a_host_or_path_cannot_become_a_rule(host: str, path: str, matcher: str, strict: bool) -> None:
    """ADV-G-1: backticks in fields of which a rule is made (CVE-2026-29777, CVE-2026-32695)."""
    made = rule_of(host, f"/{path}", matcher, strict=strict)
    try:
        tree = parse(made)
    except RuleError:
        return  # no worker uses it
    bare = f"/{path}".removesuffix("/")
    for one in matchers_of(tree):
        if one.name == "Host":
            continue
        assert one.name in ("Path", matcher)
        assert one.args[0].decode() in (f"/{path}", bare, f"{bare}/")
    assert len(hosts_of(tree)) == 1


@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.behaviour("ADV-G-2")
def test_nothing_of_another_namespace_is_reached(reference: str) -> None:
    """ADV-G-2: every kind of reference, chains and children of services among them (CVE-2026-41174)."""
    referrer, _ = REFERENCES[reference]
    result = build(store_of([*SERVICES, *HOSTS_OBJECTS, referrer]), TranslationOptions())
    alone = build(store_of([*SERVICES, *HOSTS_OBJECTS]), TranslationOptions())
    assert "CrossNamespaceNotAllowed" in reasons(result)
    for section in SECTIONS:
        before, after = (objects_in(one.configuration, section) for one in (alone, result))
        added = {name: msgspec.json.encode(value).decode() for name, value in after.items() if name not in before}
        assert not any("host-" in text or "10.1.0.1" in text for text in added.values())
        if section.endswith("routers"):
            # of TCP and UDP routes the router stays when its service goes, and is disabled
            assert not added or reference in ("TCP route to Service", "UDP route to Service")


PLACES: dict[str, Any] = {
    "middleware": lambda name: route("r", rule("Host(`a`)", WEB, middlewares=[{"name": name}])),
    "service": lambda name: route("r", rule("Host(`a`)", {"name": name, "kind": "TraefikService"})),
    "one of two services": lambda name: route(
        "r", rule("Host(`a`)", WEB, {"name": name, "kind": "TraefikService"})
    ),
    "middleware of a service": lambda name: route(
        "r", rule("Host(`a`)", {**WEB, "middlewares": [{"name": name}]})
    ),
    "transport": lambda name: route("r", rule("Host(`a`)", {**WEB, "serversTransport": name})),
    "TLS options": lambda name: route("r", rule("Host(`a`)", WEB), tls={"options": {"name": name}}),
    "chain": lambda name: middleware("r", chain={"middlewares": [{"name": name}]}),
    "error page": lambda name: middleware(
        "r", errors={"status": ["500"], "service": {"name": name, "kind": "TraefikService"}}
    ),
    "child": lambda name: custom(
        "TraefikService", "r", weighted={"services": [{"name": name, "kind": "TraefikService"}]}
    ),
    "mirror": lambda name: custom(
        "TraefikService", "r", mirroring={**WEB, "mirrors": [{"name": name, "kind": "TraefikService"}]}
    ),
    "fallback": lambda name: custom(
        "TraefikService", "r", failover={"service": WEB, "fallback": {"name": name, "kind": "TraefikService"}}
    ),
    "TCP middleware": lambda name: _tcp(middlewares=[{"name": name}]),
    "TCP TLS options": lambda name: custom(
        "IngressRouteTCP",
        "r",
        routes=[{"match": "HostSNI(`a`)", "services": [WEB]}],
        tls={"options": {"name": name}},
    ),
    "TCP transport": lambda name: custom(
        "IngressRouteTCP",
        "r",
        routes=[{"match": "HostSNI(`*`)", "services": [{**WEB, "serversTransport": name}]}],
    ),
}


def _tcp(**more: Any) -> Json:
    return custom("IngressRouteTCP", "r", routes=[{"match": "HostSNI(`*`)", "services": [WEB], **more}])


def values(result: BuildResult) -> str:
    return msgspec.json.encode(result.configuration).decode()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["rest@internal", "api@internal", "x@file", "default-x@kubernetes"])
@pytest.mark.behaviour("ADV-G-3")
def test_other_providers_are_for_namespaces_that_may(place: str, name: str) -> None:
    """ADV-G-3: `rest@internal` and its kin, at every place where a name can stand (CVE-2026-44774, -65601)."""
    object_ = PLACES[place](name)
    refused = built(*web(), object_, cross_provider_namespaces=frozenset({"infra"}))
    assert "CrossProviderNotAllowed" in reasons(refused)
    assert name not in values(refused)
    allowed = built(*web(), object_, cross_provider_namespaces=frozenset({"default"}))
    assert name in values(allowed)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.behaviour("ADV-G-4")
def test_our_own_suffix_is_no_way_around_the_fence(place: str) -> None:
    """ADV-G-4: `host-x@kubernetescrd` names an object of any namespace (CVE-2026-71325)."""
    refused = built(*web(), PLACES[place]("host-x@kubernetescrd"))
    assert "CrossNamespaceNotAllowed" in reasons(refused)
    assert "host-x" not in values(refused)


AUTHENTICATIONS: dict[str, Json] = {
    "basic": {"basicAuth": {"secret": "users"}},
    "digest": {"digestAuth": {"secret": "users"}},
    "forward": {"forwardAuth": {"address": "https://auth.example", "tls": {"certSecret": "users"}}},
    "rate limit": {"rateLimit": {"average": 1, "redis": {"secret": "users"}}},
}
SECRETS: dict[str, list[Json]] = {
    "absent": [],
    "of another namespace": [secret("users", namespace="other", users="a:b")],
    "without keys": [secret("users")],
    "with too many keys": [secret("users", one="a:b", two="c:d", three="e")],
    "without a line": [secret("users", users="\n\n")],
}


@pytest.mark.parametrize("kind", AUTHENTICATIONS)
@pytest.mark.parametrize("state", SECRETS)
@pytest.mark.behaviour("ADV-G-5")
def test_an_authentication_without_its_secret_lets_nobody_in(kind: str, state: str) -> None:
    """ADV-G-5: the middleware goes, its name stays in the router, which the workers disable (CVE-2026-54762)."""
    guarded = route("r", rule("Host(`a`)", WEB, middlewares=[{"name": "auth"}]))
    result = built(*web(), *SECRETS[state], middleware("auth", **AUTHENTICATIONS[kind]), guarded)
    assert result.configuration.http.middlewares == {}
    assert [router.middlewares for router in result.configuration.http.routers.values()] == [["default-auth"]]
    assert any(finding.severity == "error" and finding.kind == "Middleware" for finding in result.findings)


@pytest.mark.parametrize("name", ["other/users", "../other/users", "other-users", "users@kubernetescrd", "", "."])
@pytest.mark.behaviour("ADV-G-6")
def test_no_spelling_leads_to_a_secret_of_another_namespace(name: str) -> None:
    """ADV-G-6: a Secret is looked for by its plain name in one namespace, whatever the name looks like."""
    theirs = [
        secret("users", namespace="other", users="planted:x"),
        secret("tls", namespace="other", tls__crt="planted"),
    ]
    objects = [
        middleware("auth", basicAuth={"secret": name}),
        route("r", rule("Host(`a`)", WEB), tls={"secretName": name}),
        middleware("p", plugin={"x": {"key": f"urn:k8s:secret:{name}:users"}}),
        custom("ServersTransport", "t", certificatesSecrets=[name], rootCAs=[{"secret": name}]),
    ]
    for options in ({}, {"allow_cross_namespace": True}):
        assert "planted" not in values(built(*web(), *theirs, *objects, **options))


OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
SERVED = [
    one
    for namespace, address in (("a", "10.1.0.1"), ("a-b", "10.1.0.2"))
    for one in (service("web", namespace=namespace), endpoints("web", address, namespace=namespace))
]
COLLIDING: dict[str, tuple[str, Json, Json]] = {
    "http.routers": ("IngressRoute", {"routes": [rule("Host(`a`)", WEB)]}, {"routes": [rule("Host(`a`)", WEB)]}),
    "tcp.routers": (
        "IngressRouteTCP",
        {"routes": [{"match": "HostSNI(`*`)", "services": [WEB]}]},
        {"routes": [{"match": "HostSNI(`*`)", "services": [WEB]}]},
    ),
    "udp.services": ("IngressRouteUDP", {"routes": [{"services": [WEB]}]}, {"routes": [{"services": [WEB]}]}),
    "http.middlewares": ("Middleware", {"addPrefix": {"prefix": "/a"}}, {"addPrefix": {"prefix": "/b"}}),
    "tcp.middlewares": (
        "MiddlewareTCP",
        {"ipAllowList": {"sourceRange": ["10.0.0.1"]}},
        {"inFlightConn": {"amount": 1}},
    ),
    "http.services": ("TraefikService", {"mirroring": WEB}, {"weighted": {"services": [WEB]}}),
    "http.serversTransports": ("ServersTransport", {"serverName": "a"}, {"serverName": "b"}),
    "tcp.serversTransports": ("ServersTransportTCP", {"dialTimeout": 1}, {"dialTimeout": 2}),
    "tls.options": ("TLSOption", {"sniStrict": True}, {}),
    "tls.stores": ("TLSStore", {"defaultGeneratedCert": {"resolver": "a"}}, {}),
}


@pytest.mark.parametrize("section", COLLIDING)
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.behaviour("ADV-G-7")
def test_nobody_takes_over_a_name_that_only_looks_like_his(section: str, across: bool) -> None:
    """ADV-G-7: `a/b-c` and `a-b/c` have one name; the older one keeps it, the other says so (CVE-2026-71327)."""
    kind, first, second = COLLIDING[section]
    attacker, victim = custom(kind, "b-c", "a", **first), custom(kind, "c", "a-b", **second)
    attacker["metadata"]["creationTimestamp"] = NEW
    victim["metadata"]["creationTimestamp"] = OLD
    alone = built(*SERVED, victim, allow_cross_namespace=across)
    assert names(alone, section)
    for order in ([attacker, victim], [victim, attacker]):
        result = built(*SERVED, *order, allow_cross_namespace=across)
        for name, value in objects_in(alone.configuration, section).items():
            assert objects_in(result.configuration, section)[name] == value
        collisions = [one for one in result.findings if one.reason == "NameCollision"]
        assert {(one.kind, one.namespace, one.name) for one in collisions} == {(kind, "a", "b-c")}


@pytest.mark.behaviour("ADV-G-8")
def test_the_catch_all_of_ingresses_stays_with_the_oldest() -> None:
    """ADV-G-8: what is one for the whole proxy is not taken by a namespace that sorts before the owner's."""

    def catch_all(namespace: str, created: str) -> Json:
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "all", "namespace": namespace, "creationTimestamp": created},
            "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
        }

    store = Store()
    for plain in (*SERVED, catch_all("a-b", OLD), catch_all("a", NEW)):
        kind = KINDS[plain["kind"]]
        store.insert(kind, from_plain(kind, plain))
    result = build(store, TranslationOptions(), PROVIDER_INGRESS)
    (one,) = result.configuration.http.services.values()
    assert one.load_balancer is not None
    assert one.load_balancer.servers[0].url == "http://10.1.0.2:8080"
    assert [(finding.namespace, finding.reason) for finding in result.findings] == [("a", "DefaultBackendTaken")]


PLANTED = "planted-Jx9Qw7"
HOLDERS: dict[str, Json] = {
    "basicAuth": {"basicAuth": {"secret": "s"}},
    "digestAuth": {"digestAuth": {"secret": "s"}},
    "forwardAuth": {"forwardAuth": {"address": "http://a", "tls": {"caSecret": "s", "certSecret": "s"}}},
    "redis": {"rateLimit": {"average": 1, "redis": {"secret": "s", "tls": {"caSecret": "s"}}}},
    "plugin": {"plugin": {"x": {"key": "urn:k8s:secret:s:users", "bad": "urn:k8s:secret:s"}}},
}
CONTENTS: dict[str, Json] = {
    "a line": secret("s", users=PLANTED),
    "htpasswd": secret("s", users=f"{PLANTED}:{PLANTED}:{PLANTED}"),
    "pair": secret("s", "kubernetes.io/basic-auth", username="u", password=PLANTED),
    "pair, half": secret("s", "kubernetes.io/basic-auth", password=PLANTED),
    "not text": secret("s", users=b"\xff" + PLANTED.encode()),
    "certificate": secret("s", tls__crt=PLANTED, tls__key=PLANTED, tls__ca=PLANTED),
    "many": secret("s", a=PLANTED, b=PLANTED, c=PLANTED),
}


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.behaviour("ADV-I-1")
def test_no_finding_or_log_line_shows_what_a_secret_holds(
    holder: str, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    """ADV-I-1: good or bad, a Secret is in nobody's messages (CVE-2022-23469)."""
    store = store_of([CONTENTS[content], middleware("m", **HOLDERS[holder])])
    with caplog.at_level(logging.DEBUG):
        result = build(store, TranslationOptions())
        FindingLog().update(result.findings)
    assert PLANTED not in caplog.text
    assert PLANTED not in "".join(map(str, result.findings))
    assert PLANTED not in repr(store.get("Secret", "default", "s"))


def published(*objects: Json) -> dict[str, bytes]:
    """Bytes of a generation by section."""
    store, builder, sections = store_of(list(objects)), Builder(TranslationOptions()), Sections()
    sections.update(builder, builder.build_all(store))
    sections.update_findings(builder.result(store).findings)
    found: dict[str, bytes] = {}
    for key, (data, _) in sections.encoded.items():
        found[key.section] = found.get(key.section, b"") + data
    return found


@pytest.mark.behaviour("ADV-I-2")
def test_only_what_workers_need_is_published() -> None:
    """ADV-I-2: a password leaves the provider hashed, and a Secret that nobody uses well does not leave it."""
    typed = secret("s", "kubernetes.io/basic-auth", username="u", password=PLANTED)
    planted = PLANTED.encode()
    sections = published(typed, middleware("m", basicAuth={"secret": "s"}))
    assert b"{SHA}" in sections["routing"]
    assert not any(planted in data for data in sections.values())
    unused = [secret(name, users=PLANTED, other=PLANTED) for name in ("s", "t")]
    sections = published(*unused, middleware("m", basicAuth={"secret": "s"}))
    assert set(sections) == {"findings"}
    assert planted not in sections["findings"]


@pytest.mark.behaviour("ADV-I-3")
def test_what_is_needed_is_where_it_is_needed_and_nowhere_else() -> None:
    """ADV-I-3: lines of users travel with the middleware, never with findings, endpoints or certificates."""
    lines = secret("s", users=f"{PLANTED}:x\nnonsense")
    sections = published(
        *web(), lines, middleware("m", basicAuth={"secret": "s"}), route("r", rule("Host(`a`)", WEB))
    )
    assert {name for name, data in sections.items() if PLANTED.encode() in data} == {"routing"}
    assert "findings" in sections


@pytest.mark.behaviour("ADV-I-4")
def test_annotations_of_others_are_not_kept() -> None:
    """ADV-I-4: kubectl's copy of a whole object, Secrets pasted by tools: nothing of it is in our memory."""
    plain = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default", "annotations": {"tool.example/token": PLANTED}},
        "spec": {"ports": [{"port": 80}]},
    }
    store = store_of([plain])
    found = store.service("default", "web")
    assert found is not None
    assert PLANTED not in repr(found)
    assert "annotations" not in {field.name for field in msgspec.structs.fields(Metadata)}
