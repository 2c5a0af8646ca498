"""The queue of clips and exports, and those who make them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from secondsight.cancelling import cancel_all
from server import metrics
from server.audit.audit import Audit
from server.audit.record import Event, Outcome, Subject
from server.config import ServerConfig
from server.errors import (
    AuditUnavailableError,
    JobRoomError,
    JobsUnavailableError,
    JobTooLargeError,
    KeyReusedError,
    NothingToShowError,
    ServerError,
    TooManyRequestsError,
    UnknownJobError,
)
from server.jobs.clip import make_clip
from server.jobs.job import Job, JobFile, Kind, Order, Planned, State
from server.jobs.job_folder import JobFolder
from server.jobs.layers_export import make_layers_export
from server.jobs.making import Made, Making, Sources
from server.jobs.marks_export import make_marks_export
from server.jobs.results_export import make_results_export
from server.jobs.views_export import make_views_export
from server.rest.moments import nanoseconds

_MAKERS: Final[Mapping[Kind, Callable[[Making], Awaitable[Made]]]] = {
    Kind.CLIP: make_clip,
    Kind.RESULTS: make_results_export,
    Kind.VIEWS: make_views_export,
    Kind.LAYERS: make_layers_export,
    Kind.MARKS: make_marks_export,
}
_RETRY_AFTER: Final = 10
_LOOK_S: Final = 30.0
"""Between two looks for what is too old."""

_log = logging.getLogger(__name__)


class Jobs:
    """Takes orders, makes files in the order of asking, and forgets what is too old or too much.

    A job that was under way when its server ended begins again with the next one on the same folder. One server at a
    time works there; another one takes no jobs until it can.
    """

    def __init__(self, sources: Sources, audit: Audit, config: ServerConfig) -> None:
        self._sources = sources
        self._audit = audit
        self._config = config
        self._folder = JobFolder(config.data / "jobs")
        self._jobs: dict[str, Job] = {}
        self._unavailable: str | None = "it has not begun"
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._growing: dict[str, int] = {}
        """Bytes of what is being made."""
        self._changed = asyncio.Event()
        self.asking = asyncio.Lock()
        """Held from the look for a job asked for before until the new one is there."""
        self._leaving = False

    def check_available(self) -> None:
        """Raise JobsUnavailableError unless jobs can be taken."""
        if self._unavailable is not None:
            raise JobsUnavailableError(self._unavailable, _RETRY_AFTER)

    async def plan(self, order: Order) -> list[Planned]:
        """The frames that a job would go through, by camera; none for results, which are read as they are written.

        Raises:
            UnknownCameraError
            NothingToShowError: there are none.
            JobTooLargeError
            StoreUnavailableError
        """
        since_ns, until_ns = nanoseconds(order.since), nanoseconds(order.until)
        periods, most = self._sources.periods, self._config.job_frames
        planned: list[Planned] = []
        for camera in order.cameras:
            match order.kind:
                case Kind.RESULTS:
                    await periods.check_camera(camera)
                case Kind.MARKS:
                    await periods.check_camera(camera)
                    planned += await self._marked(camera, order)
                case _:
                    planned += await periods.frames(camera, since_ns, until_ns, most=most)
            if len(planned) > most:
                raise JobTooLargeError(
                    f"that would be more than {most} frames, the most that one clip or export may hold; ask for a "
                    "shorter time, or for fewer cameras"
                )
        if not planned and order.kind is not Kind.RESULTS:
            what = "marks are kept" if order.kind is Kind.MARKS else "frames are stored"
            raise NothingToShowError(f"no {what} of {', '.join(order.cameras)} in {order.period}")
        return planned

    def asked_before(self, owner: str, key: str | None, key_of: str) -> Job | None:
        """The job that the same request with this Idempotency-Key has made.

        Raises:
            KeyReusedError: it was another request.
        """
        if key is None:
            return None
        for job in self._jobs.values():
            if (job.order.owner, job.key) == (owner, key):
                if job.key_of != key_of:
                    raise KeyReusedError(key)
                return job
        return None

    def check_waiting(self, owner: str) -> None:
        """Raise TooManyRequestsError when as many jobs wait as may."""
        config = self._config
        waiting = [job for job in self._jobs.values() if not job.ended]
        of_user = sum(job.order.owner == owner for job in waiting)
        if (
            len(waiting) >= config.jobs_waiting + config.jobs_at_once
            or of_user >= config.jobs_waiting_of_user
        ):
            raise TooManyRequestsError("clips and exports that are not made yet", _RETRY_AFTER)

    async def add(
        self, order: Order, plan: Sequence[Planned], *, request: str, key: str | None, key_of: str
    ) -> Job:
        """Take a job. What it takes to see people was looked at before.

        Raises:
            JobsUnavailableError: it cannot be kept.
        """
        job = Job(
            id=secrets.token_hex(8),
            order=order,
            asked_at=datetime.now(UTC),
            planned=len(plan),
            request=request,
            key=key,
            key_of=key_of,
        )
        try:
            await asyncio.to_thread(self._folder.add, job, plan)
        except OSError as error:
            _log.error("a job cannot be kept: %s", error)
            raise JobsUnavailableError("its disk takes nothing", _RETRY_AFTER) from error
        self._jobs[job.id] = job
        self._changed.set()
        return job

    def all(self) -> list[Job]:
        """All jobs, the last one asked for first."""
        return list(reversed(self._jobs.values()))

    def find(self, job_id: str) -> Job:
        """One job.

        Raises:
            UnknownJobError
        """
        if job_id not in self._jobs:
            raise UnknownJobError(job_id)
        return self._jobs[job_id]

    def kept_until(self, job: Job) -> datetime | None:
        """When a job will be forgotten, at the latest; None until it has ended."""
        return None if job.ended_at is None else job.ended_at + timedelta(seconds=self._config.jobs_age)

    def path(self, job: Job) -> Path:
        """Where the file of a job is that is done."""
        assert job.file is not None
        return self._folder.of(job) / job.file.name

    async def forget(self, job: Job) -> None:
        """End a job, if it has not ended, and remove what it has made."""
        if self._jobs.pop(job.id, None) is None:
            return
        task = self._tasks.pop(job.id, None)
        if task is not None:
            await cancel_all([task])
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(self._folder.remove, job)
        self._changed.set()
        if not job.ended:
            await self._tell_failed(job, "deleted before it was done")

    def open(self) -> None:
        """Take up the jobs that are there, if no other server has."""
        try:
            if not self._folder.take():
                self._unavailable = "another server works in the same folder; give each one its own (--data)"
                return
            for job in self._folder.read():
                if job.state is State.RUNNING:
                    self._after_crash(job)
                self._jobs[job.id] = job
        except OSError as error:
            self._unavailable = "its folder cannot be used; the server's log tells why"
            _log.error("no clips and exports: %s", error)
            return
        self._unavailable = None

    async def run(self) -> None:
        """Make files until `leave`. What is under way then begins again with the next server."""
        while not self._leaving:
            if self._unavailable is not None:
                await asyncio.to_thread(self.open)
            if self._unavailable is None:
                await self._tidy()
                self._begin()
                self._count()
            self._changed.clear()
            await self._wait()
        await cancel_all(self._tasks.values())
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def leave(self) -> None:
        """Return from `run`."""
        self._leaving = True
        self._changed.set()

    def close(self) -> None:
        """Let another server take the jobs up."""
        self._sources.footage.close()
        self._folder.give_back()

    async def _marked(self, camera: str, order: Order) -> list[Planned]:
        marks = self._sources.marks.marked_frames([camera], since=order.since, until=order.until)
        return [Planned(camera, marked.frame, nanoseconds(marked.captured_at)) async for marked in marks]

    async def _wait(self) -> None:
        if self._leaving:
            return
        try:
            async with asyncio.timeout(_LOOK_S if self._unavailable is None else 1.0):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _begin(self) -> None:
        """Begin as many as may be made at once, in the order of asking."""
        for job in list(self._jobs.values()):
            if len(self._tasks) >= self._config.jobs_at_once:
                return
            if job.state is State.QUEUED and job.id not in self._tasks:
                self._tasks[job.id] = asyncio.create_task(self._work_on(job), name=f"job {job.id}")

    def _count(self) -> None:
        for state in State:
            metrics.JOBS.labels(state).set(sum(job.state is state for job in self._jobs.values()))
        metrics.JOBS_BYTES.set(self._bytes())

    async def _work_on(self, job: Job) -> None:
        try:
            await self._make(job)
        except asyncio.CancelledError:
            if job.id in self._jobs and not job.ended:
                # This server leaves.
                job.begin_again()
                job.attempts -= 1
                self._save(job)
            raise
        finally:
            self._tasks.pop(job.id, None)
            self._growing.pop(job.id, None)
            self._changed.set()

    async def _make(self, job: Job) -> None:
        job.state, job.begun_at = State.RUNNING, datetime.now(UTC)
        job.attempts += 1
        try:
            await asyncio.to_thread(self._folder.save, job)
            making = Making(
                job, self._folder.plan(job), self._folder.of(job), self._sources, self._check_room
            )
            async with asyncio.timeout(self._config.job_within):
                made = await _MAKERS[job.order.kind](making)
                job.file = await self._sources.footage.aside(lambda: _about(made))
            told = f"{job.planned - job.left_out_count} of {job.planned} frames, {job.file.bytes} bytes"
            # Before anybody can have it.
            await self._tell(job, Outcome.DONE, told)
            job.state = State.DONE
        except TimeoutError:
            self._fail(job, f"it took longer than {self._config.job_within:g} s; ask for a shorter time")
        except ServerError as error:
            self._fail(job, str(error))
        except OSError as error:
            _log.error("job %s failed: %s", job.id, error)
            self._fail(job, f"its file could not be written: {error.strerror or type(error).__name__}")
        except Exception:
            _log.exception("job %s failed", job.id)
            self._fail(job, "a defect of the server; its log tells more")
        job.ended_at = datetime.now(UTC)
        seconds = (job.ended_at - job.begun_at).total_seconds()
        metrics.JOB_SECONDS.labels(job.order.kind, job.state).observe(seconds)
        if job.failure is not None:
            await self._tell_failed(job, job.failure)
        # First, lest a server that ends during the other leaves a job that was told to be done to be made again.
        self._save(job)
        await asyncio.to_thread(self._folder.clear, job)

    def _fail(self, job: Job, why: str) -> None:
        job.state, job.failure, job.file = State.FAILED, why, None

    def _save(self, job: Job) -> None:
        try:
            self._folder.save(job)
        except OSError as error:
            _log.error("job %s is %s, which could not be kept: %s", job.id, job.state, error)

    async def _tell(self, job: Job, outcome: Outcome, detail: str) -> None:
        """Write down what became of a job that shows people.

        Raises:
            AuditUnavailableError
        """
        if not job.order.shows_people:
            return
        for event in job_events(job, outcome, detail):
            await self._audit.record(event)

    async def _tell_failed(self, job: Job, why: str) -> None:
        """Write down that nobody has seen anything. Nothing depends on it, so that the log will do."""
        try:
            await self._tell(job, Outcome.FAILED, why)
        except AuditUnavailableError:
            _log.error("that job %s failed is not in the audit: %s", job.id, why)

    def _after_crash(self, job: Job) -> None:
        if job.attempts < self._config.job_attempts:
            job.begin_again()
        else:
            self._fail(job, f"the server ended while it was made, {job.attempts} times; ask for less at once")
            job.ended_at = datetime.now(UTC)
        self._folder.save(job)

    async def _tidy(self) -> None:
        """Forget the oldest of those that have ended, as far as they are too old or too many."""
        config, now = self._config, datetime.now(UTC)
        ended = self._ended()
        too_many = len(ended) - config.jobs_kept
        for number, job in enumerate(ended):
            assert job.ended_at is not None
            if number < too_many or now - job.ended_at > timedelta(seconds=config.jobs_age):
                await self.forget(job)

    def _ended(self) -> list[Job]:
        """Oldest first."""
        return [job for job in self._jobs.values() if job.ended]

    async def _check_room(self, job: Job, beside: int) -> None:
        """Raise JobTooLargeError or JobRoomError unless the job's files may grow; those of old jobs go."""
        config, aside = self._config, self._sources.footage.aside
        await aside(lambda: self._folder.check_free(config.disk_left_free))
        self._growing[job.id] = beside + await aside(lambda: self._folder.bytes_of(job))
        if self._growing[job.id] > config.job_bytes:
            raise JobTooLargeError(
                f"its file would have more than {config.job_bytes} bytes; ask for a shorter time or a smaller width"
            )
        while self._bytes() > config.jobs_bytes:
            ended = self._ended()
            if not ended:
                raise JobRoomError(f"the files of all jobs may have {config.jobs_bytes} bytes together")
            await self.forget(ended[0])

    def _bytes(self) -> int:
        """Of all files, those that are being made among them."""
        made = sum(job.file.bytes for job in self._ended() if job.file is not None)
        return made + sum(self._growing.values())


def job_events(job: Job, outcome: Outcome, detail: str) -> list[Event]:
    """What goes on record of a job that shows people: for each camera, with the period in place of a frame."""
    order = job.order
    return [
        Event(
            subject=Subject.CLIP if order.kind is Kind.CLIP else Subject.EXPORT,
            outcome=outcome,
            principal=order.owner,
            role=order.role,
            via=order.via,
            address=order.address,
            request=job.request,
            camera=camera,
            frame=order.period,
            view=order.view,
            reason=order.reason,
            detail=f"job {job.id}: {detail}",
        )
        for camera in order.cameras
    ]


def _about(made: Made) -> JobFile:
    # Its folder lets nobody else in; nor does it, once somebody has moved it.
    made.path.chmod(0o600)
    digest = hashlib.sha256()
    with made.path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
        length = file.tell()
    return JobFile(name=made.path.name, media_type=made.media_type, bytes=length, sha256=digest.hexdigest())
