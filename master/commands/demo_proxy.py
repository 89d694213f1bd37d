"""The demo's proxy: a whole Pointsman as a child process, asked over its own API."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from config.static_env import ALIAS, PREFIX

_PACKAGES: Final = Path(__file__).resolve().parents[2]
_STOP_SECONDS: Final = 15.0
_ANSWER_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.05


class ProxyEnded(Exception):
    """The proxy is gone, or never became ready; what it had to say stands in its log above."""


def _environment() -> dict[str, str]:
    """Ours without options in it; it finds our packages from any directory, installed or a source tree."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, ALIAS))}
    paths = [str(_PACKAGES), *filter(None, [kept.get("PYTHONPATH")])]
    return kept | {"PYTHONPATH": os.pathsep.join(paths)}


class DemoProxy:
    """Started on entry, ended with all its children on exit, at the latest by force.

    It runs in a session of its own, so that Ctrl-C reaches only the demo, which then stops it in order. Its
    settings go through a file, because a configuration file in a default place would outrank flags.
    """

    def __init__(
        self, program: Sequence[str], workplace: Path, settings: Mapping[str, object], api_port: int
    ) -> None:
        self._api_port = api_port
        file = workplace / "demo.json"
        file.write_text(json.dumps(settings, indent=2))
        self._child = subprocess.Popen(  # noqa: S603
            [*program, "run", f"--configFile={file}"], env=_environment(), start_new_session=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._child.terminate()
            self._child.wait(_STOP_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()

    def wait_ready(self, limit_seconds: float) -> None:
        """Return once /ready says that every worker serves. Raises ProxyEnded."""
        end = time.monotonic() + limit_seconds
        while self._get("/ready") is None:
            if time.monotonic() > end:
                raise ProxyEnded(f"the proxy was not ready within {limit_seconds:.0f} seconds")
            time.sleep(_LOOK_SECONDS)

    def rawdata(self) -> Mapping[str, Any] | None:
        """The running configuration, None if the API does not answer just now. Raises ProxyEnded."""
        body = self._get("/api/rawdata")
        if body is None:
            return None
        try:
            data: Mapping[str, Any] = json.loads(body)
        except ValueError:
            return None
        return data

    def _get(self, path: str) -> bytes | None:
        """The body of a 200 answer."""
        code = self._child.poll()
        if code is not None:
            raise ProxyEnded(f"the proxy ended with exit code {code}")
        connection = http.client.HTTPConnection("127.0.0.1", self._api_port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            return body if response.status == http.HTTPStatus.OK else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
