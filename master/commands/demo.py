"""`pointsman demo`: routed requests within a minute, without a cluster.

Two whoami backends in threads of this process, and a real Pointsman beside it that serves a folder of manifests.
This process then only looks at the API and prints what changes. It owns the proxy: they end together.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import click

from master.commands import samples
from master.commands.base import fail
from master.commands.demo_proxy import DemoProxy, ProxyEnded
from master.commands.demo_watch import Snapshot, changes, snapshot
from master.commands.whoami import WhoamiServer

_LOOPBACK: Final = "127.0.0.1"
_LOOK_SECONDS: Final = 0.3
_SETTLE_SECONDS: Final = 0.15
_READY_SECONDS: Final = 60.0
_IN_A_CHECKOUT: Final = Path("etc/samples")
_ELSEWHERE: Final = Path("pointsman-demo")


@click.command("demo", short_help="Serve a folder of manifests with two sample backends.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port of the proxy.")
@click.option(
    "--api-port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="Port of the API."
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 256), help="Worker processes.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Manifests to serve; samples are written there if it holds none. Default: etc/samples in a source "
    "tree, else pointsman-demo.",
)
def command(port: int, api_port: int, workers: int, directory: Path | None) -> None:
    """Serve a folder of manifests with two sample backends and show what changes."""
    folder = directory or (_IN_A_CHECKOUT if _is_checkout(Path.cwd()) else _ELSEWHERE)
    prepare(folder)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        demo(folder, port, api_port, workers)
    except KeyboardInterrupt:
        click.echo()
    except ProxyEnded as error:
        fail(str(error))


def demo(
    folder: Path,
    port: int,
    api_port: int,
    workers: int,
    backends: Sequence[tuple[str, int]] = samples.BACKENDS,
    program: Sequence[str] = (sys.executable, "-P", "-m", "master"),
) -> None:
    """Run until KeyboardInterrupt. Raises ProxyEnded when the proxy does not come up or goes away."""
    with ExitStack() as stack:
        for number, (host, backend_port) in enumerate(backends, 1):
            stack.enter_context(_backend(host, backend_port, f"whoami-{number}"))
        workplace = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pointsman-demo-")))
        proxy = stack.enter_context(
            DemoProxy(program, workplace, settings(folder, port, api_port, workers), api_port)
        )
        proxy.wait_ready(_READY_SECONDS)
        click.echo(_greeting(folder, port, api_port))
        watch(proxy)


def settings(folder: Path, port: int, api_port: int, workers: int) -> dict[str, object]:
    """The static configuration of the demo's proxy, as its file holds it."""
    return {
        "entryPoints": {
            "web": {
                "address": f"{_LOOPBACK}:{port}",
                "transport": {"lifeCycle": {"graceTimeOut": "1s"}},
            },
            "traefik": {"address": f"{_LOOPBACK}:{api_port}"},
        },
        "providers": {"manifests": {"directory": str(folder.resolve())}, "providersThrottleDuration": "100ms"},
        "api": {"insecure": True},
        "ping": {},
        "log": {"level": "WARN"},
        "workers": workers,
    }


def prepare(folder: Path) -> None:
    """Make sure that there is something to serve; files of the user are never touched."""
    folder.mkdir(parents=True, exist_ok=True)
    if not any(path.suffix in (".yaml", ".yml") for path in folder.iterdir()):
        (folder / samples.FILE_NAME).write_text(samples.WHOAMI)


def watch(proxy: DemoProxy) -> None:
    """Print a line for each change of configuration, for ever. Raises ProxyEnded."""
    known: Snapshot = {}
    while True:
        if _look(proxy, known) != known:
            # The workers take a change one after the other; look again once all have it.
            time.sleep(_SETTLE_SECONDS)
            seen = _look(proxy, known)
            for line in changes(known, seen):
                click.echo(f"{time.strftime('%H:%M:%S')} {line}")
            known = seen
        time.sleep(_LOOK_SECONDS)


def _look(proxy: DemoProxy, known: Snapshot) -> Snapshot:
    rawdata = proxy.rawdata()
    return known if rawdata is None else snapshot(rawdata)


@contextmanager
def _backend(host: str, port: int, name: str) -> Iterator[None]:
    try:
        server = WhoamiServer(host, port, name)
    except OSError as error:
        fail(f"the demo needs port {port} of {host} for a sample backend: {error.strerror}")
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def _is_checkout(cwd: Path) -> bool:
    return (cwd / "pyproject.toml").is_file() and (cwd / _IN_A_CHECKOUT).is_dir()


def _greeting(folder: Path, port: int, api_port: int) -> str:
    return f"""
Ready. Try

    curl -H 'Host: whoami.localhost' http://{_LOOPBACK}:{port}/

Edit a file in {folder} and watch the lines below; the API is at http://{_LOOPBACK}:{api_port}/api/rawdata
Ctrl-C ends the demo.
"""
