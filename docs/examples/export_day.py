"""Export a day: what was recognised as COCO JSON, and a clip of what a camera showed.

python export_day.py gate 2026-01-31 day
"""

import argparse
from datetime import date, datetime, time, timedelta
from pathlib import Path

from secondsight.client import Client, Job


def tell(job: Job) -> None:
    """How far it is."""
    print(f"{job.kind}: {job.progress:.0%} of {job.frames} frames", flush=True)


def export(client: Client, camera: str, day: date, folder: Path) -> list[Path]:
    """Files of a day, by this machine's clock."""
    since = datetime.combine(day, time.min).astimezone()
    until = since + timedelta(days=1)
    folder.mkdir(parents=True, exist_ok=True)
    # The key makes a second call on the same day find these jobs, and make no new ones.
    jobs = [
        client.make_export("results", [camera], since, until, key=f"results {camera} {day}"),
        client.make_clip(camera, since, until, "machine", width=640, key=f"clip {camera} {day}"),
    ]
    files = []
    for job in jobs:
        made = client.wait_for(job, progress=tell, every=0.5)
        files.append(client.download(made, folder / (made.file_name or made.id)))
        for reason, frames in made.left_out_by_reason.items():
            print(f"{frames} frames left out: {reason}")
    return files


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("camera")
    parser.add_argument("day", type=date.fromisoformat)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    with Client() as client:
        for file in export(client, given.camera, given.day, given.folder):
            print(file)
