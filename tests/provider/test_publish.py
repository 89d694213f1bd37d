"""Sections and generations: what changes, what is sent, what is not."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from config import generation_channel
from config.generation import SectionKey, shard_of
from provider.options import TranslationOptions
from provider.publish import MasterGone, Publisher
from provider.sections import Sections, without_servers
from provider.store import Store
from provider.translate.builder import Builder
from tests.provider.support import Received, decode_generation, endpoints
from tests.provider.test_builder import filled, name_of, put


@pytest.fixture
def channel() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield ours, theirs
    ours.close()
    theirs.close()


def receive(theirs: socket.socket) -> Received:
    parcel = generation_channel.receive(theirs)
    assert parcel is not None
    received = decode_generation(parcel.descriptors)
    for descriptor in parcel.descriptors:
        os.close(descriptor)
    assert parcel.number == received.meta.number
    return received


def encoded(store: Store, builder: Builder) -> Sections:
    sections = Sections()
    sections.update(builder, builder.build_all(store))
    return sections


def test_a_generation_holds_everything_once() -> None:
    store, _ = filled(30)
    builder = Builder(TranslationOptions())
    sections = encoded(store, builder)
    assert {key.section for key in sections.encoded} == {"routing", "endpoints"}
    for number in range(30):
        shard = shard_of(f"{name_of(number)}@kubernetescrd")
        assert SectionKey("routing", shard) in sections.encoded
        assert SectionKey("endpoints", shard) in sections.encoded


def test_an_empty_shard_disappears() -> None:
    store, _ = filled(1)
    builder = Builder(TranslationOptions())
    sections = encoded(store, builder)
    for key in list(store.keys("IngressRoute")):
        store.remove(key)
    assert sections.update(builder, builder.update(store, store.take_changed()))
    assert sections.encoded == {}


def test_equal_generations_are_not_sent(channel: tuple[socket.socket, socket.socket]) -> None:
    store, _ = filled(3)
    builder = Builder(TranslationOptions())
    sections = encoded(store, builder)
    publisher = Publisher(channel[0], 7)
    assert publisher.publish(sections, complete=True, sources=("x",))
    assert not publisher.publish(sections, complete=True, sources=("x",))
    received = receive(channel[1])
    assert received.meta.number == 8
    assert received.meta.sources == ["x"]
    assert len(received.routers) == len(received.services) == len(received.endpoints) == 3
    assert publisher.publish(sections, complete=False, sources=("x",))
    assert not receive(channel[1]).meta.complete
    put(store, endpoints("s1", "10.0.0.9"))
    sections.update(builder, builder.update(store, store.take_changed()))
    assert publisher.publish(sections, complete=False, sources=("x",))
    assert receive(channel[1]).urls(name_of(1)) == ["http://10.0.0.9:8080"]
    assert publisher.number == 10


def test_a_master_that_is_gone_is_noticed(channel: tuple[socket.socket, socket.socket]) -> None:
    channel[1].close()
    before = set(os.listdir("/proc/self/fd"))
    publisher = Publisher(channel[0], 0)
    with pytest.raises(MasterGone):
        publisher.publish(Sections(), complete=True, sources=())
    publisher.close()
    assert set(os.listdir("/proc/self/fd")) == before


def test_it_waits_where_too_many_descriptors_are_under_way(
    channel: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else does not take those that were sent to him, for now."""
    send, waited = generation_channel.send, list[float]()

    def crowded(*given: Any, **more: Any) -> None:
        if len(waited) < 2:
            raise OSError(errno.ETOOMANYREFS, "Too many references: cannot splice")
        send(*given, **more)

    monkeypatch.setattr(generation_channel, "send", crowded)
    monkeypatch.setattr(time, "sleep", waited.append)
    publisher = Publisher(channel[0], 4)
    assert publisher.publish(Sections(), complete=True, sources=())
    assert receive(channel[1]).meta.number == 5
    assert len(waited) == 2
    publisher.close()


@pytest.mark.parametrize("error", [errno.EBADF, errno.ENOMEM])
def test_what_else_fails_is_no_reason_to_wait(
    channel: tuple[socket.socket, socket.socket], error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **more: Any) -> None:
        raise OSError(error, os.strerror(error))

    publisher = Publisher(channel[0], 4)
    with monkeypatch.context() as patched:
        patched.setattr(generation_channel, "send", fail)
        with pytest.raises(OSError, match=os.strerror(error)):
            publisher.publish(Sections(), complete=True, sources=())
    assert publisher.publish(Sections(), complete=True, sources=()), "it has not been sent"
    assert receive(channel[1]).meta.number == 6
    publisher.close()


def test_servers_travel_apart() -> None:
    store, builder = filled(1)
    service = builder.services[name_of(0)]
    assert service.load_balancer is not None
    assert service.load_balancer.servers
    bare = without_servers(service)
    assert bare.load_balancer is not None
    assert bare.load_balancer.servers == []
    assert store is not None
