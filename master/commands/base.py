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
        formatter.write(f"\n{as_text(WIDTH)}")


def fail(message: str, code: int = EXIT_FAILURE) -> NoReturn:
    """End the command with a message on standard error, one line for each thing that is wrong."""
    for line in message.splitlines():
        click.echo(f"pointsman: {line}", err=True)
    sys.exit(code)
