"""How much is tried, and what one input may cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MOST_SECONDS: Final = 10.0
"""Of processor time, for one input."""
MEGABYTES: Final = 1536
"""Most memory of a process, which takes about 300 with the codec loaded."""
HUNG_SECONDS: Final = 600
LONGEST_INPUT: Final = 4096


@dataclass(frozen=True)
class Plan:
    """Inputs in all, and of one process: atheris keeps some kB of what it sees of every input."""

    inputs: int
    of_a_process: int


PLANS: Final = {
    "container": Plan(1_000_000, 500_000),
    "symbols": Plan(1_000_000, 250_000),
    "machine": Plan(100_000, 50_000),
    "human": Plan(50_000, 50_000),
    "inventions": Plan(20_000, 10_000),
    "predicted-machine": Plan(100_000, 50_000),
    "predicted-human": Plan(50_000, 50_000),
    "predicted-inventions": Plan(20_000, 10_000),
}
