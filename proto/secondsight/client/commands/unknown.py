"""Say of names that nobody has had so far: waiting for a slip of the pen looks like any other waiting."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import typer

from secondsight import store_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secondsight.client import Client

_MOST_NAMED: Final = 20
_PATIENCE_S: Final = 2.0


def note_waiting(client: Client, cameras: Sequence[str], task: str) -> None:
    """Say which of the cameras, and whether the task, are not known so far, before one waits for their results.

    Whether a camera is one that the caller may not see is left to the subscription, which is refused then.
    """
    from secondsight.client import NO_RETRIES, Client, ClientError, Timeouts

    # Results need gRPC alone: where nobody answers over HTTP, they are not to wait for it.
    timeouts = Timeouts(connect=_PATIENCE_S, read=_PATIENCE_S)
    with Client(replace(client.settings, timeouts=timeouts, retries=NO_RETRIES)) as impatient:
        with suppress(ClientError):
            known = [each.camera for each in impatient.cameras()] if cameras else []
            unknown = [each for each in dict.fromkeys(cameras) if each not in known]
            unknown = [each for each in unknown if _is_unknown(impatient, each)]
            if unknown:
                _note(f"camera {_listed(unknown)}", known, "; waiting for it")
        note_unknown_task(impatient, task, "; waiting for it")


def note_unknown_task(client: Client, task: str | None, consequence: str = "") -> bool:
    """Say that a task is not known so far, if it is not; give whether that was said. Without a name nothing is said."""
    from secondsight.client import ClientError

    if not task:
        return False
    with suppress(ClientError):
        known = sorted({store_keys.DEFAULT_TASK, *(each.task for each in client.recognisers())})
        if task not in known:
            _note(f"task {task}", known, consequence)
            return True
    return False


def _is_unknown(client: Client, camera: str) -> bool:
    """Whether there is none, and not only none that the caller may see.

    Raises:
        ClientError: it is not the caller's to see, or nobody can tell.
    """
    from secondsight.client import UnknownCameraError

    try:
        next(client.frames(camera, page_size=1), None)
    except UnknownCameraError:
        return True
    return False


def _note(what: str, known: Sequence[str], consequence: str) -> None:
    typer.echo(f"note: no {what} is known so far{consequence}. Known: {_listed(known) or 'none'}", err=True)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
