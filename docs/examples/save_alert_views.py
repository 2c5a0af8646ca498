"""Save the human view of every alert, with its reason in the server's audit.

python save_alert_views.py evidence --reason "night watch, site 3"
"""

import argparse
from itertools import islice
from pathlib import Path

from secondsight.client import Client, GoneError, NotFoundError


def save(client: Client, folder: Path, reason: str, alerts: int | None) -> None:
    """Save so many alerts' human views, oldest first; without end when None."""
    folder.mkdir(parents=True, exist_ok=True)
    with client.subscribe(start="earliest") as results:
        for result in islice((each for each in results if each.alert), alerts):
            try:
                view = client.view(
                    result.camera, result.frame, "human", reason=reason, format="png", download=True, wait=10
                )
            except (GoneError, NotFoundError) as error:
                # Nobody asked in time, or the camera keeps no enhancement layers.
                print(f"{result.camera} {result.frame}: {error}")
                continue
            path = view.save(folder / f"{result.camera}-{result.frame}.png")
            print(f"{path}: on record as request {view.provenance.request}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reason", required=True)
    parser.add_argument("--alerts", type=int, help="end after so many")
    given = parser.parse_args()
    with Client() as client:
        save(client, given.folder, given.reason, given.alerts)
