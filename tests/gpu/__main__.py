"""Run the tests that need a GPU and record what came of it: ``python -m tests.gpu`` (`make test-gpu`)."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from shared_models import load_codec


class Outcomes:
    """A plugin that counts how tests ended."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.counts[report.outcome] += 1
            if report.failed:
                self.failures.append(report.nodeid)


def main() -> int:
    """Run, and write results only where a GPU was tested."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the results")
    options, for_pytest = parser.parse_known_args()
    outcomes = Outcomes()
    status = int(pytest.main([str(Path(__file__).parent), *for_pytest], plugins=[outcomes]))
    if not torch.cuda.is_available():
        print(f"no CUDA device: {options.out} is left as it is")
        return status
    options.out.write_text(
        json.dumps(
            {
                "command": "make test-gpu",
                "date": datetime.date.today().isoformat(),
                "device": torch.cuda.get_device_name(),
                "torch": torch.__version__,
                "cudnn": torch.backends.cudnn.version(),
                "model": load_codec("lite", device="cpu").model_id.hex(),
                "outcomes": dict(outcomes.counts),
                "failures": outcomes.failures,
            },
            indent=2,
        )
        + "\n"
    )
    return status


if __name__ == "__main__":
    sys.exit(main())
