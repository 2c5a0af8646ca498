"""A wall of all cameras as one picture, made again every few seconds.

python wall.py wall.jpg --every 2
"""

import argparse
import asyncio
from math import ceil, sqrt
from pathlib import Path

from PIL import Image, ImageDraw

from secondsight.client import AsyncClient, Camera, ClientError

TILE = 320, 180


async def tile(client: AsyncClient, camera: Camera) -> Image.Image:
    """The newest machine view of a camera, with what was seen in it."""
    drawn = Image.new("RGB", TILE, "black")
    draw = ImageDraw.Draw(drawn)
    try:
        frame = await anext(client.frames(camera.camera, page_size=1))
        view = await client.view(camera.camera, frame.frame, width=TILE[0])
        picture = view.picture()
        picture.thumbnail(TILE)
        drawn.paste(picture)
        # Boxes are in pixels of the frame.
        scale = picture.width / frame.result.width if frame.result else 1.0
        for detection in frame.result.detections if frame.result else ():
            box = detection.box
            corners = (box.x_min, box.y_min, box.x_max, box.y_max)
            draw.rectangle([side * scale for side in corners], outline="yellow")
    except ClientError as error:
        draw.text((8, 24), str(error)[:60], fill="red")
    draw.text((8, 8), f"{camera.camera}, {camera.state}", fill="white")
    return drawn


async def wall(client: AsyncClient, path: Path) -> int:
    """Write the wall; how many cameras are on it."""
    cameras = await client.cameras()
    tiles = await asyncio.gather(*(tile(client, camera) for camera in cameras))
    columns = ceil(sqrt(len(tiles))) or 1
    whole = Image.new("RGB", (columns * TILE[0], (ceil(len(tiles) / columns) or 1) * TILE[1]))
    for number, each in enumerate(tiles):
        whole.paste(each, (number % columns * TILE[0], number // columns * TILE[1]))
    whole.save(path)
    return len(tiles)


async def main(path: Path, every: float, times: int | None) -> None:
    """Make the wall again and again."""
    async with AsyncClient() as client:
        while True:
            print(f"{path}: {await wall(client, path)} cameras", flush=True)
            times = None if times is None else times - 1
            if times == 0:
                return
            await asyncio.sleep(every)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--every", type=float, default=2.0, help="seconds")
    parser.add_argument("--times", type=int, help="end after so many")
    given = parser.parse_args()
    asyncio.run(main(given.path, given.every, given.times))
