"""Jobs on disk: a folder for each, with what was asked for, how it ended and the file.

``ID/job.json`` is written whole or not at all; ``ID/plan.jsonl`` names the frames; the file lies beside them. One
process at a time works in here.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from server.errors import JobRoomError
from server.jobs.job import Job, Planned
from server.private_file import make_private_folder, write_private

_ABOUT: Final = "job.json"
_PLAN: Final = "plan.jsonl"

_log = logging.getLogger(__name__)


class JobFolder:
    """The jobs of one server. Its methods block for as long as a disk takes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock: int | None = None

    def take(self) -> bool:
        """Whether this process may work in here: no other one does.

        Raises:
            OSError: the folder cannot be made.
        """
        if self._lock is not None:
            return True
        make_private_folder(self._root)
        descriptor = os.open(self._root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True

    def give_back(self) -> None:
        """Let another process work in here."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def read(self) -> list[Job]:
        """All jobs, oldest first. What is left of none is removed, and so are files that were not finished."""
        jobs = []
        for folder in sorted(path for path in self._root.iterdir() if path.is_dir()):
            try:
                job = Job.model_validate_json((folder / _ABOUT).read_bytes())
            except (OSError, ValidationError) as error:
                _log.warning("%s is no job and is removed: %s", folder, error)
                shutil.rmtree(folder, ignore_errors=True)
                continue
            self.clear(job)
            jobs.append(job)
        return sorted(jobs, key=lambda job: job.asked_at)

    def add(self, job: Job, plan: Sequence[Planned]) -> None:
        """Keep a new job and the frames that it is to go through.

        Raises:
            OSError
        """
        folder = self.of(job)
        make_private_folder(folder)
        try:
            lines = (json.dumps(planned, separators=(",", ":")) for planned in plan)
            write_private(folder / _PLAN, "".join(f"{line}\n" for line in lines).encode())
            self.save(job)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def save(self, job: Job) -> None:
        """Keep how far a job is.

        Raises:
            OSError
        """
        write_private(self.of(job) / _ABOUT, job.model_dump_json().encode())

    def plan(self, job: Job) -> Iterator[Planned]:
        """The frames that a job is to go through."""
        with (self.of(job) / _PLAN).open() as lines:
            for line in lines:
                yield Planned(*json.loads(line))

    def of(self, job: Job) -> Path:
        """The job's own folder."""
        return self._root / job.id

    def clear(self, job: Job) -> None:
        """Remove what a job has begun to make, and keep what it has made."""
        kept = {_ABOUT, _PLAN, "" if job.file is None else job.file.name}
        for path in self.of(job).iterdir():
            if path.name in kept:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def remove(self, job: Job) -> None:
        """Remove a job with all it has made."""
        shutil.rmtree(self.of(job), ignore_errors=True)

    def bytes_of(self, job: Job) -> int:
        """What a job takes on disk."""
        return sum(path.stat().st_size for path in self.of(job).iterdir())

    def check_free(self, least: int) -> None:
        """Raise JobRoomError unless the disk has so many bytes left."""
        if shutil.disk_usage(self._root).free < least:
            raise JobRoomError("the server's disk is nearly full")
