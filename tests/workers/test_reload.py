"""A generation becomes the running configuration, or nothing happens."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest
from gevent import get_hub
from gevent.threadpool import ThreadPool

from config.findings import Finding
from config.generation import (
    GenerationRefused,
    Meta,
    RoutingShard,
    SectionKey,
    digest_of,
    encode_section,
    shard_of,
)
from config.generation_writing import write_generation
from config.http import Router, Server, Service
from tests.waiting import wait_until
from tests.workers.fakes import balancer, environment, router, servers
from workers.reload import Reloader
from workers.runtime import Runtime

P = "@kubernetescrd"


def generation(
    number: int, routers: dict[str, Router], services: dict[str, Service], endpoints: dict[str, list[Server]]
) -> int:
    """A sealed generation with each name in its shard."""
    shards: dict[int, RoutingShard] = {}
    for name, one in routers.items():
        shards.setdefault(shard_of(name), RoutingShard(routers={}, services={})).routers[name] = one
    for name, service in services.items():
        shards.setdefault(shard_of(name), RoutingShard(routers={}, services={})).services[name] = service
    values: dict[SectionKey, object] = {SectionKey("routing", key): shard for key, shard in shards.items()}
    for name, urls in endpoints.items():
        values[SectionKey("endpoints", shard_of(name))] = {name: urls}
    values[SectionKey("meta", 0)] = Meta(number=number, created_unix_seconds=1.0)
    rows = [(key, body := encode_section(value), digest_of(body)) for key, value in values.items()]
    return write_generation(number, rows)


class Bench:
    """A reloader and what it published."""

    def __init__(self) -> None:
        self.published: list[Runtime] = []
        self.reloader = Reloader(Runtime(environment()), self.published.append)

    def apply(self, descriptor: int) -> None:
        try:
            self.reloader.apply([descriptor])
        finally:
            os.close(descriptor)


@pytest.fixture
def bench() -> Bench:
    return Bench()


ROUTES = {f"r{number}{P}": router(f"Host(`h{number}`)") for number in range(40)}
SERVICES = {"s" + P: balancer()}
ENDPOINTS = {"s" + P: servers(1)}


def test_applied_and_published(bench: Bench) -> None:
    bench.apply(generation(5, ROUTES, SERVICES, ENDPOINTS))
    (made,) = bench.published
    assert made.number == 5
    assert len(made.tables["web"]) == 40
    assert bench.reloader.meta == Meta(number=5, created_unix_seconds=1.0)


def test_only_what_changed_is_compiled_again(bench: Bench) -> None:
    bench.apply(generation(1, ROUTES, SERVICES, ENDPOINTS))
    name = "r7" + P
    bench.apply(generation(2, ROUTES | {name: router("Host(`new`)")}, SERVICES, ENDPOINTS))
    first, second = bench.published
    fresh = [one for one in second.routers if second.routers[one] is not first.routers[one]]
    assert fresh == [name]


def test_other_servers_of_one_service_leave_everything_else_as_it_is(bench: Bench) -> None:
    def one_more(number: int, ports: tuple[int, ...]) -> int:
        """All endpoints in one shard, as neighbours of a changed service are."""
        key, value = SectionKey("endpoints", 0), {"s" + P: servers(*ports), "t" + P: servers(8)}
        routing = RoutingShard(routers=ROUTES, services={name + P: balancer() for name in "st"})
        meta = Meta(number=number, created_unix_seconds=1.0)
        values = {key: value, SectionKey("routing", 0): routing, SectionKey("meta", 0): meta}
        return write_generation(
            number, [(key, body := encode_section(one), digest_of(body)) for key, one in values.items()]
        )

    bench.apply(one_more(1, (1, 2)))
    first = bench.reloader.runtime
    neighbour, kept = first.endpoints["t" + P], first.services["s" + P].balanced
    assert kept is not None
    before, stays = kept.balancer, kept.balancer.candidates[1]
    bench.apply(one_more(2, (2, 3)))
    second = bench.reloader.runtime
    assert kept.balancer is not before
    assert kept.balancer.candidates[0] is stays, "what is known of a server that stays is kept"
    assert second.services["s" + P].servers == servers(2, 3)
    assert second.endpoints["t" + P] is neighbour
    shared = ("configured", "routers", "services", "middlewares", "tables", "books", "monitors", "tcp")
    assert {name for name in shared if getattr(second, name) is getattr(first, name)} >= {*shared} - {
        "tables",
        "books",
    }
    assert second.tables["web"] is first.tables["web"]


def test_what_is_gone_is_gone(bench: Bench) -> None:
    bench.apply(generation(1, ROUTES, SERVICES, ENDPOINTS))
    bench.apply(generation(2, {}, {}, {}))
    last = bench.published[-1]
    assert not last.routers
    assert not last.services
    assert not len(last.tables["web"])


def test_a_bad_section_leaves_everything_as_it_was(bench: Bench) -> None:
    bench.apply(generation(1, ROUTES, SERVICES, ENDPOINTS))
    before = bench.reloader.runtime
    body = encode_section({"routers": {"r": 1}})
    meta = encode_section(Meta(number=2, created_unix_seconds=0))
    rows = [
        (SectionKey("meta", 0), meta, digest_of(meta)),
        (SectionKey("routing", 0), body, digest_of(body)),
    ]
    with pytest.raises(GenerationRefused):
        bench.apply(write_generation(2, rows))
    assert bench.reloader.runtime is before
    bench.apply(generation(3, {}, SERVICES, ENDPOINTS))
    assert not bench.published[-1].routers


def test_servers_survive_their_routes(bench: Bench) -> None:
    bench.apply(generation(1, {}, {}, ENDPOINTS))
    bench.apply(generation(2, ROUTES, SERVICES, ENDPOINTS))
    assert bench.published[-1].services["s" + P].servers == ENDPOINTS["s" + P]


def with_findings(number: int, *findings: Finding) -> int:
    """A generation that holds nothing but findings, each in the shard of its object's name."""
    shards: dict[int, list[Finding]] = {}
    for finding in findings:
        shards.setdefault(shard_of(finding.name), []).append(finding)
    values: dict[SectionKey, object] = {SectionKey("findings", key): shard for key, shard in shards.items()}
    values[SectionKey("meta", 0)] = Meta(number=number, created_unix_seconds=1.0)
    return write_generation(
        number, [(key, body := encode_section(one), digest_of(body)) for key, one in values.items()]
    )


def finding(name: str, message: str = "wrong") -> Finding:
    return Finding(kind="K", namespace="n", name=name, severity="error", reason="R", message=message)


def test_findings_are_decoded_when_asked_for(bench: Bench) -> None:
    assert bench.reloader.findings() == []
    bench.apply(with_findings(1, finding("a"), finding("b")))
    first = {one.name: one for one in bench.reloader.findings()}
    assert sorted(first) == ["a", "b"]
    bench.apply(with_findings(2, finding("a"), finding("b", "still wrong"), finding("c")))
    second = {one.name: one for one in bench.reloader.findings()}
    assert second["b"].message == "still wrong"
    assert second["a"] is first["a"], "an unchanged shard is not decoded again"
    bench.apply(with_findings(3))
    assert bench.reloader.findings() == []


def generations_open(numbers: Iterable[int]) -> int:
    """Of these, which other tests do not use: what those have left goes when it likes."""
    links, found = Path("/proc/self/fd"), 0
    names = {f"/memfd:pointsman-generation-{number} (deleted)" for number in numbers}
    for one in os.listdir(links):
        with suppress(OSError):  # that of the listing itself
            found += os.readlink(links / one) in names
    return found


def test_generations_are_not_held_for_ever(bench: Bench) -> None:
    numbers = range(101, 140)
    for number in numbers:
        bench.apply(with_findings(number, finding("a", str(number))))
    wait_until(lambda: generations_open(numbers) == 1, pause=gevent.sleep)  # closed by threads
    assert [one.message for one in bench.reloader.findings()] == ["139"], "the newest is open for its findings"


def test_the_end_of_a_change_does_not_wait_for_what_is_let_go(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []
    monkeypatch.setattr("workers.reload._close", lambda generation: closed.append(generation.number))
    for number in (201, 202):
        bench.apply(with_findings(number))
        assert not closed
    wait_until(lambda: closed == [201], pause=gevent.sleep)


def test_a_reloader_that_nobody_has_leaves_nothing_open() -> None:
    bench = Bench()
    bench.apply(with_findings(301))
    assert generations_open([301]) == 1
    del bench
    assert generations_open([301]) == 0


class NoThreads(ThreadPool):  # type: ignore[misc]
    """On a system that allows no more of them."""

    def _add_thread(self) -> None:
        raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("fails", [False, True])
def test_a_change_does_not_wait_for_threads(bench: Bench, fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them may be busy with passwords, or the system may allow no more."""
    pool, go_on = NoThreads(10) if fails else ThreadPool(1), threading.Event()
    busy = [] if fails else [pool.spawn(go_on.wait) for _ in range(2)]
    monkeypatch.setattr("workers.reload.get_hub", lambda: SimpleNamespace(threadpool=pool))
    numbers = range(401, 406)
    complaints: list[object] = []
    monkeypatch.setattr(type(get_hub()), "handle_error", lambda *error: complaints.append(error))
    try:
        for number in numbers:
            with gevent.Timeout(10):
                bench.apply(generation(number, ROUTES, SERVICES, {"s" + P: servers(number)}))
        assert [one.number for one in bench.published] == [*numbers]
        # Closed without a thread, in the end; the newest is open for its findings.
        wait_until(lambda: generations_open(numbers) == 1, pause=gevent.sleep)
        assert not complaints
    finally:
        go_on.set()
        gevent.joinall(busy)
        monkeypatch.undo()
        pool.kill()
