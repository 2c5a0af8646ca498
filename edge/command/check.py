"""`secondsight edge check`."""

from __future__ import annotations

import typer


def check(context: typer.Context) -> None:
    """Tell what is wrong with a configuration and how to mend it, without starting anything."""
