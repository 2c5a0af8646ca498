"""The command `secondsight`: one door to every part of the product.

Sub-commands are entry points of the group `secondsight.commands`. Each is imported only when it runs, so that
`secondsight --help` needs neither torch nor gRPC, and a part that is not installed does not take the rest with it.
"""

import ast
import sys
import traceback
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points, version
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

from secondsight.command_examples import EXAMPLES
from secondsight.exit_codes import MEANINGS, ExitCode
from secondsight.secrets import without_secrets

COMMAND_GROUP = "secondsight.commands"
GROUPS = {
    "bench": "Measure speed.",
    "eval": "Measure the codec's quality beside other codecs.",
}
OWN_PACKAGES = frozenset({"edge", "server", "secondsight", "shared_models"})


class CommandUnavailableError(Exception):
    """A sub-command cannot be imported: a package that it needs is missing."""


def _source_of(module: str) -> Path | None:
    """Find a module's file without running its parent packages, which `find_spec` would import."""
    top, *inner = module.split(".")
    spec = find_spec(top)
    for location in (spec and spec.submodule_search_locations) or ():
        path = Path(location, *inner)
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def summary_of(entry: EntryPoint) -> str:
    """Return the first line of the docstring of the entry point's module, read from its source."""
    source = _source_of(entry.module)
    if source is None:
        return "(not installed)"
    try:
        docstring = ast.get_docstring(ast.parse(source.read_bytes()))
    except SyntaxError:
        return "(cannot be read)"
    return docstring.partition("\n")[0] if docstring else ""


class DeferredCommand(TyperCommand):
    """Stands for a sub-command until it is called, and only then imports it."""

    def __init__(self, name: str, entry: EntryPoint) -> None:
        super().__init__(name, help=summary_of(entry))
        self.entry = entry

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self.load().make_context(info_name, args, parent=parent, **extra)

    def load(self) -> Any:
        """The command itself.

        Raises:
            CommandUnavailableError: it cannot be imported.
        """
        try:
            target = self.entry.load()
        except ModuleNotFoundError as error:
            missing = error.name or "?"
            if missing.partition(".")[0] in OWN_PACKAGES:
                reason = f"this installation has no module {missing}"
            else:
                reason = f"the package {missing!r} is missing; `make install` installs it"
            raise CommandUnavailableError(f"{self.entry.name!r} cannot run: {reason}") from error
        if not isinstance(target, typer.Typer):
            command, target = target, typer.Typer(add_completion=False)
            target.command(self.name)(command)
        command = typer.main.get_command(target)
        add_examples(command, self.entry.name.split("."))
        return command


def add_examples(command: Any, path: Sequence[str]) -> None:
    """Show a command's examples at the end of its help, and likewise those of its own sub-commands."""
    examples = EXAMPLES.get(" ".join(path))
    if examples:
        # Rich keeps what two line ends part on lines of their own.
        command.epilog = "\n\n".join(["Examples:", *(escape(example) for example in examples)])
    for name, inner in getattr(command, "commands", {}).items():
        add_examples(inner, [*path, name])


class DeferredGroup(TyperGroup):
    """The sub-commands whose entry points' names begin with a prefix; a dot in the rest makes a group of its own."""

    prefix = ""

    @classmethod
    def of(cls, name: str, prefix: str) -> "DeferredGroup":
        """The group `name` inside the group of `prefix`."""
        group = cls(name=name, help=GROUPS.get(name), no_args_is_help=True)
        group.prefix = f"{prefix}{name}."
        return group

    @cached_property
    def _entries(self) -> dict[str, EntryPoint]:
        return {
            entry.name.removeprefix(self.prefix): entry
            for entry in entry_points(group=COMMAND_GROUP)
            if entry.name.startswith(self.prefix)
        }

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted({name.partition(".")[0] for name in self._entries})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in self._entries:
            return DeferredCommand(cmd_name, self._entries[cmd_name])
        if any(name.startswith(f"{cmd_name}.") for name in self._entries):
            return DeferredGroup.of(cmd_name, self.prefix)
        return None


class CommandGroup(DeferredGroup):
    """The sub-commands of all installed parts; turns the product's own errors into one line and their exit codes."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            # A reader that has had enough, as in `secondsight results | head`, is no error of anybody's.
            if ctx.params.get("debug") or isinstance(error, BrokenPipeError) or not is_for_the_user(error):
                raise
            Console(stderr=True).print(
                f"[bold red]error:[/] {escape(without_secrets(str(error)))}", soft_wrap=True, highlight=False
            )
            raise typer.Exit(exit_code_of(error)) from error


def exit_code_of(error: Exception) -> int:
    """What a command ends with that raises this error: see `ExitCode`."""
    if isinstance(error, (ConnectionError, TimeoutError)):
        return ExitCode.UNREACHABLE
    return int(getattr(error, "exit_code", ExitCode.FAILURE))


def is_for_the_user(error: Exception) -> bool:
    """Tell an error that names a problem and its remedy from a defect, whose trace back must be seen."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in OWN_PACKAGES


def _print_defect(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a trace back as Python does, without the secrets of addresses that it may quote."""
    sys.stderr.write(without_secrets("".join(traceback.format_exception(kind, error, trace))))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"secondsight {version('secondsight')}")
        raise typer.Exit


_EXIT_CODES = "\n\n".join(
    [
        "Exit codes:",
        *(f"{code.value} {meaning}" for code, meaning in MEANINGS.items()),
        "Every command that prints facts takes --json. Examples stand at the end of each command's --help.",
    ]
)

app = typer.Typer(cls=CommandGroup, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback(epilog=_EXIT_CODES)
def secondsight(
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace back of every error.")] = False,
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Layered learned video coding: a small stream for machines at once, a human view on request."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code.

    Args:
        arguments: the words after `secondsight`; those of the process when None.
    """
    sys.excepthook = _print_defect
    app(args=None if arguments is None else list(arguments), prog_name="secondsight")
