"""What a client asks of a server's history: timeline, marks, clips, exports and their files."""

from __future__ import annotations

import asyncio
import json
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from secondsight.client import (
    AsyncClient,
    Client,
    JobError,
    Retries,
    UnreachableError,
)
from tests.client.conftest import FRAMES, Street
from tests.client.cutting_proxy import CuttingProxy

HOUR = timedelta(hours=1)


async def test_timeline_things_and_cost(street: Street) -> None:
    async with AsyncClient(street.settings) as client:
        newest = await client.frame("street", f"1-{FRAMES}")
        timeline = await client.timeline("street", since=newest.captured_at - HOUR, buckets=60)
        assert sum(bucket.frames for bucket in timeline.buckets) == FRAMES
        assert timeline.buckets[-1].labels["square"] == 1
        seen = [thing async for thing in client.things("street", label="square")]
        assert [thing.label for thing in seen] == ["square"]
        assert (await client.frame_at("street", newest.captured_at)) == newest
        cost = await client.cost("street", newest.frame)
        assert cost["machine_bytes"] == newest.machine_bytes
        assert (await client.overview())["cameras"]


async def test_what_is_marked_can_be_listed_and_taken_back(street: Street) -> None:
    async with AsyncClient(street.settings) as client:
        mark = await client.mark("street", "1-2", "wrong", detection=0, label="parcel", reason="checking")
        assert mark.seen is not None
        assert (mark.label, mark.seen.label) == ("parcel", "square")
        assert await client.marks_of("street", "1-2") == (mark,)
        assert [each async for each in client.marks("street")] == [mark]
        assert {each.label: each.wrong for each in (await client.marks_summary()).labels}["square"] == 1
        await client.remove_mark(mark, reason="checking")
        assert await client.marks_of("street", "1-2") == ()


async def test_an_export_is_waited_for_and_fetched_over_a_line_that_breaks(
    street: Street, tmp_path: Path
) -> None:
    retries = Retries(first_wait=0.01)
    async with AsyncClient(street.settings) as direct, CuttingProxy(street.server.http_address) as proxy:
        last = (await direct.frame("street", f"1-{FRAMES}")).captured_at
        settings = replace(street.settings, server=proxy.url, retries=retries)

        def export() -> None:
            with Client(settings) as client:
                told: list[float] = []
                job = client.make_export("views", ["street"], last - HOUR, last + HOUR, format="png")
                job = client.wait_for(job, progress=lambda job: told.append(job.progress), every=0.05)
                assert told[-1] == 1.0
                assert job in client.exports()
                proxy.cut_after(job.bytes // 3)
                path = client.download(job, tmp_path / "views.zip")
                assert proxy.cuts == 2
                with zipfile.ZipFile(path) as archive:
                    assert archive.testzip() is None
                    assert sum(name.endswith(".png") for name in archive.namelist()) == FRAMES
                client.forget(job)
                assert client.exports() == ()
                with pytest.raises(JobError):
                    client.download(replace(job, links={}), tmp_path / "again.zip")

        await asyncio.to_thread(export)
        assert "views.zip" in _left_in(tmp_path)
        assert not any(name.startswith(".") or name == "again.zip" for name in _left_in(tmp_path))


async def test_a_download_that_fails_leaves_nothing_behind(street: Street, tmp_path: Path) -> None:
    async with AsyncClient(street.settings) as client:
        last = (await client.frame("street", f"1-{FRAMES}")).captured_at
        job = await client.wait_for(
            await client.make_export("results", ["street"], last - HOUR, last + HOUR, key="mine"), every=0.05
        )
        again = await client.make_export("results", ["street"], last - HOUR, last + HOUR, key="mine")
        assert again.id == job.id
        found = json.loads((await client.download(job, tmp_path / "coco.json")).read_text())
        assert len(found["images"]) == FRAMES
    gone = replace(street.settings, server="http://127.0.0.1:1", retries=Retries(attempts=2, first_wait=0))
    with pytest.raises(UnreachableError):
        async with AsyncClient(gone) as client:
            await client.download(job, tmp_path / "gone.json")
    assert [name for name in _left_in(tmp_path) if "json" in name] == ["coco.json"]


def _left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
