"""List the recognition tasks of a store, or have it forget one that nobody runs any longer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from secondsight import store_keys
from server.errors import StoreUnavailableError
from server.store.client import STORE_ERRORS, open_client
from server.tasks import TaskInUseError, Tasks
from shared_models.command.printing import AsJson, print_json

_T = TypeVar("_T")

app = typer.Typer(add_completion=False, no_args_is_help=True)

_StoreOption = Annotated[
    str,
    typer.Option(
        envvar="SECONDSIGHT_STORE",
        help="URL of the store: redis://HOST:PORT/0, or redis+cluster://HOST:PORT.",
    ),
]


@app.command("list")
def list_tasks(store: _StoreOption, as_json: AsJson = False) -> None:
    """Print every task: its workers, and how far it is behind."""
    tasks = _run(store, lambda tasks: tasks.all())
    if as_json:
        print_json({"tasks": [asdict(task) for task in tasks]})
        return
    table = Table("task", "workers", "cameras", "frames that await it", "given up")
    for task in tasks:
        table.add_row(task.name, str(task.workers), str(task.cameras), str(task.lag), str(task.dead))
    Console().print(table)


@app.command()
def remove(
    task: Annotated[str, typer.Argument(help="Name of the task.")],
    store: _StoreOption,
    as_json: AsJson = False,
) -> None:
    """Forget a task, with its results and the frames that it gave up; no frame is kept for it any longer."""
    try:
        cameras = _run(store, lambda tasks: tasks.remove(task))
    except TaskInUseError as error:
        raise typer.BadParameter(str(error)) from error
    except store_keys.InvalidCameraIdError as error:
        raise typer.BadParameter(f"{task!r} is no name of a task: {error}") from error
    if not cameras:
        raise typer.BadParameter(
            f"no camera has frames for a task {task}: `secondsight tasks list` shows those that there are"
        )
    if as_json:
        print_json({"task": task, "cameras": cameras})
    else:
        typer.echo(f"task {task} is forgotten, of {cameras} cameras")


def _run(store: str, ask: Callable[[Tasks], Awaitable[_T]]) -> _T:
    async def run() -> _T:
        async with open_client(store) as client:
            return await ask(Tasks(client))

    try:
        return asyncio.run(run())
    except STORE_ERRORS as error:
        raise StoreUnavailableError(
            f"the store does not answer ({error}): start it, or name another by --store"
        ) from error
