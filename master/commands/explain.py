"""`pointsman explain`: which router answers a request, and why the others do not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import click

from master.commands.base import fail
from master.commands.inspect import SETTINGS, InspectCommand, finish, inspected, source_options, split_words

if TYPE_CHECKING:
    from master.inspection import Inspection

_MOST: Final = 10
"""Findings that are worth printing where nothing answers."""


@click.command(
    "explain",
    cls=InspectCommand,
    context_settings=SETTINGS,
    add_help_option=False,
    short_help="Say which router answers a URL, and why the others do not.",
    options_metavar="[OPTIONS]",
)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="URL [FILE|FOLDER|-]...")
@click.option("--method", default="GET", show_default=True, help="Method of the request.")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header; may be repeated.")
@click.option("--client-ip", default="127.0.0.1", show_default=True, help="Address that the client comes from.")
@click.option(
    "--entrypoint",
    default="",
    help="Entry point that takes the connection. Default: the one with the URL's port, else web for http and "
    "websecure for https.",
)
@click.option("--api", "api_url", metavar="URL", default="", help="Ask the API of a running Pointsman instead.")
@click.option("--all", "show_all", is_flag=True, help="List routers for other hosts and entry points, too.")
@source_options
def command(
    words: tuple[str, ...],
    method: str,
    headers: tuple[str, ...],
    client_ip: str,
    entrypoint: str,
    api_url: str,
    show_all: bool,
    kubeconfig: Path | None,
    endpoint: str,
    token: str,
    assume_endpoints: bool,
    output: str,
) -> None:
    """Read Kubernetes objects as Pointsman would and follow one request through them.

    Prints what the client would see, the router that answers with its middlewares and servers, and for every
    other router of the host what keeps it from answering. The request itself is sent nowhere.

    Exits 0 if a router answers, 1 if none does or it has no server, 2 if the command line is malformed.

    \b
    Examples:
      pointsman explain https://shop.example/cart manifests/ --assume-endpoints
      pointsman explain http://shop.example/api --method POST --header 'X-Canary: yes' --kubeconfig FILE
      pointsman explain https://shop.example/cart --api http://127.0.0.1:8080
    """
    own, flags = split_words(words)
    if not own:
        raise click.UsageError("which URL? Write: pointsman explain https://host/path [FILE|FOLDER]...")
    asked = Asked(own[0], method, headers, client_ip, entrypoint)
    if api_url:
        if own[1:] or kubeconfig is not None or endpoint:
            raise click.UsageError("--api asks a running instance: leave out files, --kubeconfig and --endpoint")
        code = _show(remote(api_url), asked, show_all=show_all, output=output)
    else:
        with inspected(
            own[1:],
            flags,
            kubeconfig=kubeconfig,
            endpoint=endpoint,
            token=token,
            assume_endpoints=assume_endpoints,
        ) as inspection:
            code = _show(inspection, asked, show_all=show_all, output=output)
    finish(code)


class Asked(NamedTuple):
    """The request as the command line describes it."""

    url: str
    method: str
    headers: tuple[str, ...]
    client_ip: str
    entry_point: str


def remote(url: str) -> Inspection:
    """What a running instance says; ends the command if it says nothing."""
    from master.remote import RemoteError, RemoteInspection

    try:
        return cast("Inspection", RemoteInspection(url))  # the part of one that explaining looks at
    except RemoteError as error:
        fail(str(error))


def _show(inspection: Inspection, asked: Asked, *, show_all: bool, output: str) -> int:
    """Print the explanation; the exit code."""
    import msgspec

    from master.explain_text import lines
    from master.explaining import Explainer, refused
    from master.probe import ProbeError, entry_point_of, request_of, target_of
    from workers.errors import Failure

    try:
        target = target_of(asked.url)
        name = entry_point_of(inspection.static, target, asked.entry_point)
        point = inspection.static.entry_points[name]
        request = request_of(target, asked.method, asked.headers, asked.client_ip, name, point)
    except ProbeError as error:
        raise click.UsageError(str(error)) from error
    if isinstance(request, Failure):
        explanation = refused(request, asked.method, target.host, target.path, name, tls=target.is_tls)
    else:
        explanation = Explainer(inspection, request, name).explain(show_all=show_all)
        if explanation.winner is None and not any(True for _ in inspection.origins()):
            explanation.findings = [one for one in inspection.reading.findings if one.severity == "error"][:_MOST]
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(explanation)))
    else:
        for line in lines(explanation):
            click.echo(line)
    return 0 if explanation.status in (0, 200) else 1
