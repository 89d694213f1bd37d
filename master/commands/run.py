"""`pointsman run`: read the static configuration and hand it to the master process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from config.static_load import load
from master.commands.base import StaticCommand


@click.command("run", cls=StaticCommand)
def command(arguments: tuple[str, ...]) -> None:
    """Run the proxy.

    Exits 0 after a graceful stop, 1 if it cannot start, 2 if the command line is malformed.
    """
    loaded = load(arguments, os.environ, Path.cwd())
    from master.app import run

    sys.exit(run(loaded, list(arguments)))
