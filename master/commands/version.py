"""`pointsman version`: five aligned lines as the original prints them, then what we are built on."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import click

_COLUMN: Final = 14
_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


@click.command("version")
def command() -> None:
    """Show versions of Pointsman and of what it runs on."""
    for label, value in lines():
        click.echo(f"{label + ':':<{_COLUMN}}{value}")


def lines() -> Iterator[tuple[str, str]]:
    """(label, value); the first five answer the original's five."""
    yield "Version", _version("pointsman")
    yield "Codename", f"python-{platform.python_version()}"
    yield "Python", f"{platform.python_implementation()} {platform.python_version()}"
    yield "Built", _built()
    yield "OS/Arch", f"{sys.platform}/{_MACHINES.get(platform.machine(), platform.machine())}"
    yield "HTTP parser", _http_parser()
    yield "gevent", _version("gevent")
    yield "gunicorn", _version("gunicorn")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _http_parser() -> str:
    """Which of the three does the common heads; all accept the same messages."""
    from workers.http1 import heads

    if heads.is_compiled:
        return "compiled"
    if find_spec("gunicorn_h1c") is None:
        return "pure Python"
    return f"C (gunicorn_h1c {_version('gunicorn_h1c')}); the faster one was not built or is switched off"


def _built() -> str:
    """When the distribution was installed; from a bare source tree, when this file was last changed."""
    try:
        record = distribution("pointsman").locate_file(f"pointsman-{version('pointsman')}.dist-info/METADATA")
        seconds = os.stat(str(record)).st_mtime
    except (PackageNotFoundError, OSError):
        seconds = Path(__file__).stat().st_mtime
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
