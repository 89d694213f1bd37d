"""Binary upgrade (USR2): what the old master hands to the new one, as one environment variable.

The new master is exec'ed by the old one with all listening sockets and the newest generation open, so both
serve from the same queues, and the new workers have routes before they accept. The old tree goes on until
it is told to stop.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Mapping, MutableMapping
from typing import Final

import msgspec

from config.control_page import ControlPage, Head
from config.generation import Generation, GenerationRefused
from config.static import EntryPoint
from master.generations import Generations
from master.sockets import Binding, Sockets

VARIABLE: Final = "_POINTSMAN_UPGRADE"
"""The underscore keeps it from being read as an option."""

log = logging.getLogger(__name__)


class BindingShape(msgspec.Struct, frozen=True):
    address: str
    descriptors: list[int]
    is_shared: bool = False


class Heritage(msgspec.Struct, frozen=True):
    """Descriptors are numbers in the process that is started. Fields may be added, never changed."""

    sockets: dict[str, BindingShape] = {}
    generation_descriptor: int = -1
    is_complete: bool = False
    kinds_listed: int = 0
    further_generation_descriptors: list[int] = []
    """Of the files that were written for generations before."""

    @property
    def generation_descriptors(self) -> list[int]:
        """Of all its files, its own first; empty without a generation."""
        own = self.generation_descriptor
        return [own, *self.further_generation_descriptors] if own >= 0 else []

    def descriptors(self) -> list[int]:
        listed = [number for shape in self.sockets.values() for number in shape.descriptors]
        return [*listed, *self.generation_descriptors]


def heritage_of(sockets: Sockets, generations: Generations, page: ControlPage) -> Heritage:
    """What the next master gets from this one."""
    own, *further = generations.descriptors or (-1,)
    return Heritage(
        sockets={
            name: BindingShape(binding.address, [sock.fileno() for sock in binding.sockets], binding.is_shared)
            for name, binding in sockets.bindings.items()
        },
        generation_descriptor=own,
        is_complete=bool(page[Head.FIRST_COMPLETE]),
        kinds_listed=page[Head.KINDS_LISTED],
        further_generation_descriptors=further,
    )


def encode(heritage: Heritage) -> str:
    return msgspec.json.encode(heritage).decode()


def take_heritage(environ: MutableMapping[str, str]) -> Heritage:
    """Read and remove the variable; all its descriptors are close-on-exec again. Malformed text counts as none."""
    try:
        heritage = msgspec.json.decode(environ.pop(VARIABLE, "{}"), type=Heritage)
    except msgspec.MsgspecError as error:
        log.error("the former master's sockets cannot be taken over", extra={"error": error})
        return Heritage()
    for descriptor in heritage.descriptors():
        os.set_inheritable(descriptor, False)
    return heritage


def adopt_sockets(heritage: Heritage, sockets: Sockets, entry_points: Mapping[str, EntryPoint]) -> None:
    """Take over the sockets of entry points that are still at the same address; close the others."""
    for name, shape in heritage.sockets.items():
        inherited = [socket.socket(fileno=descriptor) for descriptor in shape.descriptors]
        binding = Binding(name, shape.address, inherited, shape.is_shared)
        point = entry_points.get(name)
        if point is not None and (point.address == shape.address or shape.is_shared):
            sockets.adopt(binding)
        else:
            binding.close()


def adopt_generation(heritage: Heritage, generations: Generations, page: ControlPage) -> bool:
    """Start with the former master's generation. False if there is none or this release cannot read it.

    Headers and table are looked at, nothing is decoded: they say whether the workers will take it. Which kinds it
    was made from comes along, so that the new provider does not replace it before it has seen them all.
    """
    descriptors = heritage.generation_descriptors
    if not descriptors:
        return False
    try:
        with Generation(descriptors) as generation:
            generation.verify()
            number = generation.number
    except GenerationRefused as error:
        log.warning("the former master's generation is of no use here", extra={"error": error})
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        return False
    generations.adopt(descriptors, number, heritage.is_complete)
    page[Head.KINDS_LISTED] = heritage.kinds_listed
    return True
