"""A running process tree for tests: start it, find its ports and processes, talk to it, end it.

Everything is observed from outside: the log, the process table, the sockets.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import psutil

from tests.waiting import wait_until

T = TypeVar("T")

ROOT: Final = Path(__file__).resolve().parent.parent.parent
STAND_INS: Final = ("-m", "tests.e2e.stand_ins")
REAL: Final = ("-m", "master", "run")
EXIT_DEADLINE_SECONDS: Final = 20.0


class Answer(NamedTuple):
    """Status and body of a response; the stand-ins' body is `pid slot generation`."""

    status: int
    body: str

    @property
    def pid(self) -> int:
        return int(self.body.split()[0])

    @property
    def generation(self) -> int:
        return int(self.body.split()[2])


class Tree:
    """Runs in `folder`, which also gets the log. Flags as users write them; see STAND_INS and REAL."""

    def __init__(
        self,
        folder: Path,
        flags: Sequence[str],
        environ: Mapping[str, str],
        program: Sequence[str] = STAND_INS,
        descriptors: Sequence[int] = (),
        wrapper: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.output = folder / "output"
        search_path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*wrapper, sys.executable, *program, *flags],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": search_path, "NO_COLOR": "1", **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=descriptors,
                start_new_session=True,
            )
        self.master = psutil.Process(self.process.pid)

    def log(self) -> str:
        return self.output.read_text()

    def wait_for_log(self, pattern: str, count: int = 1) -> str:
        """The last match once there are `count` of them."""

        def found() -> list[str]:
            matches = [match[0] for match in re.finditer(pattern, self.log())]
            return matches if len(matches) >= count else []

        return self.wait_for(found, f"{count} x {pattern!r} in the log")[-1]

    def wait_for(self, predicate: Callable[[], T], what: str) -> T:
        """As wait_until; a failure shows the log."""
        try:
            return wait_until(predicate, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def port(self, name: str = "web") -> int:
        line = self.wait_for_log(rf"entry point {name} listens at \S+:\d+")
        return int(line.rpartition(":")[2])

    def workers(self, master: psutil.Process | None = None) -> list[int]:
        """Pids of the workers of this master, by age."""
        found = [child for child in _children(master or self.master) if "pointsman:w" in _name(child)]
        return [child.pid for child in sorted(found, key=lambda child: child.pid)]

    def providers(self) -> list[int]:
        return [
            child.pid for child in _children(self.master) if _command(child)[-1:] in (["--provider"], ["provider"])
        ]

    def wait_ready(self, workers: int) -> list[int]:
        """Pids of the workers once so many answer with a generation in force."""
        port = self.port()

        def all_answer() -> bool:
            answers = [self.get("/", port) for _ in range(4 * workers)]
            return len({a.pid for a in answers if a.generation > 0}) >= workers

        self.wait_for(all_answer, f"{workers} workers answer")
        return self.workers()

    def get(self, path: str = "/", port: int | None = None, timeout_seconds: float = 15.0) -> Answer:
        return request("127.0.0.1", port or self.port(), path, timeout_seconds)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait_exit(self) -> int:
        try:
            return self.process.wait(EXIT_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the master does not end\n{self.log()}") from None

    def stop(self) -> int:
        self.send(signal.SIGTERM)
        return self.wait_exit()

    def end(self) -> None:
        """Whatever happened, nothing of this tree is left: its session is ended."""
        family = [self.master, *_children(self.master)] if self.process.poll() is None else []
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(EXIT_DEADLINE_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for process in family:
            if process.is_running():
                process.kill()


def request(host: str, port: int, path: str, timeout_seconds: float = 15.0) -> Answer:
    """One GET on a connection of its own. Raises OSError as it comes."""
    with socket.create_connection((host, port), timeout=timeout_seconds) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while piece := client.recv(65536):
            received += piece
    if not received:
        raise ConnectionResetError("closed without an answer")
    head, _, body = received.partition(b"\r\n\r\n")
    return Answer(int(head.split(b" ")[1]), body.decode())


class SlowRequest:
    """A request whose head has been answered, whose body comes later: it is in flight for certain."""

    def __init__(self, port: int, seconds: float) -> None:
        self._client = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._client.sendall(f"GET /slow/{seconds} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        assert self._client.recv(15).startswith(b"HTTP/1.1 200")

    def body(self) -> str:
        """What comes after the status until the body's or the connection's end."""
        received = b""
        with self._client:
            try:
                while not received.endswith(b"done") and (piece := self._client.recv(1000)):
                    received += piece
            except ConnectionError:
                pass
        return received.partition(b"\r\n\r\n")[2].decode()


class Visitors:
    """Connects without pause from a thread while the tree changes, and counts what failed and how."""

    def __init__(self, port: int) -> None:
        self.refused: list[str] = []
        self.broken: list[str] = []
        self.by_pid: Counter[int] = Counter()
        self.statuses: set[int] = set()
        self.served = 0
        self._port = port
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Visitors:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                answer = request("127.0.0.1", self._port, "/")
            except ConnectionRefusedError as error:
                self.refused.append(repr(error))
            except OSError as error:
                self.broken.append(repr(error))
            else:
                self.served += 1
                self.statuses.add(answer.status)
                if answer.body[:1].isdigit():
                    self.by_pid[answer.pid] += 1
            time.sleep(0.001)

    def wait_for(self, further: int) -> None:
        """Until so many more requests were answered."""
        target = self.served + further
        wait_until(lambda: self.served >= target, what=f"{further} further answers")


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children())
    except psutil.NoSuchProcess:
        return []


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
