"""Say when somebody comes: follow results, and go on where one was after a restart.

python subscribe_and_alert.py --label person --minimum-score 0.5 --positions seen.json
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from secondsight.client import Client, Result


def alert(result: Result) -> None:
    """In place of what you do about it: ring, mail, open a ticket."""
    labels = sorted({detection.label for detection in result.detections})
    print(f"{result.captured_at:%H:%M:%S} {result.camera}: {', '.join(labels)}", flush=True)


def follow(
    client: Client, labels: list[str], minimum_score: float, positions: Path, act: Callable[[Result], None]
) -> None:
    """Act on every result once it comes. What came while this did not run comes first."""
    seen = json.loads(positions.read_text()) if positions.exists() else {}
    with client.subscribe(
        labels=labels, minimum_score=minimum_score, start="earliest", resume_after=seen
    ) as results:
        for result in results:
            act(result)
            # Dealt with: after a crash before this line it would come again, and none is ever missed.
            results.done()
            beside = positions.with_suffix(".new")
            beside.write_text(json.dumps(results.positions))
            beside.replace(positions)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--label", action="append", default=[])
    parser.add_argument("--minimum-score", type=float, default=0.5)
    parser.add_argument("--positions", type=Path, default=Path("seen.json"))
    given = parser.parse_args()
    # Where the server is, and who asks, stands in SECONDSIGHT_URL, SECONDSIGHT_SERVER and SECONDSIGHT_API_KEY.
    with Client() as client:
        follow(client, given.label, given.minimum_score, given.positions, alert)
