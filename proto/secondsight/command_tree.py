"""All commands, as they describe themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, get_args

from typer.main import get_command

from secondsight.command_examples import EXAMPLES
from secondsight.command_line import DeferredCommand, app


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """An argument or an option of a command.

    Attributes:
        names: of an option, all of them; of an argument, how it stands in the usage line.
        default: as the help shows it; empty when there is none to show.
    """

    names: tuple[str, ...]
    is_option: bool
    required: bool
    repeatable: bool
    choices: tuple[str, ...]
    default: str
    variables: tuple[str, ...]
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command, by the words behind `secondsight`."""

    path: tuple[str, ...]
    help: str
    is_group: bool
    parameters: tuple[Parameter, ...] = field(default=())
    examples: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """Its words."""
        return " ".join(self.path)


def commands() -> Iterator[Command]:
    """Every command and group, each group before what is in it. Imports all of them, torch too."""
    root = get_command(app)
    context = root.make_context("secondsight", [], resilient_parsing=True)
    yield from _walk(root, context, ())


def _walk(command: Any, context: Any, path: tuple[str, ...]) -> Iterator[Command]:
    summary = command.help or ""
    if isinstance(command, DeferredCommand):
        command = command.load()
    names = command.list_commands(context) if hasattr(command, "list_commands") else []
    if path:
        yield Command(
            path=path,
            help=inspect.cleandoc(command.help or summary),
            is_group=bool(names),
            parameters=tuple(_parameter(each) for each in command.params if not each.hidden),
            examples=EXAMPLES.get(" ".join(path), ()),
        )
    for name in names:
        yield from _walk(command.get_command(context, name), context, (*path, name))


def _parameter(parameter: Any) -> Parameter:
    is_option = parameter.param_type_name == "option"
    names = (
        [*parameter.opts, *parameter.secondary_opts]
        if is_option
        else [parameter.metavar or parameter.name.upper()]
    )
    shown = getattr(parameter, "show_default", None)
    default = parameter.default
    if isinstance(shown, str):
        told = shown
    elif (
        default is None
        or default == []
        or callable(default)
        or parameter.required
        or isinstance(default, bool)
    ):
        told = ""
    else:
        told = ", ".join(map(str, default)) if isinstance(default, (list, tuple)) else str(default)
    variables = parameter.envvar or ()
    return Parameter(
        names=tuple(names),
        is_option=is_option,
        required=parameter.required,
        repeatable=parameter.multiple if is_option else parameter.nargs == -1,
        choices=_choices(parameter.type_descriptor.annotation),
        default=told,
        variables=(variables,) if isinstance(variables, str) else tuple(variables),
        help=getattr(parameter, "help", None) or "",
    )


def _choices(annotation: Any) -> tuple[str, ...]:
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, Enum):
            return tuple(str(each.value) for each in kind)
    return ()
