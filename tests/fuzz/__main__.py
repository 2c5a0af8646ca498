"""Fuzz every target and record what came of it: ``python -m tests.fuzz`` (`make fuzz`).

Fails when an input made a target raise anything but a typed error, took longer than `MOST_SECONDS` or more than
`MEGABYTES` of memory; the input is kept in `fuzz-out`.
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
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from shared_models.weights import Weights, shipped_weights
from tests.fuzz.limits import HUNG_SECONDS, LONGEST_INPUT, MEGABYTES, MOST_SECONDS, PLANS
from tests.fuzz.targets import TARGETS
from tests.shared_models.prediction import predicting

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
    total: Counter[str] = Counter()
    figures: dict[str, Any] = {"inputs": 0, "seconds": 0.0, "slowest_ms": 0.0, "peak_memory_mb": 0}
    passed = True
    with tempfile.TemporaryDirectory() as folder:
        corpus, outcomes = Path(folder, "corpus"), Path(folder, "outcomes.json")
        while passed and figures["inputs"] < runs:
            outcomes.unlink(missing_ok=True)
            command = [
                *(sys.executable, "-m", "tests.fuzz.decode", target, str(corpus), str(outcomes)),
                f"-runs={min(PLANS[target].of_a_process, runs - figures['inputs'])}",
                *(f"-seed={seed + figures['inputs']}", f"-max_len={LONGEST_INPUT}"),
                *(f"-timeout={HUNG_SECONDS}", f"-rss_limit_mb={MEGABYTES}"),
                *(f"-artifact_prefix={KEPT}/{target}-", "-verbosity=0"),
            ]
            passed = subprocess.run(command, check=False).returncode == 0
            if not outcomes.exists():
                break
            part = json.loads(outcomes.read_text())
            total.update(part["outcomes"])
            figures["inputs"] += part["inputs"]
            figures["seconds"] = round(figures["seconds"] + part["seconds"], 1)
            for name in ("slowest_ms", "peak_memory_mb"):
                figures[name] = max(figures[name], part[name])
        kept = len(list(corpus.iterdir()))
    return Campaign(target, passed, {**figures, "outcomes": dict(total.most_common()), "kept_inputs": kept})


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
        campaign = fuzzed(target, max(1000, int(options.share * PLANS[target].inputs)), options.seed)
        print(json.dumps(campaign.as_dict(), indent=2), flush=True)
        campaigns.append(campaign)
    if options.out is not None:
        options.out.write_text(json.dumps(_results(campaigns), indent=2) + "\n")
    return 0 if all(campaign.passed for campaign in campaigns) else 1


def _results(campaigns: list[Campaign]) -> dict[str, Any]:
    return {
        "command": shlex.join(["python", "-m", "tests.fuzz", *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
        "model": predicting(Weights.load(shipped_weights("lite"))).predicting_id.hex(),
        "python": platform.python_version(),
        "atheris": version("atheris"),
        "constriction": version("constriction"),
        "longest_input_bytes": LONGEST_INPUT,
        "limit_seconds_per_input": MOST_SECONDS,
        "limit_memory_mb": MEGABYTES,
        "inputs": sum(campaign.figures["inputs"] for campaign in campaigns),
        "escaped": sum(not campaign.passed for campaign in campaigns),
        "targets": [campaign.as_dict() for campaign in campaigns],
    }


if __name__ == "__main__":
    sys.exit(main())
