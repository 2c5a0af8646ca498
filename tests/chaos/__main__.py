"""Break an installation on purpose and count what it keeps: ``python -m tests.chaos`` (`make chaos`).

First faults from a seeded schedule on Valkey, then ten minutes of peace in which nothing may grow, then faults on
Redis. Fails when an acknowledged frame was lost, doubled, out of order or another picture than was taken, when a camera
did not recover, or when memory, threads or file descriptors grew. The seed is printed: the same one gives the same
schedule.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.report import write
from tests.chaos.run import Outcome, Plan, outcome_of


def main() -> int:
    """Run, print and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--seed", type=int, help="of the schedule; by chance when not given")
    parser.add_argument("--share", type=float, default=1.0, help="of the usual twenty minutes")
    parser.add_argument("--peace", type=float, help="of the usual ten minutes without faults; as --share")
    parser.add_argument("--kind", action="append", help="this kind of fault; all when not given")
    parser.add_argument("--keep", type=Path, help="folder for the processes' logs; deleted when not given")
    parser.add_argument("--out", type=Path, help="JSON file for the results; a table is written beside it")
    options = parser.parse_args()
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    peace = options.share if options.peace is None else options.peace
    plan = Plan(seed=seed, share=options.share, peace=peace, kinds=options.kind)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        outcome: Outcome = asyncio.run(outcome_of(plan, options.keep or Path(temporary)))
    text = write(outcome, time.monotonic() - begun, options.out)
    print(text)
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
