"""List, page and watch: what the in-memory API server and a real one do alike."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.kube.cluster import (
    MERGE,
    SERVERS,
    WIDGETS,
    Cluster,
    maps,
    open_cluster,
    services,
    widget,
    widgets,
    with_query,
)

END_OF_INITIAL = {"k8s.io/initial-events-end": "true"}


@pytest.fixture(scope="module", params=SERVERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with open_cluster(request.param) as opened:
        yield opened


def names(answer: Any) -> list[str]:
    return [item["metadata"]["name"] for item in answer["items"]]


def version(document: Any) -> str:
    found: str = document["metadata"]["resourceVersion"]
    return found


def take(events: Generator[Any], count: int) -> list[tuple[str, str]]:
    """The next events as (type, name)."""
    return [(event["type"], event["object"]["metadata"]["name"]) for event in (next(events) for _ in range(count))]


@pytest.fixture
def namespace(cluster: Cluster) -> str:
    return cluster.namespace()


@pytest.fixture
def coloured(cluster: Cluster, namespace: str) -> str:
    """A namespace with widgets: a red, b blue, c red and owned by helm, d without labels."""
    for name, labels in (
        ("a", {"colour": "red"}),
        ("b", {"colour": "blue", "size": "2"}),
        ("c", {"colour": "red", "owner": "helm", "size": "10"}),
        ("d", None),
    ):
        body = {**widget(name), "metadata": {"name": name, "labels": labels}}
        cluster.expect(201, "POST", widgets(namespace), body)
    return namespace


# --- list -------------------------------------------------------------------------------------------------


def test_list_of_a_built_in_kind(cluster: Cluster, namespace: str) -> None:
    body = {"metadata": {"name": "one"}, "spec": {"ports": [{"port": 80}]}}
    created = cluster.expect(201, "POST", services(namespace), body)
    answer = cluster.expect(200, "GET", services(namespace))
    assert (answer["kind"], answer["apiVersion"]) == ("ServiceList", "v1")
    assert set(answer["metadata"]) == {"resourceVersion"}
    assert int(version(answer)) >= int(version(created))
    (item,) = answer["items"]
    assert "kind" not in item
    assert "apiVersion" not in item
    assert {**item, "kind": "Service", "apiVersion": "v1"} == created


def test_list_of_a_custom_kind(cluster: Cluster, namespace: str) -> None:
    created = cluster.create_widget(namespace, "one", size=1)
    answer = cluster.expect(200, "GET", widgets(namespace))
    assert (answer["kind"], answer["apiVersion"]) == ("WidgetList", "test.example/v1")
    assert answer["items"] == [created]


def test_list_is_sorted_and_cluster_wide(cluster: Cluster) -> None:
    first, second = cluster.namespace(), cluster.namespace()
    for where, name in ((second, "a"), (first, "b"), (first, "a")):
        cluster.create_widget(where, name)
    items = cluster.expect(200, "GET", WIDGETS)["items"]
    found = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in items]
    assert [pair for pair in found if pair[0] in (first, second)] == [(first, "a"), (first, "b"), (second, "a")]


def test_empty_list_is_an_empty_array(cluster: Cluster, namespace: str) -> None:
    assert cluster.expect(200, "GET", widgets(namespace))["items"] == []
    assert cluster.expect(200, "GET", services(namespace))["items"] == []
    assert cluster.expect(200, "GET", widgets("no-such-namespace"))["items"] == []


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("colour=red", "ac"),
        ("colour==red", "ac"),
        ("colour!=red", "bd"),
        ("owner!=helm", "abd"),
        ("colour", "abc"),
        ("!colour", "d"),
        ("colour in (red, blue)", "abc"),
        ("colour in (blue)", "b"),
        ("colour notin (red)", "bd"),
        ("colour notin (red,blue)", "d"),
        ("colour=red,owner!=helm", "a"),
        ("colour in (red),!owner", "a"),
        ("size>2", "c"),
        ("size<10", "b"),
        ("colour=", ""),
        (" colour = red , owner ", "c"),
        ("", "abcd"),
    ],
)
def test_label_selectors(cluster: Cluster, coloured: str, selector: str, expected: str) -> None:
    answer = cluster.expect(200, "GET", with_query(widgets(coloured), labelSelector=selector))
    assert "".join(names(answer)) == expected


@pytest.mark.parametrize("selector", ["a b", "a,", "-a=b", "a>x", "a=b c", ",", "a===b", "a in b", "a=(b)", "=b"])
def test_label_selectors_that_do_not_parse(cluster: Cluster, selector: str) -> None:
    status = cluster.expect(400, "GET", with_query(WIDGETS, labelSelector=selector))
    assert status["reason"] == "BadRequest"


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("metadata.name=b", "b"),
        ("metadata.name!=b", "acd"),
        ("metadata.name==b,metadata.namespace!=x", "b"),
        ("metadata.namespace=x", ""),
    ],
)
def test_field_selectors(cluster: Cluster, coloured: str, selector: str, expected: str) -> None:
    answer = cluster.expect(200, "GET", with_query(widgets(coloured), fieldSelector=selector))
    assert "".join(names(answer)) == expected


def test_field_selectors_of_single_kinds(cluster: Cluster, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/secrets"
    cluster.expect(201, "POST", path, {"metadata": {"name": "plain"}})
    cluster.expect(201, "POST", path, {"metadata": {"name": "typed"}, "type": "example.com/own"})
    assert names(cluster.expect(200, "GET", with_query(path, fieldSelector="type=example.com/own"))) == ["typed"]
    assert names(cluster.expect(200, "GET", with_query(path, fieldSelector="type!=example.com/own"))) == ["plain"]
    cluster.expect(400, "GET", with_query(path, fieldSelector="data.a=b"))
    cluster.expect(400, "GET", with_query(path, fieldSelector="type"))


# --- pages ------------------------------------------------------------------------------------------------


def test_pages_show_one_state(cluster: Cluster, namespace: str) -> None:
    for name in "abcde":
        cluster.create_widget(namespace, name)
    first = cluster.expect(200, "GET", with_query(widgets(namespace), limit=2))
    assert names(first) == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 3
    cluster.expect(200, "DELETE", widgets(namespace, "d"))
    cluster.create_widget(namespace, "c2")
    cluster.expect(200, "PATCH", widgets(namespace, "c"), {"spec": {"new": True}}, MERGE)
    token = first["metadata"]["continue"]
    second = cluster.expect(200, "GET", with_query(widgets(namespace), limit=2, _continue=token))
    assert names(second) == ["c", "d"]
    assert "new" not in second["items"][0]["spec"]
    assert version(second) == version(first)
    token = second["metadata"]["continue"]
    third = cluster.expect(200, "GET", with_query(widgets(namespace), limit=2, _continue=token))
    assert names(third) == ["e"]
    assert third["metadata"] == {"continue": "", "resourceVersion": version(first)}


def test_pages_with_a_selector(cluster: Cluster, coloured: str) -> None:
    query: dict[str, object] = {"limit": 1, "labelSelector": "colour=red"}
    first = cluster.expect(200, "GET", with_query(widgets(coloured), **query))
    assert names(first) == ["a"]
    assert "remainingItemCount" not in first["metadata"]
    token = first["metadata"]["continue"]
    second = cluster.expect(200, "GET", with_query(widgets(coloured), _continue=token, **query))
    assert names(second) == ["c"]


def test_limit_is_not_needed_or_not_used(cluster: Cluster, coloured: str) -> None:
    exact = cluster.expect(200, "GET", with_query(widgets(coloured), limit=4))
    assert exact["metadata"]["continue"] == ""
    negative = cluster.expect(200, "GET", with_query(widgets(coloured), limit=-1))
    assert len(negative["items"]) == 4


def test_bad_numbers_and_tokens(cluster: Cluster) -> None:
    for query in ({"limit": "x"}, {"resourceVersion": "x"}, {"_continue": "x"}):
        assert cluster.expect(400, "GET", with_query(WIDGETS, **query))["reason"] == "BadRequest"
    assert "reason" not in cluster.expect(500, "GET", with_query(WIDGETS, watch="true", resourceVersion="x"))


# --- versions of lists ------------------------------------------------------------------------------------


def test_list_at_a_version(cluster: Cluster, namespace: str) -> None:
    cluster.create_widget(namespace, "a")
    state = version(cluster.expect(200, "GET", widgets(namespace)))
    cluster.create_widget(namespace, "b")
    exact = {"resourceVersion": state, "resourceVersionMatch": "Exact"}
    answer = cluster.expect(200, "GET", with_query(widgets(namespace), **exact))
    assert (names(answer), version(answer)) == (["a"], state)
    not_older = {"resourceVersion": state, "resourceVersionMatch": "NotOlderThan"}
    answer = cluster.expect(200, "GET", with_query(widgets(namespace), **not_older))
    assert names(answer) == ["a", "b"]
    assert int(version(answer)) > int(state)


def test_list_at_a_version_that_is_still_to_come(cluster: Cluster) -> None:
    status = cluster.expect(504, "GET", with_query(WIDGETS, resourceVersion=10**9))
    assert status["reason"] == "Timeout"
    assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    assert status["details"]["retryAfterSeconds"] == 1


@pytest.mark.parametrize(
    "query",
    [
        {"resourceVersionMatch": "Exact"},
        {"resourceVersionMatch": "Exact", "resourceVersion": "0"},
        {"resourceVersionMatch": "Other", "resourceVersion": "1"},
        {"sendInitialEvents": "true"},
        {"watch": "true", "resourceVersionMatch": "NotOlderThan"},
        {"watch": "true", "sendInitialEvents": "true"},
        {"watch": "true", "sendInitialEvents": "true", "resourceVersionMatch": "Exact"},
    ],
)
def test_parameters_that_contradict_each_other(cluster: Cluster, query: dict[str, object]) -> None:
    status = cluster.expect(422, "GET", with_query(WIDGETS, **query))
    assert status["reason"] == "Invalid"
    assert status["details"]["kind"] == "ListOptions"


# --- watch ------------------------------------------------------------------------------------------------


def test_watch_from_a_version(cluster: Cluster, namespace: str) -> None:
    cluster.create_widget(namespace, "old")
    state = version(cluster.expect(200, "GET", widgets(namespace)))
    created = cluster.create_widget(namespace, "one", size=1)
    with cluster.watch(widgets(namespace), resourceVersion=state) as events:
        assert next(events) == {"type": "ADDED", "object": created}
        changed = cluster.expect(200, "PATCH", widgets(namespace, "one"), {"spec": {"size": 2}}, MERGE)
        assert next(events) == {"type": "MODIFIED", "object": changed}
        cluster.expect(200, "DELETE", widgets(namespace, "one"))
        deleted = next(events)
        assert deleted["type"] == "DELETED"
        assert deleted["object"]["spec"] == {"size": 2}
        assert int(version(deleted["object"])) > int(version(changed))


def test_events_of_built_in_kinds_carry_their_kind(cluster: Cluster, namespace: str) -> None:
    created = cluster.create_map(namespace, "one")
    with cluster.watch(maps(namespace)) as events:
        event = next(events)
    assert event == {"type": "ADDED", "object": created}
    assert event["object"]["kind"] == "ConfigMap"


@pytest.mark.parametrize("query", [{}, {"resourceVersion": "0"}])
def test_watch_without_a_version_begins_with_what_is_there(
    cluster: Cluster, namespace: str, query: dict[str, object]
) -> None:
    for name in "ab":
        cluster.create_widget(namespace, name)
    with cluster.watch(widgets(namespace), **query) as events:
        assert sorted(take(events, 2)) == [("ADDED", "a"), ("ADDED", "b")]
        cluster.create_widget(namespace, "c")
        assert take(events, 1) == [("ADDED", "c")]


def test_watch_sees_objects_come_into_and_leave_its_selection(cluster: Cluster, namespace: str) -> None:
    state = version(cluster.expect(200, "GET", widgets(namespace)))
    with cluster.watch(widgets(namespace), resourceVersion=state, labelSelector="owner!=helm") as events:
        for colour in ("red", "blue"):
            cluster.create_widget(namespace, colour)
        path = widgets(namespace, "red")
        last = cluster.expect(200, "PATCH", path, {"metadata": {"labels": {"owner": "helm"}}}, MERGE)
        cluster.expect(200, "PATCH", path, {"spec": {"unseen": True}}, MERGE)
        cluster.expect(200, "PATCH", path, {"metadata": {"labels": None}}, MERGE)
        cluster.expect(200, "PATCH", widgets(namespace, "blue"), {"spec": {"size": 1}}, MERGE)
        assert take(events, 2) == [("ADDED", "red"), ("ADDED", "blue")]
        gone = next(events)
        assert (gone["type"], gone["object"]["metadata"]["name"]) == ("DELETED", "red")
        assert "labels" not in gone["object"]["metadata"]
        assert version(gone["object"]) == version(last)
        assert take(events, 2) == [("ADDED", "red"), ("MODIFIED", "blue")]


def test_watch_of_one_object(cluster: Cluster, namespace: str) -> None:
    for name in "ab":
        cluster.create_widget(namespace, name)
    with cluster.watch(widgets(namespace), fieldSelector="metadata.name=b") as events:
        assert take(events, 1) == [("ADDED", "b")]
        for name in "ab":
            cluster.expect(200, "DELETE", widgets(namespace, name))
        assert take(events, 1) == [("DELETED", "b")]


def test_watch_of_one_namespace(cluster: Cluster, namespace: str) -> None:
    state = version(cluster.expect(200, "GET", WIDGETS))
    other = cluster.namespace()
    with cluster.watch(widgets(namespace), resourceVersion=state) as events:
        cluster.create_widget(other, "there")
        cluster.create_widget(namespace, "here")
        assert take(events, 1) == [("ADDED", "here")]


def test_watch_from_a_version_that_is_still_to_come(cluster: Cluster, namespace: str) -> None:
    """Nothing comes, not even what happens meanwhile: as after a cluster was restored from a backup."""
    newest = version(cluster.create_widget(namespace, "a"))
    query: dict[str, object] = {"timeoutSeconds": 1, "resourceVersion": int(newest) + 10**6}
    with cluster.watch(widgets(namespace), **query) as events:
        writer = threading.Timer(0.3, cluster.create_widget, (namespace, "b"))
        writer.start()
        assert list(events) == []
        writer.join()


def test_streaming_list_of_a_version_that_is_still_to_come(cluster: Cluster, namespace: str) -> None:
    newest = version(cluster.create_widget(namespace, "a"))
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "resourceVersion": int(newest) + 10**6,
    }
    with cluster.watch(widgets(namespace), **query) as events:
        (event,) = events
    assert event["type"] == "ERROR"
    status = event["object"]
    assert (status["code"], status["reason"]) == (504, "Timeout")
    assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_watch_ends_after_its_timeout(cluster: Cluster, namespace: str) -> None:
    cluster.create_widget(namespace, "a")
    with cluster.watch(widgets(namespace), timeoutSeconds=1) as events:
        assert [event["type"] for event in events] == ["ADDED"]


def test_bookmarks_come_before_the_timeout(cluster: Cluster, namespace: str) -> None:
    created = cluster.create_widget(namespace, "a")
    query = {"timeoutSeconds": 4, "allowWatchBookmarks": "true", "resourceVersion": version(created)}
    with cluster.watch(widgets(namespace), **query) as events:
        cluster.create_widget(namespace, "b")
        assert take(events, 1) == [("ADDED", "b")]
        elsewhere = cluster.create_widget(cluster.namespace(), "c")
        *_, last = events
    assert last["type"] == "BOOKMARK"
    assert (last["object"]["kind"], last["object"]["apiVersion"]) == ("Widget", "test.example/v1")
    assert int(version(last["object"])) >= int(version(elsewhere))
    assert "annotations" not in last["object"]["metadata"]


def streamed(event: Any) -> Any:
    """The event, unless this server refuses streaming lists for want of a newer etcd."""
    if event["type"] == "ERROR" and "RequestWatchProgress" in event["object"]["message"]:
        pytest.skip("the etcd of this server is too old for streaming lists")
    return event


def test_streaming_list(cluster: Cluster, namespace: str) -> None:
    for name in "ab":
        created = cluster.create_widget(namespace, name)
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    with cluster.watch(widgets(namespace), **query) as events:
        first = streamed(next(events))["object"]["metadata"]["name"]
        assert sorted([("ADDED", first), *take(events, 1)]) == [("ADDED", "a"), ("ADDED", "b")]
        bookmark = next(events)
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["annotations"] == END_OF_INITIAL
        assert int(version(bookmark["object"])) >= int(version(created))
        cluster.create_widget(namespace, "c")
        assert take(events, 1) == [("ADDED", "c")]


def test_streaming_list_of_nothing(cluster: Cluster, namespace: str) -> None:
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": 5,
    }
    with cluster.watch(maps(namespace), labelSelector="no=thing", **query) as events:
        bookmark = streamed(next(events))
    assert bookmark["object"]["metadata"]["annotations"] == END_OF_INITIAL
    assert bookmark["object"]["kind"] == "ConfigMap"


def test_no_initial_events_when_not_wanted(cluster: Cluster, namespace: str) -> None:
    state = version(cluster.create_widget(namespace, "a"))
    query = {
        "sendInitialEvents": "false",
        "resourceVersionMatch": "NotOlderThan",
        "resourceVersion": state,
    }
    with cluster.watch(widgets(namespace), **query) as events:
        cluster.create_widget(namespace, "b")
        assert take(events, 1) == [("ADDED", "b")]


# --- compaction -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", SERVERS)
def test_compaction(which: str) -> None:
    """One test for all its effects, with a server of its own: a real one is restarted for it."""
    with open_cluster(which) as cluster:
        _check_compaction(cluster, cluster.namespace())


def _check_compaction(cluster: Cluster, namespace: str) -> None:
    for name in "abc":
        cluster.create_widget(namespace, name)
    page = cluster.expect(200, "GET", with_query(widgets(namespace), limit=1))
    state, token = version(page), page["metadata"]["continue"]
    cluster.expect(200, "DELETE", widgets(namespace, "b"))
    cluster.compact()

    with cluster.watch(widgets(namespace), resourceVersion=state) as events:
        (event,) = list(events)
    assert event["type"] == "ERROR"
    status = event["object"]
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
    assert status["message"].startswith(f"too old resource version: {state} (")

    exact = {"resourceVersion": state, "resourceVersionMatch": "Exact"}
    assert cluster.expect(410, "GET", with_query(widgets(namespace), **exact))["reason"] == "Expired"
    not_older = {"resourceVersion": state, "resourceVersionMatch": "NotOlderThan"}
    assert names(cluster.expect(200, "GET", with_query(widgets(namespace), **not_older))) == ["a", "c"]

    gone = cluster.expect(410, "GET", with_query(widgets(namespace), limit=1, _continue=token))
    assert gone["reason"] == "Expired"
    rest = with_query(widgets(namespace), limit=5, _continue=gone["metadata"]["continue"])
    assert names(cluster.expect(200, "GET", rest)) == ["c"]

    newest = version(cluster.expect(200, "GET", widgets(namespace)))
    with cluster.watch(widgets(namespace), resourceVersion=newest) as events:
        cluster.create_widget(namespace, "d")
        assert take(events, 1) == [("ADDED", "d")]


# --- discovery --------------------------------------------------------------------------------------------


def test_discovery(cluster: Cluster) -> None:
    assert cluster.expect(200, "GET", "/api")["versions"] == ["v1"]
    groups = {group["name"]: group for group in cluster.expect(200, "GET", "/apis")["groups"]}
    assert groups["test.example"] == {
        "name": "test.example",
        "versions": [{"groupVersion": "test.example/v1", "version": "v1"}],
        "preferredVersion": {"groupVersion": "test.example/v1", "version": "v1"},
    }
    assert cluster.expect(200, "GET", "/apis/test.example")["name"] == "test.example"
    listed = cluster.expect(200, "GET", "/apis/test.example/v1")
    assert listed["groupVersion"] == "test.example/v1"
    resources = {resource["name"]: resource for resource in listed["resources"]}
    assert set(resources) == {"widgets", "widgets/status"}
    found = resources["widgets"]
    assert (found["kind"], found["namespaced"], found["singularName"]) == ("Widget", True, "widget")
    assert {"get", "list", "watch", "create", "update", "patch", "delete"} <= set(found["verbs"])


@pytest.mark.parametrize("group", ["/api/v1", "/apis/discovery.k8s.io/v1", "/apis/networking.k8s.io/v1"])
def test_discovery_of_built_in_kinds(cluster: Cluster, group: str) -> None:
    resources = {one["name"]: one for one in cluster.expect(200, "GET", group)["resources"]}
    expected = {
        "/api/v1": {"services": "Service", "services/status": "Service", "secrets": "Secret", "nodes": "Node"},
        "/apis/discovery.k8s.io/v1": {"endpointslices": "EndpointSlice"},
        "/apis/networking.k8s.io/v1": {"ingresses": "Ingress", "ingressclasses": "IngressClass"},
    }
    for name, kind in expected[group].items():
        assert resources[name]["kind"] == kind
    assert "secrets/status" not in resources


def test_health_and_version(cluster: Cluster) -> None:
    for path in ("/healthz", "/readyz", "/livez"):
        assert cluster.expect(200, "GET", path) == "ok"
    assert cluster.expect(200, "GET", "/version")["gitVersion"].startswith("v1.")
