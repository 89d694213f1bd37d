"""What `check` and `explain` share: what to look at, taken from paths, options and the static configuration.

Both look at objects once and end. They never serve, watch or write anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from config.static import StaticConfiguration
from config.static_flags import takes_next_word, wants_help
from config.static_load import from_mapping, load
from config.static_providers import KubernetesCRD, KubernetesOptions
from master.commands.base import WIDTH, StaticCommand, fail

if TYPE_CHECKING:
    from master.inspection import Inspection

F = TypeVar("F", bound=Callable[..., None])

ASSUMED: Final = {"web": {"address": ":80"}, "websecure": {"address": ":443"}, "traefik": {"address": ":8080"}}
"""Entry points where no static configuration is given: the names that nearly every manifest uses."""
_DEFAULTS: Final = "built-in defaults"
_NO_PROVIDER: Final = "no provider is configured"
_NOTE: Final = (
    "Paths are manifests: files, folders, or - for standard input. Without paths and without --kubeconfig or "
    "--endpoint, what the static configuration says is looked at (providers.manifests, providers.kubernetesCRD, "
    "providers.kubernetesIngress), then KUBECONFIG or the cluster around us. Every option of `pointsman run` is "
    "taken as well, with two dashes: entry points and the options of the Kubernetes providers count; Ingresses "
    "are looked at with --providers.kubernetesIngress only. Where no static configuration is given at all, entry "
    "points web (:80), websecure (:443) and traefik (:8080) are assumed."
)


class InspectCommand(StaticCommand):
    """Own options, then words: paths and the flags of `run`, in any order."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if wants_help(args):
            click.echo(self.get_help(ctx))
            ctx.exit()
        return click.Command.parse_args(self, ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        click.Command.format_usage(self, ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        click.Command.format_options(self, ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(_NOTE)


SETTINGS: Final[Mapping[str, Any]] = {
    "ignore_unknown_options": True,  # they are the static configuration's
    "max_content_width": WIDTH,
}


def source_options(function: F) -> F:
    """The options that say what to look at, and how to print what was seen."""
    for option in (
        click.option("--output", type=click.Choice(("text", "json")), default="text", show_default=True,
                     help="For people or for programs."),
        click.option("--assume-endpoints", is_flag=True,
                     help="Give Services without EndpointSlices one made-up server, as files in version control "
                     "rarely hold any."),
        click.option("--token", default="", help="Bearer token for --endpoint, or a file that holds it."),
        click.option("--endpoint", metavar="URL", default="", help="Look at the cluster behind this API server."),
        click.option("--kubeconfig", type=click.Path(dir_okay=False, path_type=Path),
                     help="Look at the cluster that this file names."),
    ):  # fmt: skip
        function = option(function)
    return function


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """(words of ours, static flags with their values), each in order."""
    own: list[str] = []
    flags: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            own.append(word)
            continue
        flags.append(word)
        if takes_next_word(word) and rest:
            flags.append(rest.pop(0))
    return own, flags


@contextmanager
def inspected(
    paths: Sequence[str],
    flags: Sequence[str],
    *,
    kubeconfig: Path | None,
    endpoint: str,
    token: str,
    assume_endpoints: bool,
) -> Iterator[Inspection]:
    """Everything read, translated and built; ends the command if that is impossible. Raises StaticError."""
    from master.inspection import Inspection
    from provider.kube.errors import ApiError, ConnectionSettings
    from provider.kube.selectors import SelectorError

    loaded = load(flags, os.environ, Path.cwd())
    for warning in loaded.warnings:
        if not warning.startswith(_NO_PROVIDER):  # what is looked at is said otherwise here
            click.echo(f"pointsman: {warning}", err=True)
    assumed = loaded.source == _DEFAULTS
    static = from_mapping({"entryPoints": ASSUMED}) if assumed else loaded.static
    files = [Path(path) for path in paths]
    for path in files:
        if str(path) != "-" and not path.exists():
            raise click.UsageError(f"there is no {path}")
    settings, environ = _cluster(static, files, kubeconfig, endpoint, token)
    if not files and kubeconfig is None and not endpoint and static.providers.manifests is not None:
        files = [Path(static.providers.manifests.directory)]
    if not files and settings is None:
        raise click.UsageError("nothing to look at: name files or folders, --kubeconfig or --endpoint")
    try:
        inspection = Inspection(static, "assumed" if assumed else loaded.source, assumed)
        inspection.read(files, settings, environ, assume_endpoints=assume_endpoints)
    except SelectorError as error:
        fail(f"labelSelector: {error}")
    except ConnectionSettings as error:
        fail(str(error))
    except ApiError as error:
        fail(error.message + (f"; {error.advice}" if error.advice else ""))
    with inspection:
        yield inspection


def _cluster(
    static: StaticConfiguration, files: Sequence[Path], kubeconfig: Path | None, endpoint: str, token: str
) -> tuple[KubernetesOptions | None, Mapping[str, str]]:
    """How to reach the cluster, if one is to be looked at, and the environment that says so."""
    import msgspec

    configured = static.providers.kubernetes_crd or static.providers.kubernetes_ingress
    settings = configured or KubernetesCRD()
    bare = {name: value for name, value in os.environ.items() if not _names_a_cluster(name)}
    if kubeconfig is not None:
        return settings, bare | {"KUBECONFIG": str(kubeconfig)}
    if endpoint:
        return msgspec.structs.replace(settings, endpoint=endpoint, token=token or settings.token), bare
    if files:
        return None, os.environ
    around = any(os.environ.get(name) for name in os.environ if _names_a_cluster(name))
    if configured is not None and (configured.endpoint or around):
        return configured, os.environ
    if around and static.providers.manifests is None:
        return settings, os.environ
    return None, os.environ


def _names_a_cluster(variable: str) -> bool:
    return variable in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")


def finish(code: int) -> None:
    """End the command with an exit code once everything is printed."""
    sys.stdout.flush()
    sys.exit(code)
