"""The gunicorn application: static configuration in, gunicorn's settings out. `run` is the whole program.

Only a handful of gunicorn's settings mean something here; what concerns connections and requests is in the
static configuration, which the workers read themselves.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

from gunicorn.app.base import BaseApplication

from config.logs import setup_logging
from config.static import StaticConfiguration
from config.static_load import LoadedStatic, load
from master.arbiter import PointsmanArbiter
from master.limits import raise_descriptor_limit, usable_cores
from master.logs import GunicornLogger
from master.privileges import PrivilegesError
from master.sockets import BindError
from workers.worker import GeventWorker

HANG_SECONDS: Final = 30
"""A worker whose hub did not beat for so long is killed and replaced."""
CLEANUP_SECONDS: Final = 10
"""Time a stop may take beyond the grace periods of the entry points."""

log = logging.getLogger(__name__)


class PointsmanApplication(BaseApplication):
    """`argv`, `environ` and `cwd` are kept as they were at the start: a reload reads the same sources again."""

    def __init__(self, loaded: LoadedStatic, argv: list[str], environ: Mapping[str, str], cwd: str) -> None:
        self.loaded = loaded
        self.argv = argv
        self.environ = dict(environ)
        self.cwd = cwd
        super().__init__(prog="pointsman")

    @property
    def static(self) -> StaticConfiguration:
        return self.loaded.static

    def load_config(self) -> None:
        for name, value in gunicorn_settings(self.static).items():
            self.cfg.set(name, value)

    def load(self) -> None:
        """There is no WSGI application; the workers bring their own data plane."""

    def read_again(self) -> LoadedStatic:
        """The static configuration as its sources say now; nothing changes yet. Raises what `load` raises."""
        return load(self.argv, self.environ, self.cwd)

    def take(self, loaded: LoadedStatic) -> None:
        """From now on this is the configuration."""
        self.loaded = loaded
        self.do_load_config()


def gunicorn_settings(static: StaticConfiguration) -> dict[str, Any]:
    """What the arbiter itself looks at."""
    return {
        "workers": static.workers or usable_cores(),
        "worker_class": GeventWorker,
        "logger_class": GunicornLogger,
        "timeout": HANG_SECONDS,
        "graceful_timeout": int(drain_seconds(static)) + CLEANUP_SECONDS,
        "pidfile": static.pid_file or None,
        "proc_name": "pointsman",
        # gunicorn's control interface would be a thread and a socket in the master
        "control_socket_disable": True,
    }


def drain_seconds(static: StaticConfiguration) -> float:
    """Longest time that a worker may take to drain: entry points do it side by side, each in two steps."""
    cycles = [point.transport.life_cycle for point in static.entry_points.values()]
    return max((c.request_accept_grace_timeout_seconds for c in cycles), default=0.0) + max(
        (c.grace_time_out_seconds for c in cycles), default=0.0
    )


def run(loaded: LoadedStatic, argv: list[str]) -> int:
    """Serve until a signal ends it; returns the exit code. Called once, by the command line."""
    if not sys.platform.startswith("linux"):
        return _give_up("Pointsman needs Linux (sealed memory files, SO_REUSEPORT)")
    try:
        setup_logging(loaded.static.log, "master")
    except OSError as error:
        return _give_up(f"cannot open the log file {loaded.static.log.file_path}: {error.strerror}")
    raise_descriptor_limit()
    for warning in loaded.warnings:
        log.warning("%s", warning)
    try:
        application = PointsmanApplication(loaded, argv, os.environ, os.getcwd())
        PointsmanArbiter(application).run()
    except (BindError, PrivilegesError, RuntimeError, OSError) as error:
        log.critical("%s", error)
        return _give_up(str(error)) if loaded.static.log.file_path else 1
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _give_up(message: str) -> int:
    print(f"pointsman: {message}", file=sys.stderr)
    return 1
