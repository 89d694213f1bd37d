"""Sections and generations: what changes, what is sent, what is not."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import msgpack
import pytest

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
    data, descriptors, _, _ = socket.recv_fds(theirs, 1024, 2)
    received = decode_generation(descriptors[0])
    os.close(descriptors[0])
    assert msgpack.unpackb(data)["generation"] == received.meta.number
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
    with pytest.raises(MasterGone):
        Publisher(channel[0], 0).publish(Sections(), complete=True, sources=())
    assert set(os.listdir("/proc/self/fd")) == before


def test_servers_travel_apart() -> None:
    store, builder = filled(1)
    service = builder.services[name_of(0)]
    assert service.load_balancer is not None
    assert service.load_balancer.servers
    bare = without_servers(service)
    assert bare.load_balancer is not None
    assert bare.load_balancer.servers == []
    assert store is not None
