"""`pointsman check`: what is wrong with manifests or with a cluster's objects, and the routes that result."""

from __future__ import annotations

from pathlib import Path

import click

from master.commands.inspect import SETTINGS, InspectCommand, finish, inspected, source_options, split_words


@click.command(
    "check",
    cls=InspectCommand,
    context_settings=SETTINGS,
    add_help_option=False,
    short_help="Say what is wrong with manifests or a cluster's objects.",
    options_metavar="[OPTIONS]",
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[FILE|FOLDER|-]...")
@click.option("--strict", is_flag=True, help="Warnings fail the check, too.")
@click.option("--namespace", "namespaces", multiple=True, help="Report on this namespace only; may be repeated.")
@source_options
def command(
    words: tuple[str, ...],
    strict: bool,
    namespaces: tuple[str, ...],
    kubeconfig: Path | None,
    endpoint: str,
    token: str,
    assume_endpoints: bool,
    output: str,
) -> None:
    """Read Kubernetes objects as Pointsman would, serve nothing, and print what is wrong and which routes result.

    Exits 0 if there is no error, 1 if there is one (with --strict: or a warning), 2 if the command line is
    malformed.

    \b
    Examples:
      pointsman check manifests/ --assume-endpoints --strict
      kubectl kustomize overlays/prod | pointsman check -
      pointsman check --kubeconfig ~/.kube/config --namespace shop
    """
    paths, flags = split_words(words)
    with inspected(
        paths, flags, kubeconfig=kubeconfig, endpoint=endpoint, token=token, assume_endpoints=assume_endpoints
    ) as inspection:
        import msgspec

        from master.check_text import lines
        from master.checking import check

        report = check(inspection, namespaces)
        if output == "json":
            click.echo(msgspec.json.format(msgspec.json.encode(report)))
        else:
            for line in lines(report):
                click.echo(line)
    finish(int(report.fails(strict=strict)))
