"""Runs the process tree with a tiny data plane and a tiny provider: `python -m tests.e2e.stand_ins [flags]`.

Process tests are about masters, signals and sockets; with these stand-ins they say exactly what a worker did
and need no routes. The wire between the processes is the real one.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import gevent
import gevent.socket
from gevent.event import Event
from gevent.pool import Group

from config import generation_channel
from config.control_page import Cell, ControlPage, Head, Slot
from config.generation import META, Generation, Meta, SectionKey, digest_of, encode_section
from config.generation_writing import GenerationWriter
from config.static import StaticConfiguration
from config.static_load import load


class StandInPlane:
    """Answers every request with `pid slot generation`; `/slow/<seconds>` sleeps before the body, `/hang` stops
    the hub, `/orphan` leaves a process to whoever adopts it."""

    def __init__(
        self,
        static: StaticConfiguration,
        listeners: Mapping[str, socket.socket],
        page: ControlPage,
        slot: Slot,
        log: logging.Logger,
        *,
        shared: object = None,
    ) -> None:
        if os.environ.get("STAND_IN_FAILS"):
            raise RuntimeError("told to fail")
        self._static, self._page, self._slot, self._log = static, page, slot, log
        self._listeners = [socket.socket(fileno=os.dup(listener.fileno())) for listener in listeners.values()]
        for listener in listeners.values():
            listener.close()
        self._closing = Event()
        self._connections = Group()
        self._acceptors: list[gevent.Greenlet] = []

    def start(self) -> None:
        self._acceptors = [gevent.spawn(self._accept, listener) for listener in self._listeners]

    def apply(self, descriptors: Sequence[int]) -> None:
        with Generation(descriptors) as generation:
            self._slot[Cell.GENERATION] = generation.number

    def terminate(self) -> None:
        self._slot[Cell.DRAINING] = 1
        cycle = next(iter(self._static.entry_points.values())).transport.life_cycle
        gevent.sleep(cycle.request_accept_grace_timeout_seconds)
        gevent.killall(self._acceptors)
        for listener in self._listeners:
            self._take_waiting(listener)
            listener.close()
        self._connections.join(timeout=cycle.grace_time_out_seconds)

    def reopen_logs(self) -> None:
        """It has none of its own."""

    def quit(self) -> None:
        gevent.killall(self._acceptors)

    def _accept(self, listener: socket.socket) -> None:
        watcher = gevent.get_hub().loop.io(listener.fileno(), 1)
        while True:
            gevent.get_hub().wait(watcher)
            self._take_waiting(listener)

    def _take_waiting(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except BlockingIOError:
                return
            self._connections.spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with gevent.socket.socket(fileno=client.detach()) as stream:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = stream.recv(4096)
                if not piece:
                    return
                head += piece
            path = head.split(b" ")[1].decode()
            status = "503 Service Unavailable" if path == "/ping" and self._page[Head.TERMINATING] else "200 OK"
            if path == "/orphan":
                leave_an_orphan()
            if path == "/hang":
                time.sleep(60)  # the hub, not this greenlet: that is the point
            stream.sendall(f"HTTP/1.1 {status}\r\nConnection: close\r\n\r\n".encode())
            if path.startswith("/slow/"):
                gevent.sleep(float(path.removeprefix("/slow/")))
            stream.sendall(f"{os.getpid()} {self._slot.index} {self._slot[Cell.GENERATION]}".encode())


def leave_an_orphan() -> None:
    """A process whose parent has gone, and that ends a little later."""
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            time.sleep(0.5)
        os._exit(0)
    os.waitpid(child, 0)


def provider() -> None:
    """Publishes a generation at the start and another for each SIGUSR2; ends with its channel."""
    page = ControlPage.attach(int(os.environ["POINTSMAN_CONTROL_FD"]))
    channel = socket.socket(fileno=int(os.environ["POINTSMAN_CHANNEL_FD"]))
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    number = page[Head.GENERATION]
    writer = GenerationWriter()
    wanted = True
    while True:
        page[Head.PROVIDER_HEARTBEAT_NS] = time.monotonic_ns()
        if wanted:
            number += 1
            publish(channel, writer, number, number > 1 or not os.environ.get("PYTHON_STAND_IN_INCOMPLETE"))
        wanted = signal.sigtimedwait([signal.SIGUSR2], 0.05) is not None
        if not wanted and _is_closed(channel):
            return


def publish(channel: socket.socket, writer: GenerationWriter, number: int, is_complete: bool) -> None:
    """From the second one on it has two files: something never changes."""
    meta = encode_section(Meta(number=number, created_unix_seconds=time.time()))
    bodies = {META: meta, SectionKey("findings", 0): bytes(1000)}
    files = writer.write(number, {key: (body, digest_of(body)) for key, body in bodies.items()})
    generation_channel.send(channel, number, files, is_complete=is_complete)


def _is_closed(channel: socket.socket) -> bool:
    try:
        return not channel.recv(16, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False


def main(arguments: list[str]) -> int:
    if arguments == ["--provider"]:
        provider()
        return 0
    import master.app
    import master.children
    import workers.worker

    vars(master.children)["PROVIDER_COMMAND"] = ("-m", "tests.e2e.stand_ins", "--provider")
    vars(workers.worker)["data_plane"] = lambda: StandInPlane
    if seconds := os.environ.get("STAND_IN_HANG_SECONDS"):
        vars(master.app)["HANG_SECONDS"] = int(seconds)
    return master.app.run(load(arguments, os.environ, Path.cwd()), arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
