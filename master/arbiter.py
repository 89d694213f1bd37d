"""The master process: gunicorn's Arbiter with what an edge proxy needs of its own.

gunicorn gives the main loop, the signals and their order, hang detection, pidfiles and promotion after a binary
upgrade. Overridden is what its model of one listener set, anonymous workers and READY=1 at start cannot
express; each override says why. The workers are the crew's, the provider is in children, sockets in sockets:
this file connects them. There are no threads, no client sockets and no hub here.
"""

from __future__ import annotations

import gc
import logging
import os
import queue
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.pidfile import Pidfile

from config.cells import Cells
from config.control_page import ControlPage, Head
from config.logs import reopen_logs, setup_logging
from config.static import StaticConfiguration, encode_static
from master import privileges, upgrade
from master.activation import take_descriptors
from master.children import Provider, provider_environment
from master.crew import Crew, NoWorkerStarts
from master.generations import ChannelClosed, Generations
from master.loop import Loop
from master.notify import Notifier
from master.spawn import describe_status, spawn
from master.startup import log_addresses, open_sockets

if TYPE_CHECKING:
    from master.app import PointsmanApplication

TICK_SECONDS: Final = 1.0
QUICK_STOP_SECONDS: Final = 3.0
PACKAGES: Final = Path(__file__).resolve().parent.parent

log = logging.getLogger(__name__)


class PointsmanArbiter(Arbiter):
    """Main thread only. `run` does not return: it ends in SystemExit with the exit code."""

    app: PointsmanApplication
    num_workers: int
    reexec_pid: int
    master_pid: int

    def __init__(self, app: PointsmanApplication) -> None:
        self.page = ControlPage.create()
        self.loop = Loop()
        self.generations = Generations(self.page)
        self.notifier = Notifier(os.environ)
        environ = provider_environment(os.environ, PACKAGES)
        self.provider = Provider(self.page, environ, self.loop, self._hear_provider)
        self.crew = Crew(app, self.page, self.loop, self.generations, self.provider, Cells.create())
        super().__init__(app)
        self.WORKERS = self.crew.workers

    def start(self) -> None:
        """Bind everything, give up root, start the provider.

        Not gunicorn's: it would bind one listener set, and say READY=1 before any worker serves anything.
        """
        self.pid = os.getpid()
        self.page[Head.MASTER_PID] = self.pid
        privileges.name_process("pointsman")
        if "GUNICORN_PID" in os.environ:
            self.master_pid = int(os.environ["GUNICORN_PID"])
            self.master_name = "Master.2"
        heritage = upgrade.take_heritage(os.environ)
        descriptors = take_descriptors(os.environ, self.pid)
        self._create_pidfile()
        try:
            self.init_signals()
            self.crew.sockets = open_sockets(self.app.static, self.num_workers, heritage, descriptors)
        except BaseException:
            if self.pidfile is not None:
                self.pidfile.unlink()
            raise
        has_generation = upgrade.adopt_generation(heritage, self.generations, self.page)
        # beside a master that serves, workers without routes would answer 404
        self.crew.waits_for_generation = bool(self.master_pid) and not has_generation
        self.provider.start(encode_static(self.app.static))
        # what is loaded now never changes: the collector must not touch (and so copy) its pages in the workers
        gc.collect()
        gc.freeze()

    def _create_pidfile(self) -> None:
        if self.cfg.pidfile is not None:
            self.pidfile = Pidfile(self.cfg.pidfile + (".2" if self.master_pid else ""))
            self.pidfile.create(self.pid)

    def init_signals(self) -> None:
        """As gunicorn's; a signal also ends the poll."""
        super().init_signals()
        self.loop.catch_signals()

    def wait_for_signals(self, timeout: float = TICK_SECONDS) -> list[int]:
        """gunicorn's waits on the queue alone, and a new generation would wait with it."""
        now = time.monotonic()
        if not self.crew.is_stopping:
            timeout = min(timeout, self.crew.seconds_to_next_step(now), self.provider.seconds_to_next_step(now))
        self.loop.run_once(min(timeout, self.notifier.seconds_to_beat(now)))
        signals: list[int] = []
        while True:
            try:
                number = self.SIG_QUEUE.get_nowait()
            except queue.Empty:
                return signals
            if number not in signals:
                signals.append(number)

    # --- workers, provider and what is told outside

    def manage_workers(self) -> None:
        """gunicorn's counts workers; ours have places, and drain only when their successors serve."""
        now = time.monotonic()
        self.provider.manage(now)
        self.crew.drain_seconds = float(self.cfg.graceful_timeout)
        self.crew.has_twin = bool(self.reexec_pid or self.master_pid)
        wanted = self.crew.manage(self.num_workers, now)
        if wanted != self.num_workers:
            self.num_workers = wanted
        self._report(now)

    def _report(self, now: float) -> None:
        is_ready = self.crew.serves(self.page[Head.FIRST_COMPLETE], self.num_workers)
        if is_ready:
            self.page[Head.READY] = 1
        number = self.generations.number
        serving = f"serving generation {number}" if number else "waiting for the first generation"
        self.notifier.update(
            is_ready, f"{serving} with {self.crew.serving_count} workers; provider {self.provider.state}"
        )
        self.notifier.beat(now, self.crew.is_alive(now, self.timeout))

    def handle_chld(self) -> None:
        """The provider first: the general wait would claim it as an unknown child."""
        self._hear_provider()
        self.provider.reap()
        self.reap_workers()

    # gunicorn finds the handler by the last name of the number, which may be the alias
    handle_cld = handle_chld

    def reap_workers(self) -> None:
        """gunicorn's ends the whole tree when one worker fails to boot; here that lane tries again."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            try:
                self._bury(pid, status)
            except NoWorkerStarts as error:
                raise HaltServer(str(error), 1) from error

    def _bury(self, pid: int, status: int) -> None:
        if pid == self.reexec_pid:
            self.reexec_pid = 0
            log.warning("the new master %s, this one goes on", describe_status(status))
        elif not self.crew.ended(pid, status) and not self.provider.ended(pid, status):
            # as PID 1 we inherit orphans
            log.debug("reaped a foreign child", extra={"pid": pid})

    def _hear_provider(self) -> None:
        channel = self.provider.channel
        if channel is None:
            return
        try:
            if not self.generations.receive(channel):
                return
        except ChannelClosed:
            self.provider.abandon()
            return
        self.crew.waits_for_generation = False
        self.crew.relay()
        log.debug("generation relayed", extra={"generation": self.generations.number})

    # --- signals

    def handle_usr1(self) -> None:
        """Also the provider's log and, through the epoch, whatever a worker writes besides."""
        reopen_logs()
        self.page[Head.LOG_EPOCH] += 1
        self.kill_workers(signal.SIGUSR1)
        self.provider.reopen_logs()

    def handle_winch(self) -> None:
        """Drain all workers but stay, the old master's part in a binary upgrade; HUP brings them back.

        gunicorn asks whether it was daemonized; what matters is that a terminal's resize means nothing.
        """
        if _has_terminal():
            log.debug("WINCH ignored, there is a terminal")
            return
        log.info("graceful stop of workers")
        self.crew.is_paused = True

    def reload(self) -> None:
        """HUP. gunicorn's closes listeners before new ones are bound and blocks until old workers are gone.

        Here everything is read and bound first; a failure leaves the running configuration alone.
        """
        self.notifier.reloading()
        try:
            loaded = self.app.read_again()
            new_names = self.crew.sockets.update(loaded.static.entry_points)
        except Exception as error:
            log.error("reload refused, the running configuration stays: %s", error)
            return
        former = self.app.static
        self.app.take(loaded)
        self.setup(self.app)
        self._apply_log_settings()
        for warning in loaded.warnings:
            log.warning("%s", warning)
        log_addresses(self.crew.sockets, new_names)
        if _start_only(former) != _start_only(loaded.static):
            log.warning("user, group and pidFile are taken at start only")
        self.crew.is_paused = False
        self.crew.roster.begin_epoch()
        self.provider.start(encode_static(self.app.static))

    def _apply_log_settings(self) -> None:
        try:
            setup_logging(self.app.static.log, "master")
        except OSError as error:
            log.error("log settings not applied", extra={"error": error})

    def reexec(self) -> None:
        """USR2. gunicorn passes a bare list of descriptors; ours belong to entry points and lanes."""
        if self.reexec_pid or self.master_pid:
            log.warning("USR2 ignored, another master is here already")
            return
        heritage = upgrade.heritage_of(self.crew.sockets, self.generations, self.page)
        environ = dict(self.app.environ)
        environ.pop("WATCHDOG_PID", None)
        environ["GUNICORN_PID"] = str(self.pid)
        environ[upgrade.VARIABLE] = upgrade.encode(heritage)
        # orig_argv, not argv: `python -m master` must stay a module run
        command = [sys.executable, *sys.orig_argv[1:]]
        try:
            self.reexec_pid = spawn(command, environ, heritage.descriptors(), self._before_reexec)
        except OSError as error:
            log.error("no new master: %s", error.strerror)
            return
        log.info("new master started", extra={"pid": self.reexec_pid})

    def _before_reexec(self) -> None:
        os.chdir(self.app.cwd)
        privileges.pass_bind_capability_on()

    def maybe_promote_master(self) -> None:
        """The pidfile may lie where the user we became cannot write: that must not end the tree."""
        was_second = self.master_pid != 0
        try:
            super().maybe_promote_master()
        except (OSError, RuntimeError) as error:
            log.error("pidfile not renamed", extra={"error": error})
        if was_second and self.master_pid == 0:
            log.info("this master is the only one now")
            self.notifier.main_process(self.pid)

    # --- the end

    def stop(self, graceful: bool = True) -> None:
        """gunicorn's polls ten times a second and knows neither ping's first step nor a provider to stop last."""
        if self.crew.is_stopping:
            return
        self.crew.is_stopping = self.provider.is_stopping = True
        self.page[Head.TERMINATING] = 1
        log.info("I have to go...")
        allowed = float(self.cfg.graceful_timeout) if graceful else QUICK_STOP_SECONDS
        if self.reexec_pid:
            self.notifier.main_process(self.reexec_pid)
        else:
            self.notifier.stopping("draining", allowed)
        # the workers hold copies: each closes them when its grace time for accepting is over
        self.crew.sockets.close()
        self.kill_workers(signal.SIGTERM if graceful else signal.SIGQUIT)
        self._await_workers(allowed, graceful)
        self.kill_workers(signal.SIGKILL)
        self._await_workers(QUICK_STOP_SECONDS, graceful=False)
        self.provider.stop(QUICK_STOP_SECONDS)
        self.reap_workers()

    def _await_workers(self, allowed_seconds: float, graceful: bool) -> None:
        """A further TERM changes nothing; INT or QUIT cut the draining short."""
        limit = time.monotonic() + allowed_seconds
        while self.WORKERS and (left := limit - time.monotonic()) > 0:
            for number in self.wait_for_signals(min(left, TICK_SECONDS)):
                if number in (signal.SIGINT, signal.SIGQUIT) and graceful:
                    graceful = False
                    limit = min(limit, time.monotonic() + QUICK_STOP_SECONDS)
                    self.kill_workers(signal.SIGQUIT)
                elif number == signal.SIGCHLD:
                    self.handle_chld()
                elif number == signal.SIGUSR1:
                    self.handle_usr1()
            self.notifier.beat(time.monotonic(), is_healthy=True)


def _start_only(static: StaticConfiguration) -> tuple[str, ...]:
    return static.user, static.group, static.pid_file


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
