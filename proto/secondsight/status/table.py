"""A status for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from secondsight.status.report import CameraStatus, Status
from secondsight.verdict import Cause

_COLUMNS = (
    "camera",
    "state",
    "in fps",
    "out fps",
    "kbit/s",
    "lag",
    "dropped last minute",
    "last frame",
    "slow",
)


def rendered(status: Status) -> RenderableType:
    """Cameras, store, workers, and what is wrong."""
    parts: list[RenderableType] = []
    if status.cameras:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in _COLUMNS:
            table.add_column(column, justify="right" if column in _COLUMNS[2:6] else "left", overflow="fold")
        for camera in status.cameras:
            table.add_row(*_row(camera))
        parts.append(table)
    else:
        parts.append("no camera is known")
    store = status.store
    if store is not None:
        limit = f" of {store.memory_limit_bytes / 1e6:.1f}" if store.memory_limit_bytes else ""
        workers = ", ".join(f"{task} {count}" for task, count in sorted(status.workers.items())) or "none"
        parts.append(
            f"store {'up' if store.up else 'DOWN'}, {store.memory_bytes / 1e6:.1f}{limit} MB, "
            f"{store.evicted_keys} keys evicted; workers: {escape(workers)}"
        )
    parts += [f"[bold red]![/] {escape(problem)}" for problem in status.wrong] or ["[green]all is well[/]"]
    return Group(*parts)


def _row(camera: CameraStatus) -> tuple[str, ...]:
    dropped = ", ".join(f"{reason} {count}" for reason, count in camera.dropped_last_minute.items())
    slow = "-" if camera.cause is Cause.NONE else f"{camera.slow_part}: {camera.cause.meaning}"
    return (
        escape(camera.camera),
        escape(camera.state),
        _number(camera.frames_in_per_second, 1),
        _number(camera.frames_out_per_second, 1),
        _number(camera.kbit_s, 0),
        _number(camera.lag_frames, 0),
        escape(dropped) or "-",
        "-" if camera.last_frame_age_s is None else f"{camera.last_frame_age_s:.0f} s ago",
        escape(slow),
    )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
