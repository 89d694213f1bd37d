"""Which objects the reporter hears of, and when."""

from __future__ import annotations

import json
from typing import Any

from config.findings import Finding
from provider.kube.status import Verdict
from provider.options import TranslationOptions
from provider.resources.kinds import KINDS, ObjectKey
from provider.store import Store
from provider.verdicts import Verdicts
from tests.provider.support import route, rule

KEY = ObjectKey("IngressRoute", "default", "r")


def put(store: Store, generation: int = 1, **spec: Any) -> None:
    document = route("r", rule("Host(`a`)"), **spec)
    document["metadata"]["generation"] = generation
    store.insert_json(KINDS["IngressRoute"], json.dumps(document).encode())


def finding(name: str = "r", message: str = "wrong", kind: str = "IngressRoute") -> Finding:
    return Finding(kind=kind, namespace="default", name=name, severity="error", reason="R", message=message)


def test_an_object_that_changed() -> None:
    store, verdicts = Store(), Verdicts(TranslationOptions())
    put(store)
    nothing: list[Finding] = []
    assert verdicts.update(store, store.take_changed(), nothing) == {KEY: Verdict(1)}
    assert verdicts.update(store, store.take_changed(), nothing) == {}
    put(store, 2)
    assert verdicts.update(store, store.take_changed(), nothing) == {KEY: Verdict(2)}
    store.remove(KEY)
    assert verdicts.update(store, store.take_changed(), nothing) == {KEY: None}


def test_an_object_whose_findings_changed_though_it_did_not() -> None:
    store, verdicts = Store(), Verdicts(TranslationOptions())
    put(store, 7)
    verdicts.update(store, store.take_changed(), [])
    found = [finding(), finding("", kind="Service"), finding("s", kind="Manifest")]
    assert verdicts.update(store, (), found) == {KEY: Verdict(7, (found[0],))}
    assert verdicts.update(store, (), found) == {}
    assert verdicts.update(store, (), list(found)) == {}
    assert verdicts.update(store, (), []) == {KEY: Verdict(7)}


def test_an_unreadable_object_has_a_verdict_without_generation() -> None:
    assert Verdicts(TranslationOptions()).update(Store(), (), [finding()]) == {KEY: Verdict(0, (finding(),))}


def test_objects_of_another_class_are_not_ours() -> None:
    store, verdicts = Store(), Verdicts(TranslationOptions(ingress_class="inner"))
    put(store)
    assert verdicts.update(store, store.take_changed(), []) == {KEY: None}
    put(store, ingressClassName="inner")
    assert verdicts.update(store, store.take_changed(), []) == {KEY: Verdict(1)}


def test_what_waits_is_told_later() -> None:
    store, verdicts = Store(), Verdicts(TranslationOptions())
    put(store)
    nothing: list[Finding] = []
    assert verdicts.update(store, store.take_changed(), nothing, {KEY}) == {}
    assert verdicts.update(store, (), nothing, {KEY}) == {}
    assert verdicts.update(store, (), nothing) == {KEY: Verdict(1)}


def test_a_status_is_no_change_to_the_store() -> None:
    """So reports can never set off the build that makes the next report."""
    store = Store()
    put(store)
    store.take_changed()
    document = route("r", rule("Host(`a`)"))
    document["metadata"] |= {"generation": 1, "resourceVersion": "99", "managedFields": [{"manager": "pointsman"}]}
    document["status"] = {"conditions": [{"type": "Accepted", "status": "True"}]}
    assert not store.insert_json(KINDS["IngressRoute"], json.dumps(document).encode())
    assert not store.take_changed()
