"""An error of ours while one object is translated costs that object, and nothing else."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from config.names import PROVIDER_CRD
from provider.findings import Report
from provider.options import TranslationOptions
from provider.pipelines import Pipelines
from provider.resources.decode import from_plain, key_of
from provider.resources.kinds import KINDS, ObjectKey
from provider.store import Store
from provider.translate import builder
from provider.translate.output import Output
from provider.translate.view import View
from tests.provider.support import Json, endpoints, middleware, route, rule, service

TO_A = {"name": "a", "port": 80}
SECRET = "in-a-" + "Secret"
ORIGINAL = builder.TRANSLATORS["IngressRoute"]


def store_of(*objects: Json) -> Store:
    store = Store()
    for one in objects:
        kind = KINDS[one["kind"]]
        store.insert(kind, from_plain(kind, one))
    return store


def fails_for(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """The translator of IngressRoutes raises for these, after it has read what it reads."""

    def translate(view: View, resource: Any) -> Output:
        output = ORIGINAL(view, resource)
        if resource.metadata.name in names:
            raise KeyError(SECRET)
        return output

    monkeypatch.setitem(builder.TRANSLATORS, "IngressRoute", translate)


@pytest.fixture
def store() -> Store:
    return store_of(
        route("good", rule("Host(`good`)", TO_A)),
        route("bad", rule("Host(`bad`)", TO_A)),
        route("worse", rule("Host(`worse`)", TO_A)),
        middleware("m", addPrefix={"prefix": "/x"}),
        service("a"),
        endpoints("a", "10.0.0.1"),
    )


def router_names(made: builder.Builder) -> list[str]:
    return sorted(name.split("-")[1] for name in made.routers)


def test_the_object_gives_nothing_and_says_so_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    fails_for(monkeypatch, "bad", "worse")
    result = builder.build(store, TranslationOptions())
    assert [name.split("-")[1] for name in result.configuration.http.routers] == ["good"]
    assert "default-m" in result.configuration.http.middlewares
    found = {(one.name, one.reason, one.severity) for one in result.findings}
    assert found == {("bad", "InternalError", "error"), ("worse", "InternalError", "error")}
    assert "report this" in result.findings[0].advice
    records = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert len(records) == 1, "one place, one traceback"
    assert records[0].exc_info is not None
    assert SECRET not in caplog.text + str(result.findings), "the text of an exception is shown nowhere"


def test_it_was_served_before_and_is_not_any_more_until_it_works_again(
    monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    made = builder.Builder(TranslationOptions())
    made.update(store, store.take_changed())
    assert router_names(made) == ["bad", "good", "worse"]
    fails_for(monkeypatch, "bad")
    store.insert(KINDS["Service"], from_plain(KINDS["Service"], service("a", 80, 81)))
    changes = made.update(store, store.take_changed())
    assert router_names(made) == ["good", "worse"], "fails closed"
    assert ObjectKey("IngressRoute", "default", "bad") in changes.findings
    fails_for(monkeypatch)
    store.insert(KINDS["Service"], from_plain(KINDS["Service"], service("a", 80, 82)))
    made.update(store, store.take_changed())
    assert router_names(made) == ["bad", "good", "worse"], "what it reads is still followed"
    assert made.findings == {}


def test_an_object_that_cannot_be_encoded_does_not_reach_the_sections(
    monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    def translate(view: View, resource: Any) -> Output:
        output = ORIGINAL(view, resource)
        if resource.metadata.name == "bad":
            (name, value) = output.routers.popitem()
            object.__setattr__(value, "priority", 1 << 70)
            output.routers[name] = value
        return output

    monkeypatch.setitem(builder.TRANSLATORS, "IngressRoute", translate)
    pipelines = Pipelines({PROVIDER_CRD: TranslationOptions()})
    pipelines.update(store, store.take_changed())
    (finding,) = pipelines.findings()
    assert (finding.name, finding.reason) == ("bad", "InternalError")
    assert pipelines.sections.encoded


def test_a_deep_recursion_is_such_an_error(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    def translate(view: View, resource: Any) -> Output:
        return translate(view, resource) if resource.metadata.name == "bad" else ORIGINAL(view, resource)

    monkeypatch.setitem(builder.TRANSLATORS, "IngressRoute", translate)
    result = builder.build(store, TranslationOptions())
    assert {one.reason for one in result.findings} == {"InternalError"}
    assert len(result.configuration.http.routers) == 2


def test_findings_of_the_failed_attempt_do_not_stay(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    def translate(view: View, resource: Any) -> Output:
        output = Output(key_of(KINDS["IngressRoute"], resource), Report(key_of(KINDS["IngressRoute"], resource)))
        output.report.warning("Half", "half done")
        raise ValueError

    monkeypatch.setitem(builder.TRANSLATORS, "IngressRoute", translate)
    assert {one.reason for one in builder.build(store, TranslationOptions()).findings} == {"InternalError"}
