"""``segma``: the command line. Each command's module is imported only when it is asked for, so ``--help`` is quick."""

from __future__ import annotations

import importlib
import os
from typing import Any, Final

import click

from cli import __version__
from cli.output import fail_on
from contracts.errors import SegmaError
from transport.private import keep_files_private

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("cli.demo", "The whole trip on this machine: inbox, shop, lists that change within a second."),
    "init": ("cli.init", "Write the files of a new installation."),
    "users": ("cli.users", "Say who may sign in to the console, and what they may do."),
    "up": ("cli.up", "Start collector, flow, delivery and console, and keep them running."),
    "down": ("cli.up", "Stop what runs in a home."),
    "flow": ("cli.flow", "Run one of several flow processes in the foreground."),
    "topics": ("cli.topics", "Make and check the log's topics."),
    "test": ("cli.check", "Run the project's own tests."),
    "docs": ("cli.docs", "Build the manual as a site."),
    "bench": ("cli.bench", "Run one of the project's measurements."),
    "doctor": ("cli.doctor", "Say what this machine has, what runs, and what is wrong."),
    "import": ("cli.people", "Read the people of a list (or a CSV) into the directory."),
    "link": ("cli.links", "Print the link of one person, as it would stand in an email."),
    "tokens": ("cli.links", "Write everybody's token, as a merge field for an email platform."),
    "accounts": ("cli.accounts", "List, pause, resume and check the accounts at email platforms."),
    "deadletters": ("cli.deadletters", "List, show and replay what was set aside."),
    "rebuild": ("cli.rebuild", "Make a platform's list what the history says, where it was lost or is new."),
    "reconcile": ("cli.reconcile", "Compare a list with what Segma wants of it; mend it on demand."),
    "tail": ("cli.tail", "Follow live events, matches, moves and outcomes."),
    "runs": ("cli.runs", "How many runs of each listener wait at which step."),
    "listeners": ("cli.listeners", "Check, describe, lint and test listeners."),
    "match": ("cli.match", "Run listeners over a file of events."),
    "explain": ("cli.explain", "Say why a listener matched somebody, or why not."),
    "query": ("cli.history", "Ask the history: a named query, or SQL."),
    "why": ("cli.history", "Say why somebody is in a list: the evidence, and the platform's answer."),
    "timeline": ("cli.history", "What somebody did and what came of it, in order."),
    "backtest": ("cli.backtest", "Whom a listener would have moved: the history, by the steps that run live."),
    "lift": ("cli.lift", "Whether a listener does any good: the moved against the held out."),
    "export": ("cli.forget", "Everything that is known of a person, as JSON."),
    "forget": ("cli.forget", "Erase a person: their entry in the directory and their rows."),
    "backup": ("cli.backup", "Save a home: all that nobody could make again, in one file."),
    "restore": ("cli.backup", "Make a home of a backup."),
    "migrate": ("cli.history", "Bring the history's database up to date."),
    "compile": ("cli.compile", "Compile the flow's machine: faster, and the same."),
    "actions": ("cli.actions", "Every action, with markup, a sample event and a sample listener."),
}
"""Command → (module, one line of help). The module offers a Click command (or group) named ``<command>_command``."""


class LazyGroup(click.Group):
    """A group that imports a command's module on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of :data:`COMMANDS`: the way a newcomer goes."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Let every command but ``init``, whose files other users' processes read, write for its owner alone."""
        found = super().resolve_command(ctx, args)
        if found[0] != "init":
            former = keep_files_private()
            ctx.call_on_close(lambda: os.umask(former))
        return found

    def invoke(self, ctx: click.Context) -> Any:
        """Turn our errors into a sentence and an exit code."""
        from transport.threads import end_with_any_thread  # noqa: PLC0415 - `segma --help` needs none of it

        end_with_any_thread()
        try:
            return super().invoke(ctx)
        except SegmaError as error:
            fail_on(error)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="segma")
def cli() -> None:
    """Segma: from what people do, in order, to the list they belong in.

    Exit codes: 0 well, 1 something is wrong with what was asked about, 2 usage or settings, 3 something is not
    reachable now, 4 it runs already.
    """


def main() -> None:
    """Run the command line."""
    cli(prog_name="segma")


if __name__ == "__main__":
    main()
