"""What a delta says of the generation that it travels in, and when there is none."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from config import generation_channel
from config.findings import Finding
from config.generation import Delta, Generation
from provider.options import TranslationOptions
from provider.publish import Publisher
from provider.sections import Sections
from provider.translate.builder import Builder
from tests.provider.support import endpoints, route, rule
from tests.provider.test_builder import filled, put


def receive_delta(theirs: socket.socket) -> Delta | None:
    parcel = generation_channel.receive(theirs)
    assert parcel is not None
    with Generation(parcel.descriptors) as generation:
        for descriptor in parcel.descriptors:
            os.close(descriptor)
        return generation.delta()


FINDING = Finding(kind="K", namespace="n", name="a", severity="error", reason="R", message="wrong")


class Publication:
    """Three routes, published; each further `publish` gives the delta that it says."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.store, _ = filled(3)
        self.builder, self.sections = Builder(TranslationOptions()), Sections()
        self.sections.update(self.builder, self.builder.build_all(self.store))
        self.publisher = Publisher(self.ours, 0)
        assert self.publish() is None

    def put(self, *objects: Any) -> None:
        for one in objects:
            put(self.store, one)
        self.sections.update(self.builder, self.builder.update(self.store, self.store.take_changed()))

    def close(self) -> None:
        self.publisher.close()
        self.ours.close()
        self.theirs.close()

    def publish(self, *, complete: bool = True) -> Delta | None:
        assert self.publisher.publish(self.sections, complete=complete, sources=())
        return receive_delta(self.theirs)


@pytest.fixture
def publication() -> Iterator[Publication]:
    made = Publication()
    yield made
    made.close()


def is_alone(delta: Delta | None) -> bool:
    assert delta is not None
    return delta.alone


def test_other_servers_alone_are_said_to_be_so(publication: Publication) -> None:
    publication.put(endpoints("s1", "10.0.0.9"))
    assert is_alone(publication.publish())
    publication.put(endpoints("s1", "10.0.0.8"))
    publication.sections.update_findings([FINDING])
    assert is_alone(publication.publish(complete=False)), "nobody serves by findings"


def test_other_servers_are_not_alone_with_a_route_that_comes_or_goes(publication: Publication) -> None:
    (last,) = (key for key in publication.store.keys("IngressRoute") if "r2" in key)
    publication.store.remove(last)
    publication.put(endpoints("s1", "10.0.0.9"))
    assert not is_alone(publication.publish())
    publication.put(endpoints("s1", "10.0.0.8"))
    assert is_alone(publication.publish())
    publication.put(endpoints("s1", "10.0.0.7"), route("r2", rule("Host(`h2`)", {"name": "s2", "port": 80})))
    assert not is_alone(publication.publish())


def test_sections_that_are_encoded_anew_and_equal_are_none_that_differ(publication: Publication) -> None:
    encoded = publication.sections.encoded
    for key, (data, digest) in list(encoded.items()):
        del encoded[key]
        encoded[key] = (bytes(bytearray(data)), bytes(bytearray(digest)))
    assert not publication.publisher.publish(publication.sections, complete=True, sources=())
    publication.put(endpoints("s1", "10.0.0.9"))
    assert is_alone(publication.publish())


def test_after_one_that_was_not_sent_nothing_is_named(
    publication: Publication, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What differs from the one written last is not all that differs from the one that the workers have."""

    def fail(*_: Any, **more: Any) -> None:
        raise OSError(errno.ENOMEM, "no room")

    publication.put(endpoints("s1", "10.0.0.9"))
    with monkeypatch.context() as patched:
        patched.setattr(generation_channel, "send", fail)
        with pytest.raises(OSError, match="no room"):
            publication.publisher.publish(publication.sections, complete=True, sources=())
    assert publication.publish() is None
    publication.put(endpoints("s1", "10.0.0.8"))
    assert is_alone(publication.publish())
