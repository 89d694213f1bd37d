"""What the commands share: words that are static configuration, and how a command fails."""

from __future__ import annotations

import sys
from typing import Any, Final, NoReturn

import click

from config.static_errors import StaticError, UsageError
from config.static_flags import wants_help
from config.static_reference import as_text

EXIT_FAILURE: Final = 1
EXIT_USAGE: Final = 2
WIDTH: Final = 100
SOURCES: Final = (
    "Options are read from exactly one source: a configuration file if there is one, else flags, else "
    "environment variables (TRAEFIK_ in place of POINTSMAN_ works too). Flags take one or two dashes and any "
    "letter case; a value follows after = or a blank; a switch is on by its bare name; lists are separated by "
    "commas or the flag is repeated. A duration is a number of seconds or 300ms, 10s, 1m30s, 2h."
)


class StaticCommand(click.Command):
    """A command whose words are static configuration: they reach it as `arguments`, as written."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if wants_help(args):
            click.echo(self.get_help(ctx))
            ctx.exit()
        ctx.params["arguments"] = tuple(args)
        return []

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UsageError as error:
            fail(f"{error}\nTry 'pointsman {self.name} --help' for every option.", EXIT_USAGE)
        except StaticError as error:
            fail(str(error))

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[--option=value]...")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_options(formatter)


def write_options(formatter: click.HelpFormatter) -> None:
    """The reference of all static options, with the rules for giving them."""
    formatter.write_paragraph()
    formatter.write_text(SOURCES)
    formatter.write(f"\n{as_text(WIDTH)}")


def fail(message: str, code: int = EXIT_FAILURE) -> NoReturn:
    """End the command with a message on standard error, one line for each thing that is wrong."""
    for line in message.splitlines():
        click.echo(f"pointsman: {line}", err=True)
    sys.exit(code)
