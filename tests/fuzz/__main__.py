"""Fuzz every target and record what came of it: ``python -m tests.fuzz`` (`make fuzz`).

Fails when an input made a target raise anything but a typed error, took longer than `SECONDS` or more than `MEGABYTES`
of memory; the input is kept in `fuzz-out`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from shared_models import load_codec
from tests.fuzz.targets import TARGETS

SECONDS: Final = 20
"""Longest that one input may take."""
MEGABYTES: Final = 1536
"""Most memory of the whole process, which takes about 300 with the codec loaded."""
LONGEST_INPUT: Final = 4096
RUNS: Final = {
    "container": 1_000_000,
    "symbols": 1_000_000,
    "machine": 200_000,
    "human": 100_000,
    "inventions": 50_000,
}
KEPT: Final = Path("fuzz-out")


@dataclass(frozen=True)
class Campaign:
    """What was done and seen with one target."""

    target: str
    passed: bool
    figures: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """For the file of results."""
        return {
            "target": self.target,
            "about": TARGETS[self.target].about,
            "passed": self.passed,
            **self.figures,
        }


def fuzzed(target: str, runs: int, seed: int) -> Campaign:
    """Fuzz one target in a process of its own."""
    KEPT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        outcomes = Path(folder, "outcomes.json")
        command = [
            *(sys.executable, "-m", "tests.fuzz.decode", target, str(Path(folder, "corpus")), str(outcomes)),
            *(f"-runs={runs}", f"-seed={seed}", f"-max_len={LONGEST_INPUT}", f"-timeout={SECONDS}"),
            *(f"-rss_limit_mb={MEGABYTES}", f"-artifact_prefix={KEPT}/{target}-", "-verbosity=0"),
        ]
        status = subprocess.run(command, check=False).returncode
        figures = json.loads(outcomes.read_text()) if outcomes.exists() else {"inputs": 0, "outcomes": {}}
        figures["kept_inputs"] = len(list(Path(folder, "corpus").iterdir()))
    return Campaign(target, status == 0, figures)


def main() -> int:
    """Fuzz, print and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--target", choices=list(TARGETS), action="append", help="all when not given")
    parser.add_argument("--share", type=float, default=1.0, help="of the usual number of runs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    campaigns = []
    for target in options.target or TARGETS:
        campaign = fuzzed(target, max(1000, int(options.share * RUNS[target])), options.seed)
        print(json.dumps(campaign.as_dict(), indent=2), flush=True)
        campaigns.append(campaign)
    if options.out is not None:
        options.out.write_text(json.dumps(_results(campaigns), indent=2) + "\n")
    return 0 if all(campaign.passed for campaign in campaigns) else 1


def _results(campaigns: list[Campaign]) -> dict[str, Any]:
    return {
        "command": shlex.join(["python", "-m", "tests.fuzz", *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
        "model": load_codec("lite", device="cpu").model_id.hex(),
        "python": platform.python_version(),
        "atheris": version("atheris"),
        "constriction": version("constriction"),
        "longest_input_bytes": LONGEST_INPUT,
        "limit_seconds_per_input": SECONDS,
        "limit_memory_mb": MEGABYTES,
        "inputs": sum(campaign.figures["inputs"] for campaign in campaigns),
        "escaped": sum(not campaign.passed for campaign in campaigns),
        "targets": [campaign.as_dict() for campaign in campaigns],
    }


if __name__ == "__main__":
    sys.exit(main())
