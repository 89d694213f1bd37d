"""A generation arrives with all its files, or it does not arrive."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator

import msgpack
import pytest

from config import generation_channel
from config.generation_channel import Parcel, ParcelRefused
from config.generation_layout import MOST_FILES
from tests.config.test_generation_file import descriptors
from tests.forked import Forked

# from Python 3.12 on a fork beside the threads of a test runner is warned about
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def files() -> Iterator[list[int]]:
    made = [os.memfd_create(f"test {number}") for number in range(MOST_FILES)]
    for number, descriptor in enumerate(made):
        os.write(descriptor, b"%d" % number)
    yield made
    for descriptor in made:
        os.close(descriptor)


def contents(parcel: Parcel) -> list[bytes]:
    """Of its files, which are closed."""
    try:
        return [os.pread(descriptor, 10, 0) for descriptor in parcel.descriptors]
    finally:
        for descriptor in parcel.descriptors:
            os.close(descriptor)


@pytest.mark.parametrize("count", [1, 2, MOST_FILES])
def test_all_files_arrive_in_their_order(ends: Ends, files: list[int], count: int) -> None:
    before = descriptors()
    generation_channel.send(ends[0], 7, files[:count], is_complete=True)
    parcel = generation_channel.receive(ends[1])
    assert parcel is not None
    assert (parcel.number, parcel.is_complete) == (7, True)
    assert not any(map(os.get_inheritable, parcel.descriptors))
    assert contents(parcel) == [b"%d" % number for number in range(count)]
    assert descriptors() == before


def test_nothing_is_waiting_and_nobody_is_there(ends: Ends) -> None:
    with pytest.raises(BlockingIOError):
        generation_channel.receive(ends[1])
    ends[0].close()
    assert generation_channel.receive(ends[1]) is None
    with pytest.raises(ConnectionError):
        generation_channel.send(ends[1], 1, [])


@pytest.mark.parametrize(
    ("said", "came"),
    [(1, 2), (2, 1), (2, 0), (0, 0), (MOST_FILES, MOST_FILES + 1), (MOST_FILES + 1, MOST_FILES + 1), ("1", 1)],
)
def test_another_number_of_files_is_refused_and_closed(
    ends: Ends, files: list[int], said: object, came: int
) -> None:
    before, given = descriptors(), (files * 2)[:came]
    socket.send_fds(ends[0], [msgpack.packb({"generation": 1, "files": said})], given)
    with pytest.raises(ParcelRefused):
        generation_channel.receive(ends[1])
    assert descriptors() == before


@pytest.mark.parametrize("free", [0, 1, 2])
def test_what_is_left_where_no_descriptor_is_free_is_refused_and_closed(
    ends: Ends, files: list[int], free: int
) -> None:
    for number in (1, 2):
        generation_channel.send(ends[0], number, files[:3])

    def lack() -> str:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        highest = max(map(int, os.listdir("/proc/self/fd")))
        for _ in range(highest):
            os.dup(0)
        taken = [os.dup(files[0]) for _ in range(free)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken, default=os.dup(0)) + 1, hard))
        for descriptor in taken:
            os.close(descriptor)
        before = free_places()
        try:
            generation_channel.receive(ends[1])
        except ParcelRefused as error:
            said = str(error)
        assert free_places() == before
        resource.setrlimit(resource.RLIMIT_NOFILE, (4 * highest + 20, hard))
        parcel = generation_channel.receive(ends[1])
        assert parcel is not None
        return f"{said}; then {parcel.number} with {contents(parcel)}"

    with Forked(lack) as child:
        assert child.result() == (
            f"{free} of 3 files of generation 1 came: no descriptor is free; then 2 with {[b'0', b'1', b'2']}"
        )


def free_places() -> int:
    taken: list[int] = []
    try:
        while True:
            taken.append(os.dup(0))
    except OSError:
        return len(taken)
    finally:
        for descriptor in taken:
            os.close(descriptor)
