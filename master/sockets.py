"""The sockets of all entry points, kept by the master from start to end.

Each entry point, TCP or UDP, has one SO_REUSEPORT socket for each *lane*; a lane is the place of one worker. The
master keeps every socket open, so connections and datagrams that wait in a dead worker's queue are taken by its
successor and nothing is refused. A socket that came from systemd is one for all lanes. A lane nobody works on
must not listen (the kernel would hand it connections): lanes are opened when a worker is wanted and closed,
always the last one first, after the kernel was told to choose it no more (steering).
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterator, Mapping

from config.http3_twins import is_twin, owner_of, with_twins
from config.static import EntryPoint, parse_address
from master import flow_steering, quic_steering, steering
from master.bound import lane_socket, refuse_taken
from master.datagrams import is_datagram

log = logging.getLogger(__name__)


class BindError(Exception):
    """An entry point cannot be opened; the message names it, its address and the reason."""


class Binding:
    """The sockets of one entry point: one for each lane, or a single one that all lanes share."""

    def __init__(self, name: str, address: str, sockets: list[socket.socket], is_shared: bool = False) -> None:
        self.name = name
        self.address = address
        self.sockets = sockets
        self.is_shared = is_shared
        self.may_have_strangers = False
        """Another process may have the port as well (reusePort), so the group's numbers are not ours to give."""

    def socket_of(self, lane: int) -> socket.socket:
        return self.sockets[0 if self.is_shared else lane]

    @property
    def bound_address(self) -> str:
        """What clients connect to: the configured address with the port that the kernel chose for port 0."""
        return format_address(self.sockets[0].getsockname()) + ("/udp" if self.is_datagram else "")

    @property
    def is_datagram(self) -> bool:
        return is_datagram(self.sockets[0])

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()
        self.sockets.clear()

    def __repr__(self) -> str:
        return f"<Binding {self.name} {self.address} {len(self.sockets)} sockets shared={self.is_shared}>"


class Sockets:
    """All bindings. Master only, except `keep_lane`, which a forked worker calls once."""

    def __init__(self, lane_count: int, owner: tuple[int, int] | None = None) -> None:
        self.bindings: dict[str, Binding] = {}
        self.lane_count = lane_count
        self._owner = owner
        self._is_steered = False

    def adopt(self, binding: Binding) -> None:
        """Take over sockets from systemd or the master before us; those of lanes not wanted are closed."""
        self.bindings[binding.name] = binding
        if binding.is_shared:
            return
        # the group may carry the former master's program
        self._is_steered = True
        for surplus in binding.sockets[self.lane_count :]:
            surplus.close()
        del binding.sockets[self.lane_count :]

    def update(self, entry_points: Mapping[str, EntryPoint]) -> list[str]:
        """Bind what is new in `entry_points`, close what is gone, keep the rest. Returns the new names.

        An entry point with HTTP/3 has a twin for UDP beside it, a binding of its own (`config.http3_twins`).
        All or nothing: raises BindError with every former socket still open.
        """
        wanted = with_twins(entry_points)
        kept = self._kept(wanted)
        opened: dict[str, Binding] = {}
        try:
            for name, point in wanted.items():
                if name not in kept:
                    owner = kept.get(owner_of(name)) or opened.get(owner_of(name))
                    opened[name] = self._open(name, point, owner)
            for binding in kept.values():
                self._extend(binding)
        except BaseException:
            for binding in opened.values():
                binding.close()
            raise
        for name, binding in self.bindings.items():
            if binding not in kept.values():
                log.info("entry point %s no longer listens at %s", name, binding.bound_address)
                binding.close()
        self.bindings = {name: kept.get(name) or opened[name] for name in wanted}
        for name, binding in self.bindings.items():
            binding.name = name
            binding.may_have_strangers = wanted[name].reuse_port
        self._steer_after_change()
        return list(opened)

    def _kept(self, wanted: Mapping[str, EntryPoint]) -> dict[str, Binding]:
        """Bindings that go on, by new name. One that only changed its name keeps its sockets."""
        by_address = {binding.address: binding for binding in self.bindings.values()}
        kept = {}
        for name, point in wanted.items():
            former = self.bindings.get(name)
            if former is not None and former.is_datagram != (point.protocol == "udp"):
                continue
            if former is not None and (former.is_shared or former.address == point.address):
                kept[name] = former
            elif point.address in by_address and point.port:
                kept[name] = by_address[point.address]
        return kept

    def _open(self, name: str, point: EntryPoint, owner: Binding | None = None) -> Binding:
        """`owner`: of a twin, whose port it takes where the kernel chose one."""
        host, port, protocol = parse_address(point.address)
        if owner is not None and not port:
            port = owner.sockets[0].getsockname()[1]
        kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
        try:
            if port and not point.reuse_port:
                refuse_taken(host, port, kind)
            first = lane_socket(host, port, kind, self._owner)
        except OSError as error:
            raise BindError(_explain(name, point.address, error)) from error
        binding = Binding(name, point.address, [first])
        try:
            self._extend(binding)
        except BaseException:
            binding.close()
            raise
        return binding

    def _extend(self, binding: Binding) -> None:
        """Open sockets up to the number of lanes, at the address of the first one."""
        while not binding.is_shared and len(binding.sockets) < self.lane_count:
            host, port = binding.sockets[0].getsockname()[:2]
            try:
                binding.sockets.append(lane_socket(host, port, binding.sockets[0].type, self._owner))
            except OSError as error:
                raise BindError(_explain(binding.name, binding.address, error)) from error

    def open_lane(self) -> None:
        """One more lane at the end. Raises BindError; the lane is not there then."""
        self.lane_count += 1
        try:
            for binding in self.bindings.values():
                self._extend(binding)
        except BindError:
            self.close_last_lane()
            raise
        self._steer_after_change()

    def close_last_lane(self) -> None:
        """Close the master's copies of the last lane; its worker's copies live on until it closes them."""
        self.lane_count -= 1
        for binding in self.bindings.values():
            while not binding.is_shared and len(binding.sockets) > self.lane_count:
                binding.sockets.pop().close()

    def steer(self, lane_count: int) -> None:
        """From now on new connections go to the first `lane_count` lanes only; the others still listen."""
        self._is_steered = True
        for binding in self.bindings.values():
            _steer(binding, lane_count)

    def _steer_after_change(self) -> None:
        """To all lanes. Connections need it where some were excluded before, flows of datagrams always do."""
        for binding in self.bindings.values():
            if self._is_steered or binding.is_datagram:
                _steer(binding, self.lane_count)

    def listeners(self, lane: int) -> dict[str, socket.socket]:
        """Listening sockets of one lane by entry point."""
        return {name: binding.socket_of(lane) for name, binding in self.bindings.items()}

    @property
    def has_twins(self) -> bool:
        """Does any entry point serve HTTP/3?"""
        return any(map(is_twin, self.bindings))

    def keep_lane(self, lane: int) -> dict[str, socket.socket]:
        """In a forked worker: close the copies of all other lanes, or they would outlive the master's."""
        mine = self.listeners(lane)
        kept = {sock.fileno() for sock in mine.values()}
        for sock in self.all_sockets():
            if sock.fileno() not in kept:
                sock.close()
        return mine

    def all_sockets(self) -> Iterator[socket.socket]:
        for binding in self.bindings.values():
            yield from binding.sockets

    def close(self) -> None:
        for binding in self.bindings.values():
            binding.close()
        self.bindings.clear()


def _steer(binding: Binding, lane_count: int) -> None:
    if not lane_count or binding.is_shared or (binding.is_datagram and binding.may_have_strangers):
        return
    choose = flow_steering.steer_flows if binding.is_datagram else steering.steer
    if is_twin(binding.name):
        choose = quic_steering.steer_connections
    try:
        choose(binding.sockets[0], lane_count)
    except OSError as error:
        log.warning("entry point %s cannot be steered: %s", binding.name, error.strerror)


def _explain(name: str, address: str, error: OSError) -> str:
    hint = ""
    if error.errno == errno.EACCES:
        hint = "; ports below 1024 need root at start or CAP_NET_BIND_SERVICE"
    elif error.errno == errno.EADDRINUSE:
        hint = "; another process or entry point listens there (reusePort=true would share the port)"
    return f"entry point {name}: cannot listen at {address}: {error.strerror or error}{hint}"


def format_address(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


__all__ = ["BindError", "Binding", "Sockets", "format_address"]
