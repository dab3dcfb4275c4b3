"""The root command: groups loaded only when used, and one place that turns errors into one line."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import NamedTuple

import click

from xjops import __version__
from xjops.core.errors import ConfigurationError, ExitCode, XjopsError


class Command(NamedTuple):
    """Where a command lives (module:attribute) and its line in ``xjops --help``."""

    target: str
    help: str


# The help lines stand here so that `xjops --help` imports no command.
COMMANDS = {
    "apply": Command("xjops.cli.apply:apply", "Run the site: vCenter, then hosts; run again, it goes on."),
    "bundle": Command("xjops.cli.bundle:bundle", "Build and verify the offline bundle."),
    "checklist": Command("xjops.cli.checklist:checklist", "Run the ministry's environment checklists."),
    "drift": Command("xjops.cli.drift:drift", "Look regularly at what differs, by a timer; since when."),
    "journal": Command("xjops.cli.journal:journal", "Show and verify the record of every run."),
    "lab": Command("xjops.cli.lab:lab", "A whole province as containers on this machine."),
    "plan": Command("xjops.cli.plan:plan_command", "What differs from the plan, where and why."),
    "site": Command("xjops.cli.site:site", "Show and check a site; what it lacks (gap); addresses."),
    "up": Command("xjops.cli.up:up", "A whole province on this machine, in one command."),
    "vm": Command("xjops.cli.vm:vm", "The virtual machines on vCenter: list, plan, apply, delete."),
}


class LazyGroup(click.Group):
    """A group whose subcommands are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].target.partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name].target} is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in sorted(COMMANDS.items())])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="xjops")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:
    """Put a province's student registry into service and keep it healthy."""


def report(error: XjopsError) -> None:
    """One line on standard error for each problem: what, where, and how to mend it."""
    problems = error.problems if isinstance(error, ConfigurationError) else ()
    for line in (*problems, *([] if problems and not error.what else [str(error)])):
        click.echo(f"xjops: {line}", err=True)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the ``xjops`` program; exits with a code of `ExitCode`."""
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words[:1]
    try:
        code = cli.main(args=words, standalone_mode=False)
    except XjopsError as error:
        if debug:
            raise
        report(error)
        code = error.exit_code
    except click.exceptions.Abort:
        click.echo("xjops: interrupted", err=True)
        code = ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except Exception as error:
        if debug:
            raise
        mend = f"xjops --debug {' '.join(words)}, and report it"
        report(
            XjopsError(f"internal error: {type(error).__name__}: {' '.join(str(error).split())}", mend=mend)
        )
        code = ExitCode.FAIL
    sys.exit(int(code) if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
