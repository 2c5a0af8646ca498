"""The command line that a result came from, for the file that holds the result."""

from __future__ import annotations

import shlex
from pathlib import Path

import typer


def as_typed(context: typer.Context, *command: str) -> str:
    """The command line anew; of a path its last part, since where folders lie differs between machines."""
    words = ["secondsight", *command]
    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        # How it is printed is no part of what was found.
        if source is None or source.name != "COMMANDLINE" or "--json" in parameter.opts:
            continue
        given = context.params[name]
        for value in given if isinstance(given, list | tuple) else [given]:
            if parameter.param_type_name == "argument":
                words.append(Path(value).name)
            elif isinstance(value, bool):
                words.append(parameter.opts[0] if value else parameter.secondary_opts[0])
            else:
                words += [parameter.opts[0], Path(value).name if isinstance(value, Path) else str(value)]
    return shlex.join(words)
