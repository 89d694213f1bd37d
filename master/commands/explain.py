"""`pointsman explain`: which router answers a request, and why the others do not."""

from __future__ import annotations

from pathlib import Path

import click

from master.commands.inspect import SETTINGS, InspectCommand, finish, inspected, source_options, split_words


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
@click.option("--all", "show_all", is_flag=True, help="List routers for other hosts and entry points, too.")
@source_options
def command(
    words: tuple[str, ...],
    method: str,
    headers: tuple[str, ...],
    client_ip: str,
    entrypoint: str,
    show_all: bool,
    kubeconfig: Path | None,
    endpoint: str,
    token: str,
    assume_endpoints: bool,
    output: str,
) -> None:
    """Read Kubernetes objects as Pointsman would and follow one request through them.

    Prints what the client would see, the router that answers with its middlewares and servers, and for every
    other router of the host what keeps it from answering. Nothing is sent anywhere.

    Exits 0 if a router answers, 1 if none does or it has no server, 2 if the command line is malformed.

    \b
    Examples:
      pointsman explain https://shop.example/cart manifests/ --assume-endpoints
      pointsman explain http://shop.example/api --method POST --header 'X-Canary: yes' --kubeconfig FILE
    """
    own, flags = split_words(words)
    if not own:
        raise click.UsageError("which URL? Write: pointsman explain https://host/path [FILE|FOLDER]...")
    with inspected(
        own[1:], flags, kubeconfig=kubeconfig, endpoint=endpoint, token=token, assume_endpoints=assume_endpoints
    ) as inspection:
        import msgspec

        from master.explain_text import lines
        from master.explaining import Explainer, refused
        from master.probe import ProbeError, entry_point_of, request_of, target_of
        from workers.errors import Failure

        try:
            target = target_of(own[0])
            name = entry_point_of(inspection.static, target, entrypoint)
            point = inspection.static.entry_points[name]
            request = request_of(target, method, headers, client_ip, name, point)
        except ProbeError as error:
            raise click.UsageError(str(error)) from error
        if isinstance(request, Failure):
            explanation = refused(request, method, target.host, target.path, name, tls=target.is_tls)
        else:
            explanation = Explainer(inspection, request, name).explain(show_all=show_all)
        if output == "json":
            click.echo(msgspec.json.format(msgspec.json.encode(explanation)))
        else:
            for line in lines(explanation):
                click.echo(line)
    finish(0 if explanation.status in (0, 200) else 1)
