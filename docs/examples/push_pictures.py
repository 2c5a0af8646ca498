"""Push a folder of pictures as frames of a camera, encoded here, with what human views take.

python push_pictures.py pictures --camera archive --store redis://127.0.0.1:6379/0
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from secondsight.client import Client, PictureError


def push(client: Client, folder: Path, camera: str, store: str | None) -> int:
    """Push all pictures by name, captured when their files say; how many the server has stored."""
    with client.pushing(camera, store=store) as feed:
        pushed = []
        for path in sorted(path for path in folder.iterdir() if path.is_file()):
            captured_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            try:
                pushed.append(feed.push(path, captured_at=captured_at))
            except PictureError as error:
                print(f"{path} is left out: {error}")
    # Leaving the feed has waited for the server's answers.
    for frame in pushed:
        print(f"{frame.frame} {'with' if frame.viewable else 'without'} human view")
    return len(pushed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--camera", default="archive")
    parser.add_argument("--store", help="the server's store, for enhancement layers")
    given = parser.parse_args()
    # A server with users wants the camera's token: SECONDSIGHT_CAMERA_TOKEN.
    with Client() as client:
        print(f"{push(client, given.folder, given.camera, given.store)} frames pushed")
