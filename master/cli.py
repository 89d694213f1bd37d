"""The command `pointsman`: a thin group of commands, one file each under master/commands.

A Traefik command line works unchanged: words that begin with a dash and no command before them belong to `run`,
`--help` anywhere prints every option, and an unknown command prints the help and exits 1. Everything else about
flags is config.static_flags' business, so click hands them over untouched.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Final

import click

from config.static_flags import HELP_FLAGS
from master.commands.base import WIDTH, fail, write_options

_DEFAULT_COMMAND: Final = "run"


class Pointsman(click.Group):
    """Loads a command's file only when it is asked for; knows which command is meant where none is named."""

    COMMANDS: Final = ("run", "check", "explain", "healthcheck", "version", "demo", "whoami")

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.COMMANDS:
            return None
        command = import_module(f"master.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in HELP_FLAGS):
            args = [_DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None:
            click.echo(self.get_help(ctx))
            fail(f"command not found: {args[0]}")
        return super().resolve_command(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[COMMAND] [--option=value]...")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        write_options(formatter)


@click.command(
    cls=Pointsman,
    no_args_is_help=False,
    context_settings={"help_option_names": sorted(HELP_FLAGS), "max_content_width": WIDTH},
)
def cli() -> None:
    """Pointsman, an edge proxy for Kubernetes that serves Traefik's custom resources.

    Without a command, `run` is meant: any Traefik command line works after the name.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `pointsman` script; ends the process with the command's exit code."""
    cli.main(args=None if arguments is None else list(arguments), prog_name="pointsman")
