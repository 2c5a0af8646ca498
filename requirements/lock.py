"""Resolve the project's dependencies afresh and write the exact versions to lock.txt (`make lock`)."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
# torch names these exactly by itself, and only its CUDA build does: they must not be pinned for other machines.
ACCELERATOR_ONLY = ("nvidia-", "cuda-", "triton")


def main() -> None:
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"),
                *("--report", report.name),
                f"{ROOT}[client,edge,server,relay,embedded,demo,evaluation,training,dev]",
            ],
            check=True,
        )
        resolved = json.loads(Path(report.name).read_text())["install"]
    versions = {entry["metadata"]["name"].lower(): entry["metadata"]["version"] for entry in resolved}
    pins = [
        f"{name}=={version.partition('+')[0]}"
        for name, version in sorted(versions.items())
        if name != "secondsight" and not name.startswith(ACCELERATOR_ONLY)
    ]
    header = "# Written by `make lock`; the exact version of every package that `make install` installs.\n"
    (ROOT / "requirements" / "lock.txt").write_text(header + "\n".join(pins) + "\n")
    print(f"{len(pins)} packages pinned in requirements/lock.txt")


if __name__ == "__main__":
    main()
