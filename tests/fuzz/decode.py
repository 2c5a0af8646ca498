"""Fuzz one target with atheris: ``python -m tests.fuzz.decode TARGET FOLDER OUTCOMES [libFuzzer's options]``.

FOLDER receives the seeds and what libFuzzer finds worth keeping; OUTCOMES, a JSON file, what was counted. libFuzzer
ends the process by itself and leaves no time for that at the end: the file is written anew after every 500 runs.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["shared_models"]):
    from tests.fuzz.limits import MOST_SECONDS
    from tests.fuzz.targets import TARGETS

RUNS_BETWEEN_RECORDS = 500


def main() -> None:
    """Write the seeds, then fuzz until libFuzzer has had enough, or something escapes."""
    name, folder, outcomes, *options = sys.argv[1:]
    target = TARGETS[name]()
    corpus = Path(folder)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    start = time.monotonic()
    slowest = 0.0

    def record(runs: int) -> None:
        figures = {
            "inputs": runs,
            "outcomes": dict(target.outcomes.most_common()),
            "seconds": round(time.monotonic() - start, 1),
            "slowest_ms": round(1000.0 * slowest, 1),  # of processor time
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        Path(outcomes).write_text(json.dumps(figures))

    def run(data: bytes) -> None:
        nonlocal slowest
        began = time.process_time()
        target(data)
        slowest = max(slowest, time.process_time() - began)
        assert slowest < MOST_SECONDS, "an input took too long"
        runs = target.outcomes.total()
        if runs % RUNS_BETWEEN_RECORDS == 0:
            record(runs)

    def mutator(data: bytes, most: int, seed: int) -> bytes:
        return target.mutated(data, most, random.Random(seed), atheris.Mutate)[:most]

    atheris.Setup([sys.argv[0], folder, *options], run, custom_mutator=mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
