"""Changed servers that a generation names apart: the same comes of it as of reading everything."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import generation_channel
from config.generation import (
    DELTA,
    META,
    Generation,
    GenerationRefused,
    Meta,
    SectionKey,
    digest_of,
    encode_section,
    shard_of,
)
from config.generation_writing import GenerationWriter
from config.http import LoadBalancer, Server, Service
from config.names import qualify
from provider.publish import MOST_IN_DELTA, Publisher, encode_delta
from provider.sections import Sections
from provider.translate.builder import Changes
from provider.translate.output import SERVICES
from tests.workers.fakes import environment, servers
from workers.reload import Reloader
from workers.runtime import Runtime

P = "kubernetescrd"


def crowded(count: int) -> list[str]:
    """Bare names of services, at least two of them in each of their shards."""
    by_shard: dict[int, list[str]] = {}
    for number in range(2000):
        by_shard.setdefault(shard_of(qualify(f"s{number}", P)), []).append(f"s{number}")
    return [name for names in sorted(by_shard.values()) for name in names[:2]][:count]


NAMES = crowded(8)
SERVERS = st.lists(st.integers(1, 3), max_size=2, unique=True)
STEPS = st.tuples(
    st.dictionaries(st.sampled_from(NAMES), st.none() | SERVERS, max_size=4),
    st.booleans(),  # whether the one that skips some takes it
)


class Control:
    """The provider's side: services with servers, each change of which is a generation."""

    def __init__(self) -> None:
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.settimeout(15)
        self.theirs = theirs
        self.publisher = Publisher(theirs, 0)
        self.sections = Sections()
        self.services: dict[str, Service] = {}
        self.builder: Any = SimpleNamespace(provider=P, sections={SERVICES: self.services})
        self.files: tuple[int, ...] = ()

    def change(self, services: Mapping[str, Sequence[int] | None]) -> None:
        """Ports of servers by name of a service; None: it goes."""
        changes = Changes()
        for name, ports in services.items():
            is_known = name in self.services
            if ports is None:
                self.services.pop(name, None)
                changes.names.setdefault(SERVICES, set()).add(name)
                continue
            balancer = LoadBalancer(pass_host_header=True, servers=servers(*ports))
            self.services[name] = Service(load_balancer=balancer)
            if is_known:
                changes.servers[name] = encode_section(balancer.servers)
            else:
                changes.names.setdefault(SERVICES, set()).add(name)
        self.sections.update(self.builder, changes)

    def publish(self) -> bool:
        """Whether there is something new, which `files` are then."""
        if not self.publisher.publish(self.sections, complete=True, sources=()):
            return False
        parcel = generation_channel.receive(self.ours)
        assert parcel is not None
        self._close_files()
        self.files = parcel.descriptors
        return True

    def generation(self) -> Generation:
        return Generation(self.files)

    def _close_files(self) -> None:
        for descriptor in self.files:
            os.close(descriptor)

    def close(self) -> None:
        self._close_files()
        self.publisher.close()
        self.ours.close()
        self.theirs.close()


@contextmanager
def controlled(**services: Sequence[int]) -> Iterator[Control]:
    """With these services published."""
    made = Control()
    try:
        made.change(services)
        made.publish()
        yield made
    finally:
        made.close()


@pytest.fixture
def control() -> Iterator[Control]:
    with controlled(**dict.fromkeys(NAMES, (1,))) as made:
        yield made


def reloader() -> Reloader:
    return Reloader(Runtime(environment()), lambda _: None)


def served(one: Reloader) -> tuple[dict[str, list[Server]], dict[str, list[Server]]]:
    """Servers by service, as they came and as they are used."""
    runtime = one.runtime
    return runtime.endpoints, {name: state.servers for name, state in runtime.services.items()}


def sections_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Sections whose bytes are read from now on."""
    read, checked = [], Generation._checked

    def noted(generation: Generation, key: SectionKey) -> bytes:
        read.append(key.section)
        return checked(generation, key)

    monkeypatch.setattr(Generation, "_checked", noted)
    return read


@given(st.lists(STEPS, max_size=10))
def test_a_history_comes_out_the_same_for_everybody(
    steps: list[tuple[dict[str, list[int] | None], bool]],
) -> None:
    with controlled() as control:
        follower, straggler = reloader(), reloader()
        for services, is_taken in [({}, True), *steps]:
            control.change(services)
            control.publish()
            follower.apply(control.files)
            if is_taken:
                straggler.apply(control.files)
            fresh = reloader()
            fresh.apply(control.files)
            assert served(follower) == served(fresh)
            assert follower._shards == fresh._shards
        straggler.apply(control.files)
        assert served(straggler) == served(fresh)
        assert straggler._shards == fresh._shards
        assert fresh.runtime.endpoints == {
            qualify(name, P): one.load_balancer.servers
            for name, one in control.services.items()
            if one.load_balancer is not None
        }


def test_other_servers_are_read_where_they_are_named(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    one = reloader()
    one.apply(control.files)
    kept = one.runtime.endpoints[qualify(NAMES[1], P)]
    control.change({NAMES[0]: (1, 2), NAMES[2]: (3,)})
    control.publish()
    read = sections_read(monkeypatch)
    one.apply(control.files)
    assert sorted(read) == ["delta", "meta"]
    assert one.runtime.endpoints[qualify(NAMES[0], P)] == servers(1, 2)
    assert one.runtime.services[qualify(NAMES[2], P)].servers == servers(3)
    assert one.runtime.endpoints[qualify(NAMES[1], P)] is kept


def test_servers_that_came_back_to_what_they_were_are_no_change(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are named with the next change: nothing that was named gets lost when nothing is published."""
    one = reloader()
    one.apply(control.files)
    before = one.runtime.endpoints[qualify(NAMES[0], P)]
    control.change({NAMES[0]: (2,)})
    control.change({NAMES[0]: (1,)})
    assert not control.publish()
    control.change({NAMES[1]: (2,)})
    assert control.publish()
    with control.generation() as generation:
        assert sorted(generation.read(DELTA).servers) == sorted(qualify(name, P) for name in NAMES[:2])
    given: list[dict[str, Any]] = []
    updated = Runtime.updated

    def noted(runtime: Runtime, number: int, changes: Any, pause: Any) -> Runtime:
        given.append(changes.endpoints)
        return updated(runtime, number, changes, pause)

    monkeypatch.setattr(Runtime, "updated", noted)
    one.apply(control.files)
    assert given == [{qualify(NAMES[1], P): servers(2)}]
    assert one.runtime.endpoints[qualify(NAMES[0], P)] is before


def test_who_has_skipped_a_generation_reads_what_differs(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = reloader()
    one.apply(control.files)
    for port, name in enumerate(NAMES[::2], 2):
        control.change({name: (port,)})
        control.publish()
    read = sections_read(monkeypatch)
    one.apply(control.files)
    assert read.count("endpoints") == 2 * len(NAMES[::2])
    assert one.runtime.endpoints[qualify(NAMES[0], P)] == servers(2)
    assert one.runtime.endpoints[qualify(NAMES[2], P)] == servers(3)


def test_the_first_generation_and_a_large_change_name_nothing_apart() -> None:
    names = [f"s{number}" for number in range(MOST_IN_DELTA + 1)]
    with controlled(**dict.fromkeys(names, (1,))) as control:
        with control.generation() as generation:
            assert DELTA not in generation.sections
        control.change(dict.fromkeys(names, (2,)))
        control.publish()
        with control.generation() as generation:
            assert DELTA not in generation.sections
        control.change(dict.fromkeys(names[1:], (3,)))
        control.publish()
        with control.generation() as generation:
            assert len(generation.read(DELTA).servers) == MOST_IN_DELTA
        assert not control.publish(), "a delta alone is no difference"


def test_one_that_fails_leaves_everything_as_it_was(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Runtime:
        raise ZeroDivisionError

    one, other = reloader(), reloader()
    one.apply(control.files)
    other.apply(control.files)
    control.change({NAMES[0]: (2,), NAMES[1]: None})
    control.publish()
    with monkeypatch.context() as patched:
        patched.setattr(Runtime, "updated", fail)
        with pytest.raises(ZeroDivisionError):
            one.apply(control.files)
    assert served(one) == served(other)
    assert one._shards == other._shards
    control.change({NAMES[2]: (2,)})
    control.publish()
    fresh = reloader()
    for each in (one, fresh):
        each.apply(control.files)
    assert served(one) == served(fresh)


class Written:
    """Generations with a delta of any content."""

    def __init__(self) -> None:
        self.writer = GenerationWriter()
        self.number = 0

    def write(self, endpoints: Mapping[str, list[Server]], delta: bytes | None = None) -> tuple[int, ...]:
        self.number += 1
        shards: dict[SectionKey, dict[str, list[Server]]] = {}
        for name, one in endpoints.items():
            shards.setdefault(SectionKey("endpoints", shard_of(name)), {})[name] = one
        bodies = {key: encode_section(value) for key, value in shards.items()}
        bodies[META] = encode_section(Meta(number=self.number, created_unix_seconds=0))
        if delta is not None:
            bodies[DELTA] = delta
        return self.writer.write(self.number, {key: (body, digest_of(body)) for key, body in bodies.items()})


@pytest.fixture
def written() -> Iterator[Written]:
    made = Written()
    yield made
    made.writer.close()


def entry(name: str, *ports: int) -> bytes:
    return encode_section(name) + encode_section(servers(*ports))


@pytest.mark.parametrize(("number", "digest"), [(1, bytes(16)), (0, None), (2, None)])
def test_one_against_another_generation_is_not_believed(
    written: Written, number: int, digest: bytes | None
) -> None:
    """As that of a provider whose predecessor had used the same number."""
    one = reloader()
    one.apply(written.write({"a": servers(1), "b": servers(1)}))
    delta = encode_delta(number, digest or written.writer.digest, {"a": entry("a", 9)})
    one.apply(written.write({"a": servers(2), "b": servers(1)}, delta))
    assert one.runtime.endpoints == {"a": servers(2), "b": servers(1)}


@pytest.mark.parametrize(
    "spoilt", [b"", b"\xc1", encode_section({"base": 1}), encode_section({"base": 1, "digest": "", "servers": 3})]
)
def test_one_that_cannot_be_read_is_refused(written: Written, spoilt: bytes) -> None:
    one = reloader()
    one.apply(written.write({"a": servers(1)}))
    with pytest.raises(GenerationRefused, match="section delta"):
        one.apply(written.write({"a": servers(2)}, spoilt))
    assert one.runtime.endpoints == {"a": servers(1)}


def test_servers_that_cannot_be_read_are_refused(written: Written) -> None:
    one = reloader()
    one.apply(written.write({"a": servers(1), "b": servers(1)}))
    entries = {"a": entry("a", 2), "b": encode_section("b") + encode_section([{"url": 7}])}
    delta = encode_delta(1, written.writer.digest, entries)
    with pytest.raises(GenerationRefused, match="section delta"):
        one.apply(written.write({"a": servers(2), "b": servers(2)}, delta))
    assert one.runtime.endpoints == {"a": servers(1), "b": servers(1)}
    one.apply(written.write({"a": servers(3)}))
    assert one.runtime.endpoints == {"a": servers(3)}
