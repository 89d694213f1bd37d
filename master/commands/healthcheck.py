"""`pointsman healthcheck`: ask a running Pointsman's /ping, for container health checks.

It must get the configuration of the running process (repeat the flags); only so does it know the address.
"""

from __future__ import annotations

import http.client
import os
import sys
from pathlib import Path
from typing import Final

import click

from config.static import AddressError, StaticConfiguration, parse_address
from config.static_load import load
from master.commands.base import StaticCommand

_TIMEOUT_SECONDS: Final = 5.0


@click.command("healthcheck", cls=StaticCommand, short_help="Ask /ping of a running Pointsman.")
def command(arguments: tuple[str, ...]) -> None:
    """Ask /ping of a running Pointsman that was started with the same options.

    Exits 0 if it is well, 1 if it is not, does not answer within 5 seconds, or ping is not switched on.
    """
    static = load(arguments, os.environ, Path.cwd(), validate=False).static
    sys.exit(check(static))


def check(static: StaticConfiguration) -> int:
    """Print the outcome in the original's words; the exit code is returned."""
    if static.ping is None:
        return _impossible("please enable `ping` to use health check")
    point = static.entry_points.get(static.ping.entry_point)
    if point is None:
        return _impossible(f"ping: missing {static.ping.entry_point} entry point")
    url = f"http://{point.address.partition('/')[0]}/ping"
    try:
        address = parse_address(point.address)
        status, reason = _head(address.host or "localhost", address.port)
    except (OSError, http.client.HTTPException, AddressError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return _impossible(f'Head "{url}": {reason}')
    if status != http.HTTPStatus.OK:
        click.echo(f"Bad healthcheck status: {status} {reason}".rstrip())
        return 1
    click.echo(f"OK: {url}")
    return 0


def _impossible(reason: str) -> int:
    click.echo(f"Error calling healthcheck: {reason}")
    return 1


def _head(host: str, port: int) -> tuple[int, str]:
    """Plain HTTP and no proxy, whatever the environment says."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("HEAD", "/ping")
        response = connection.getresponse()
        return response.status, response.reason
    finally:
        connection.close()
