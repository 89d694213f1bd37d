"""Both providers over one store: names apart, shards together."""

from __future__ import annotations

from typing import Any

from config.generation import SectionKey, decode_section
from config.names import PROVIDER_CRD, PROVIDER_INGRESS
from provider.options import TranslationOptions
from provider.pipelines import Pipelines
from provider.resources.decode import from_plain
from provider.resources.kinds import KINDS
from provider.store import Store
from tests.provider.support import Json, endpoints, route, rule, secret, service
from tests.provider.translate.test_ingress_changes import ingress

OPTIONS = {
    PROVIDER_CRD: TranslationOptions(),
    PROVIDER_INGRESS: TranslationOptions(section="providers.kubernetesIngress"),
}
WHOAMI = (service("whoami"), endpoints("whoami", "10.1.0.1"))


def stored(*objects: Json) -> Store:
    store = Store()
    for plain in objects:
        kind = KINDS[plain["kind"]]
        store.insert(kind, from_plain(kind, plain))
    return store


def merged(pipelines: Pipelines, section: str, member: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, (data, _) in pipelines.sections.encoded.items():
        if key.section == section:
            found.update(getattr(decode_section(key.section, data), member))
    return found


def test_each_provider_names_its_own() -> None:
    store = stored(*WHOAMI, route("x", rule("Host(`a`)", {"name": "whoami", "port": 80})), ingress("x"))
    pipelines = Pipelines(OPTIONS)
    assert not pipelines.update(store, store.take_changed())
    routers = merged(pipelines, "routing", "routers")
    assert {name.rpartition("@")[2] for name in routers} == {"kubernetescrd", "kubernetes"}
    assert routers["default-x-a-example@kubernetes"].service == "default-whoami-80"
    assert "default-whoami-80@kubernetes" in merged(pipelines, "routing", "services")


def test_a_change_that_both_read_reaches_both() -> None:
    store = stored(*WHOAMI, route("x", rule("Host(`a`)", {"name": "whoami", "port": 80})), ingress("x"))
    pipelines = Pipelines(OPTIONS)
    pipelines.update(store, store.take_changed())
    before = {key: digest for key, (_, digest) in pipelines.sections.encoded.items()}
    store.insert(KINDS["EndpointSlice"], from_plain(KINDS["EndpointSlice"], endpoints("whoami", "10.1.0.9")))
    pipelines.update(store, store.take_changed())
    after = {key: digest for key, (_, digest) in pipelines.sections.encoded.items()}
    changed = {key.section for key in after if after[key] != before.get(key)}
    assert changed == {"endpoints"}
    urls = [
        server.url
        for key, (data, _) in pipelines.sections.encoded.items()
        if key.section == "endpoints"
        for servers in decode_section(key.section, data).values()
        for server in servers
    ]
    assert urls == ["http://10.1.0.9:8080"] * 2


def test_findings_are_those_of_all() -> None:
    store = stored(route("x", rule("Host(`a`)", {"name": "none", "port": 80})), ingress("y", target="none"))
    pipelines = Pipelines(OPTIONS)
    assert pipelines.update(store, store.take_changed())
    assert [(one.kind, one.reason) for one in pipelines.findings()] == [
        ("Ingress", "ServiceNotFound"),
        ("IngressRoute", "ServiceNotFound"),
    ]


def test_one_certificate_of_both_is_there_once_and_stays_while_one_names_it() -> None:
    pair = secret("pair", **{"tls.crt": "chain", "tls.key": "key"})
    by_route = route("x", rule("Host(`a`)", {"name": "whoami", "port": 80}), tls={"secretName": "pair"})
    store = stored(*WHOAMI, pair, by_route, ingress("x", tls=[{"secretName": "pair"}]))
    pipelines = Pipelines(OPTIONS)
    pipelines.update(store, store.take_changed())
    assert set(merged(pipelines, "tls", "certificates")) == {"default/pair"}
    for kind in ("IngressRoute", "Ingress"):
        assert set(merged(pipelines, "tls", "certificates")) == {"default/pair"}
        store.remove(next(key for key in store.keys(kind)))
        pipelines.update(store, store.take_changed())
    assert merged(pipelines, "tls", "certificates") == {}
    assert not any(key.section == "routing" for key in pipelines.sections.encoded)


def test_one_provider_alone() -> None:
    store = stored(*WHOAMI, route("x", rule("Host(`a`)", {"name": "whoami", "port": 80})), ingress("x"))
    pipelines = Pipelines({PROVIDER_INGRESS: OPTIONS[PROVIDER_INGRESS]})
    pipelines.update(store, store.take_changed())
    assert set(merged(pipelines, "routing", "routers")) == {"default-x-a-example@kubernetes"}
    assert SectionKey("findings", 0) not in pipelines.sections.encoded
