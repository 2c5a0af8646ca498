"""One attempt at a job: what makers read, where they write, and how far they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from server.catalogue import StoredFrame
from server.config import ServerConfig
from server.errors import NothingToShowError
from server.jobs.footage import CANNOT_BE_SHOWN, EdgePatience, Footage
from server.jobs.job import Job, Planned
from server.jobs.period import Periods
from server.marks.marks import Marks
from server.provenance import Provenance, model_of
from server.rest.moments import utc
from server.views import View


@dataclass(frozen=True)
class Sources:
    """What makers read from."""

    footage: Footage
    periods: Periods
    marks: Marks
    config: ServerConfig


@dataclass(frozen=True)
class Made:
    """A file in the job's folder."""

    path: Path
    media_type: str


class Making:
    """Hands out the planned frames one by one, and sees to it that there is room for what is made of them."""

    def __init__(
        self,
        job: Job,
        plan: Iterator[Planned],
        folder: Path,
        sources: Sources,
        check_room: Callable[[Job, int], Awaitable[None]],
    ) -> None:
        self.job = job
        self.order = job.order
        self.folder = folder
        self.sources = sources
        self.footage = sources.footage
        self.patience = EdgePatience(sources.config.job_waits_for_edges)
        self._plan = plan
        self._check_room = check_room
        self._shown = 0

    async def frames(self) -> AsyncIterator[Planned]:
        """The planned frames. After each, how far the job is, and whether there is room for more.

        Raises:
            JobTooLargeError, JobRoomError
            NothingToShowError: all were left out.
        """
        for planned in self._plan:
            yield planned
            self.job.gone_through += 1
            await self.look_for_room()
        if self.job.planned and self.job.left_out_count >= self.job.planned and not self._shown:
            raise NothingToShowError(
                f"none of the {self.job.planned} frames can be had: {self.job.left_out[0].detail}"
            )

    async def look_for_room(self, beside: int = 0) -> None:
        """Raise JobTooLargeError or JobRoomError unless the job's files may grow.

        Args:
            beside: bytes that are no file of the job's folder yet.
        """
        await self._check_room(self.job, beside)

    def leave_out(self, planned: Planned, error: Exception) -> None:
        """Note that a frame cannot be shown."""
        assert isinstance(error, CANNOT_BE_SHOWN)
        self.job.leave_out(planned.camera, planned.frame, error)

    def note_shown(self) -> None:
        """Note that a frame is in the file, if only in part."""
        self._shown += 1

    @property
    def file_name(self) -> str:
        """Without its suffix: what is in it, and from when."""
        order = self.order
        cameras = order.cameras[0] if len(order.cameras) == 1 else f"{len(order.cameras)}-cameras"
        begin = order.since.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        what = order.kind if order.kind.value in ("results", "marks") else f"{order.view}-{order.kind}"
        return f"{cameras}-{begin}-{what}"

    def provenance(self) -> dict[str, Any]:
        """Where a file comes from: it goes with the file."""
        order = self.order
        return {
            "made_by": f"Secondsight {version('secondsight')}",
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "job": self.job.id,
            "kind": order.kind,
            "cameras": order.cameras,
            "period": order.period,
            "view": order.view,
            "frames": self.job.planned,
            "left_out": self.job.left_out_count,
            "asked_by": order.owner,
            "reason": order.reason,
            "audit_request": self.job.request,
        }

    def of_picture(self, stored: StoredFrame, width: int | None = None) -> Provenance:
        """Where one picture comes from: it goes with the picture."""
        order, human = self.order, self.order.view is View.HUMAN
        return Provenance(
            camera=stored.frame.id.camera_id,
            frame=stored.name,
            captured_at=utc(stored.frame.captured_at),
            model=model_of(stored.frame.machine_layer),
            view=order.view,
            slices=(order.slices or stored.frame.enhancement.slices) if human else None,
            width=width,
            taken_by=order.owner,
            taken_at=datetime.now(UTC),
            request=self.job.request,
        )

    def manifest(self) -> dict[str, Any]:
        """Where a file comes from, and what is not in it."""
        return {
            **self.provenance(),
            "left_out_by_reason": self.job.left_out_by_reason,
            "left_out_frames": [frame.model_dump() for frame in self.job.left_out],
        }
