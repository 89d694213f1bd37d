"""The real Traefik and Pointsman, side by side on one API server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.kube import KubeServer
from tests.ports import PortReservation

ROOT = Path(__file__).resolve().parent.parent.parent
START_DEADLINE_SECONDS = 60.0


def traefik_binary() -> str | None:
    """The real Traefik, from the extra `peers` or the path."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("traefik", path=os.pathsep.join([beside, os.environ.get("PATH", "")]))


class Proxy:
    """One proxy process with entry points `web` and `other` for traffic and `traefik` for the API."""

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        self._ports = [PortReservation() for _ in range(3)]
        self.web, self.other, self.api = (reservation.port for reservation in self._ports)
        arguments = [
            f"--entrypoints.web.address=127.0.0.1:{self.web}",
            f"--entrypoints.other.address=127.0.0.1:{self.other}",
            f"--entrypoints.traefik.address=127.0.0.1:{self.api}",
            "--api.insecure=true",
            "--api.dashboard=false",
            "--ping=true",
            "--providers.providersthrottleduration=0s",
            "--global.checknewversion=false",
            "--log.level=DEBUG",
        ]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    def rawdata(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.api}/api/rawdata", timeout=20) as answer:
            data: dict[str, Any] = json.load(answer)
            return data

    def wait_for_router(self, words: str) -> None:
        """Until a router with these words in its name is there. Raises AssertionError with the log's tail."""
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if any(words in name for name in self.rawdata().get("routers", {})):
                    return
            except (OSError, urllib.error.URLError, ValueError):
                pass
            time.sleep(0.05)
        raise AssertionError(f"{self.name} shows no router {words}:\n{self.log()[-4000:]}")

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reservation in self._ports:
            reservation.release()


class Pair:
    """Both proxies with the same options, reading the same API server. A context manager."""

    def __init__(self, kube: KubeServer, options: Sequence[str], folder: Path) -> None:
        self._kube, self._options, self._folder = kube, list(options), folder
        self._stack = ExitStack()

    def __enter__(self) -> Pair:
        options = [f"--providers.kubernetescrd.endpoint={self._kube.url}", *self._options]
        binary = traefik_binary()
        assert binary is not None
        ours = [sys.executable, "-m", "master", "run", "--workers=1", *options]
        self.traefik = self._start("traefik", [binary, *options])
        self.pointsman = self._start("pointsman", ours)
        return self

    def _start(self, name: str, command: Sequence[str]) -> Proxy:
        proxy = Proxy(name, command, self._folder)
        self._stack.callback(proxy.stop)
        return proxy

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self._stack.close()
