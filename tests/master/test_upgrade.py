"""What one master hands to the next."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest

from config.control_page import ControlPage, Head
from config.generation import META, Generation, Meta, SectionKey, digest_of, encode_section
from config.generation_writing import GenerationWriter
from config.static import EntryPoint
from master import upgrade
from master.generations import Generations
from master.sockets import Sockets
from master.upgrade import VARIABLE, Heritage

FINDINGS = SectionKey("findings", 3)


@pytest.fixture
def page() -> Iterator[ControlPage]:
    made = ControlPage.create()
    yield made
    made.close()


def encoded(value: object) -> tuple[bytes, bytes]:
    body = encode_section(value)
    return body, digest_of(body)


def encoded_meta(number: int) -> tuple[bytes, bytes]:
    return encoded(Meta(number=number, created_unix_seconds=time.time()))


def duplicated(heritage: Heritage) -> Heritage:
    """As an exec hands it over: the same numbers, but nobody else owns them."""
    return Heritage(
        sockets={
            name: upgrade.BindingShape(shape.address, [os.dup(n) for n in shape.descriptors], shape.is_shared)
            for name, shape in heritage.sockets.items()
        },
        generation_descriptor=os.dup(heritage.generation_descriptor),
        further_generation_descriptors=list(map(os.dup, heritage.further_generation_descriptors)),
        is_complete=heritage.is_complete,
        kinds_listed=heritage.kinds_listed,
    )


def test_sockets_and_generation_are_taken_over(page: ControlPage) -> None:
    sockets, generations = Sockets(2), Generations(page)
    entry_points = {"web": EntryPoint(address="127.0.0.1:0"), "api": EntryPoint(address="127.0.0.1:0")}
    sockets.update(entry_points)
    writer = GenerationWriter()
    for number in (6, 7):
        files = writer.write(number, {META: encoded_meta(number), FINDINGS: encoded(["x" * 1000])})
    assert len(files) == 2
    generations.adopt(list(map(os.dup, files)), 7, is_complete=True)
    writer.close()
    page[Head.KINDS_LISTED] = 0b101
    heritage = duplicated(upgrade.heritage_of(sockets, generations, page))
    for descriptor in heritage.descriptors():
        os.set_inheritable(descriptor, True)
    environ = {VARIABLE: upgrade.encode(heritage), "HOME": "/"}

    taken = upgrade.take_heritage(environ)
    assert taken == heritage
    assert environ == {"HOME": "/"}
    assert not any(os.get_inheritable(descriptor) for descriptor in taken.descriptors())

    heir, heir_page = Sockets(3), ControlPage.create()
    heir_generations = Generations(heir_page)
    moved = {"web": entry_points["web"], "api": EntryPoint(address="127.0.0.1:1")}
    upgrade.adopt_sockets(taken, heir, moved)
    assert list(heir.bindings) == ["web"], "an address that changed is not taken over"
    assert heir.bindings["web"].bound_address == sockets.bindings["web"].bound_address
    heir.update({"web": entry_points["web"]})
    assert len({heir.listeners(lane)["web"].getsockname() for lane in range(3)}) == 1
    assert upgrade.adopt_generation(taken, heir_generations, heir_page)
    assert (heir_page[Head.GENERATION], heir_page[Head.FIRST_COMPLETE]) == (7, 7)
    assert heir_page[Head.KINDS_LISTED] == 0b101, "the new provider holds back where the old one had more"
    heir.close()
    sockets.close()
    with Generation(heir_generations.descriptors) as taken_over:
        assert taken_over.number == 7
        assert taken_over.sections[FINDINGS].file == 6
    generations.close()
    heir_generations.close()
    heir_page.close()


def test_nothing_to_take_over() -> None:
    assert upgrade.take_heritage({}) == Heritage()
    assert Heritage().descriptors() == []


def test_a_variable_that_cannot_be_read_counts_as_none() -> None:
    environ = {VARIABLE: "{"}
    assert upgrade.take_heritage(environ) == Heritage()
    assert environ == {}


def test_a_generation_of_another_layout_is_left_aside(page: ControlPage) -> None:
    generations = Generations(page)
    descriptor, other = os.memfd_create("other"), os.memfd_create("further")
    heritage = Heritage(generation_descriptor=descriptor, further_generation_descriptors=[other], kinds_listed=1)
    assert not upgrade.adopt_generation(heritage, generations, page)
    assert not upgrade.adopt_generation(Heritage(), generations, page)
    assert not generations.descriptors
    assert page[Head.KINDS_LISTED] == 0
    for one in (descriptor, other):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(one)


def test_a_generation_that_workers_would_refuse_is_left_aside(page: ControlPage) -> None:
    """All of its table is looked at, though it could be read later."""
    writer, generations = GenerationWriter(), Generations(page)
    files = writer.write(7, {META: encoded_meta(7), SectionKey("secrets", 0): encoded("x")})
    heritage = Heritage(generation_descriptor=os.dup(files[0]))
    assert not upgrade.adopt_generation(heritage, generations, page)
    assert not generations.descriptors
    writer.close()


def test_a_shared_socket_stays_shared(page: ControlPage) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    shape = upgrade.BindingShape("127.0.0.1:80", [listener.detach()], is_shared=True)
    heir = Sockets(2)
    upgrade.adopt_sockets(Heritage(sockets={"web": shape}), heir, {"web": EntryPoint(address=":81")})
    assert heir.listeners(0)["web"] is heir.listeners(1)["web"]
    heir.close()
