"""Print all commands with their options and examples: docs/commands.md is made so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from secondsight.exit_codes import MEANINGS

if TYPE_CHECKING:
    from secondsight.command_tree import Command, Parameter

app = typer.Typer(add_completion=False)

_NOT_RUN = "not run: tests hold the options to those that there are"
_HEAD = """# Commands

Made by `secondsight commands > docs/commands.md`. What a command prints of facts goes to standard output, as JSON with
`--json`: one document, or one a line where that is said. All else goes to standard error: progress, which is drawn on
terminals alone, notes and errors. `secondsight --debug …` shows the trace back of an error.

`eval "$(secondsight completion bash)"` in the shell's start file completes commands and options; zsh and fish can, too.
"""


@app.command("commands")
def print_commands(
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Print all commands with their options and examples, as Markdown."""
    from secondsight.command_tree import commands

    found = list(commands())
    typer.echo(json.dumps([asdict(each) for each in found]) if as_json else "\n".join(document(found)))


def document(commands: Iterable[Command]) -> Iterator[str]:
    """Lines of the page."""
    yield _HEAD
    yield "| exit code | |"
    yield "|---|---|"
    for code, meaning in MEANINGS.items():
        yield f"| {code.value} | {meaning} |"
    for command in commands:
        yield f"\n## {command.name}\n" if len(command.path) == 1 else f"\n### {command.name}\n"
        yield _paragraphs(command.help)
        if command.parameters and (command.parameters[0].names != ("--help",)):
            yield "\n| | |"
            yield "|---|---|"
            for parameter in command.parameters:
                if parameter.names != ("--help",):
                    yield f"| {_names(parameter)} | {_told(parameter)} |"
        if command.examples:
            yield f"\n```sh {_NOT_RUN}"
            yield from command.examples
            yield "```"


def _paragraphs(text: str) -> str:
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text.replace("\b\n", "")).strip()


def _names(parameter: Parameter) -> str:
    if not parameter.is_option:
        return f"`{parameter.names[0]}`"
    return ", ".join(f"`{name}`" for name in parameter.names)


def _told(parameter: Parameter) -> str:
    told = [" ".join(parameter.help.split())]
    if parameter.choices:
        told.append(f"One of {', '.join(f'`{each}`' for each in parameter.choices)}.")
    if parameter.required and parameter.is_option:
        told.append("Needed.")
    if parameter.repeatable and "epeat" not in told[0] and "several times" not in told[0]:
        told.append("Repeatable.")
    if parameter.default:
        told.append(f"Default: {parameter.default}.")
    if parameter.variables:
        told.append(f"Environment: {', '.join(f'`{each}`' for each in parameter.variables)}.")
    return " ".join(each for each in told if each).replace("|", "\\|")
