"""Playbooks for the list-then-watch machine: what the server says, what the machine does next."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.kube.errors import Forbidden, Gone, KindMissing, ServerTrouble, TooManyRequests, Unreachable
from provider.kube.watch import (
    LONGEST_PAUSE_SECONDS,
    FetchPage,
    LineSplitter,
    ListWatch,
    OpenWatch,
    Pause,
    Put,
    Removed,
    Snapshot,
)
from provider.resources.core import Secret, Unread
from provider.resources.decode import Malformed
from provider.resources.kinds import INGRESS_ROUTE, SECRET, SERVICE, ObjectKey
from tests.provider.support import route, rule, secret, service


def machine(selector: str = "", namespace: str = "") -> ListWatch:
    return ListWatch(SERVICE, namespace, random.Random(1), selector)


def page(*names: str, version: str = "10", more: str = "") -> bytes:
    metadata = {"resourceVersion": version} | ({"continue": more} if more else {})
    return json.dumps({"metadata": metadata, "items": [service(name) for name in names]}).encode()


def event(kind: str, name: str, version: str) -> bytes:
    document = service(name)
    document["metadata"]["resourceVersion"] = version
    return json.dumps({"type": kind, "object": document}).encode()


def error_event(code: int, reason: str = "") -> bytes:
    status = {"kind": "Status", "code": code, "reason": reason, "message": "too old"}
    return json.dumps({"type": "ERROR", "object": status}).encode()


def query(step: Any) -> dict[str, str]:
    assert isinstance(step, FetchPage | OpenWatch)
    return dict(step.query)


def next_after_pause(machine: ListWatch, longest: float = LONGEST_PAUSE_SECONDS) -> FetchPage | OpenWatch:
    step = machine.next()
    assert isinstance(step, Pause)
    assert 0 < step.seconds <= longest
    step = machine.next()
    assert not isinstance(step, Pause)
    return step


def listed(*names: str) -> ListWatch:
    one = machine()
    one.next()
    assert isinstance(one.page(page(*names)), Snapshot)
    return one


def names(snapshot: Snapshot | None) -> list[str]:
    assert snapshot is not None
    return [resource.metadata.name for resource in snapshot.objects]


def test_pages_are_gathered_into_one_snapshot() -> None:
    one = machine(selector="app=x")
    assert query(one.next()) == {"labelSelector": "app=x", "limit": "500"}
    assert one.page(page("a", "b", more="tok")) is None
    assert query(one.next()) == {"labelSelector": "app=x", "limit": "500", "continue": "tok"}
    seen = [one.synced]
    assert names(one.page(page("c", version="12"))) == ["a", "b", "c"]
    seen.append(one.synced)
    assert seen == [False, True]
    step = one.next()
    assert isinstance(step, OpenWatch)
    assert 300 <= step.timeout_seconds <= 600
    assert query(step) == {
        "labelSelector": "app=x",
        "watch": "true",
        "resourceVersion": "12",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(step.timeout_seconds),
    }


def test_a_continue_token_that_is_gone_starts_the_list_over() -> None:
    one = machine()
    one.next()
    one.page(page("a", more="tok"))
    one.failed(Gone("expired"))
    assert query(next_after_pause(one)) == {"limit": "500"}
    assert names(one.page(page("b"))) == ["b"]


def test_events_move_the_version_and_bookmarks_too() -> None:
    one = listed("a")
    one.next()
    put = one.line(event("ADDED", "b", "11"))
    assert isinstance(put, Put)
    assert put.resource.metadata.name == "b"
    assert isinstance(one.line(event("MODIFIED", "b", "12")), Put)
    assert one.line(event("DELETED", "b", "13")) == Removed(ObjectKey("Service", "default", "b"))
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "99"}}}
    assert one.line(json.dumps(bookmark).encode()) is None
    one.ended(300)
    assert query(one.next())["resourceVersion"] == "99"


def test_a_broken_stream_resumes_without_a_list() -> None:
    one = listed("a")
    one.next()
    one.line(event("ADDED", "b", "11"))
    one.failed(Unreachable("reset"), lived_seconds=40)
    assert query(next_after_pause(one, longest=0.2))["resourceVersion"] == "11"
    for _ in range(3):
        one.failed(Unreachable("refused"))
        assert query(next_after_pause(one))["resourceVersion"] == "11"


@pytest.mark.parametrize("line", [error_event(410), error_event(500, "Expired"), error_event(0, "Gone")])
def test_an_error_event_that_says_gone_lists_again(line: bytes) -> None:
    one = listed("a")
    one.next()
    with pytest.raises(Gone) as caught:
        one.line(line)
    one.failed(caught.value)
    assert query(next_after_pause(one)) == {"limit": "500"}
    assert names(one.page(page("z", version="50"))) == ["z"]


def test_other_error_events_resume_and_list_only_when_they_last() -> None:
    one = listed("a")
    for _ in range(5):
        assert isinstance(one.next() if one.failures == 0 else next_after_pause(one), OpenWatch)
        with pytest.raises(ServerTrouble) as caught:
            one.line(error_event(504, "Timeout"))
        one.failed(caught.value)
    assert isinstance(next_after_pause(one), OpenWatch)
    one.failed(ServerTrouble("Too large resource version"))
    assert isinstance(next_after_pause(one), FetchPage)


def test_a_kind_that_vanished_is_listed_when_it_is_back() -> None:
    one = listed("a")
    one.next()
    one.failed(KindMissing("404", INGRESS_ROUTE))
    assert isinstance(next_after_pause(one), FetchPage)


def test_a_forbidden_watch_keeps_its_version() -> None:
    one = listed("a")
    one.next()
    one.failed(Forbidden("403", SERVICE, ""))
    assert query(next_after_pause(one))["resourceVersion"] == "10"


def test_pauses_double_with_jitter_up_to_half_a_minute() -> None:
    one = machine()
    pauses = []
    for _ in range(9):
        assert isinstance(one.next(), FetchPage)
        one.failed(Unreachable("refused"))
        step = one.next()
        assert isinstance(step, Pause)
        pauses.append(step.seconds)
    for index, pause in enumerate(pauses):
        full = min(30.0, 0.8 * 2**index)
        assert 0.75 * full <= pause <= full
    assert len(set(pauses)) == len(pauses)


def test_retry_after_is_honoured_within_reason() -> None:
    one = machine()
    one.next()
    one.failed(TooManyRequests("slow", retry_after_seconds=17))
    assert one.next() == Pause(17)
    one.next()
    one.failed(TooManyRequests("slow", retry_after_seconds=10**6))
    assert one.next() == Pause(300)


def test_a_stream_that_ends_at_once_is_not_reopened_in_a_loop() -> None:
    one = listed()
    pauses = []
    for _ in range(4):
        assert isinstance(one.next(), OpenWatch)
        one.ended(0.0)
        step = one.next()
        assert isinstance(step, Pause)
        pauses.append(step.seconds)
    assert pauses == sorted(pauses)
    assert pauses[-1] > 1
    assert isinstance(one.next(), OpenWatch)
    one.ended(300)
    assert isinstance(one.next(), OpenWatch)


def test_a_sign_of_life_ends_the_back_off() -> None:
    one = listed()
    for _ in range(6):
        one.next()
        one.failed(Unreachable("refused"))
        one.next()
    one.next()
    one.line(event("ADDED", "b", "11"))
    one.failed(Unreachable("reset"))
    step = one.next()
    assert isinstance(step, Pause)
    assert step.seconds <= 0.2


def test_malformed_objects_stand_in_their_place() -> None:
    one = ListWatch(INGRESS_ROUTE, "", random.Random(1))
    one.next()
    good, bad = route("good", rule("Host(`a`)")), route("bad", rule("Host(`a`)", priority="x"))
    body = json.dumps({"metadata": {"resourceVersion": "1"}, "items": [bad, good]}).encode()
    snapshot = one.page(body)
    assert snapshot is not None
    assert isinstance(snapshot.objects[0], Malformed)
    assert snapshot.objects[1].metadata.name == "good"
    put = one.line(json.dumps({"type": "MODIFIED", "object": bad}).encode())
    assert isinstance(put, Put)
    assert isinstance(put.resource, Malformed)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"items": [{"metadata": 1}]}', b'{"metadata": {}}'])
def test_a_body_that_is_no_list_is_trouble(body: bytes) -> None:
    one = machine()
    one.next()
    with pytest.raises(ServerTrouble) as caught:
        one.page(body)
    one.failed(caught.value)
    assert query(next_after_pause(one)) == {"limit": "500"}


@given(st.binary(max_size=80) | st.sampled_from([b"{}", b'{"type":"ADDED","object":{}}', b'{"type":"ERROR"}']))
def test_a_line_gives_a_change_or_our_error(line: bytes) -> None:
    one = listed()
    one.next()
    try:
        assert one.line(line) is None or line
    except ServerTrouble:
        assert query(one.next())["resourceVersion"] == "10"


@given(st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"")), max_size=8), st.data())
def test_lines_do_not_depend_on_how_bytes_arrive(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    splitter, found = LineSplitter(), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        found += splitter.feed(stream[:cut])
        stream = stream[cut:]
    assert found == [line for line in lines if line]


def test_a_line_without_end_is_refused() -> None:
    splitter = LineSplitter(largest_bytes=100)
    splitter.feed(b"x" * 60)
    with pytest.raises(ServerTrouble):
        splitter.feed(b"x" * 60)


def test_of_objects_that_nobody_reads_only_the_name_is_kept() -> None:
    read = {ObjectKey("Secret", "default", "used")}
    watch = ListWatch(SECRET, "", random.Random(1), is_read=read.__contains__)
    items = [secret("used", key="1"), secret("unused", key="2")]
    body = json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}).encode()
    snapshot = watch.page(body)
    assert snapshot is not None
    used, unused = snapshot.objects
    assert isinstance(used, Secret)
    assert used.data == {"key": b"1"}
    assert isinstance(unused, Unread)
    line = json.dumps({"type": "MODIFIED", "object": secret("unused", key="3")}).encode()
    change = watch.line(line)
    assert isinstance(change, Put)
    assert isinstance(change.resource, Unread)
    read.add(ObjectKey("Secret", "default", "unused"))
    change = watch.line(line)
    assert isinstance(change, Put)
    assert change.resource.data == {"key": b"3"}
