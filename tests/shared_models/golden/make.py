"""Write the golden vectors anew: streams of the shipped weights and the pictures they decode to.

Run it (`make golden`) only when the shipped weights or the format change on purpose.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from shared_models import load_codec
from shared_models.evaluation.speed import pink_noise

FOLDER = Path(__file__).parent
LEVELS = range(4)


def source() -> NDArray[np.uint8]:
    """The picture that is encoded."""
    return pink_noise(50, 70, seed=11)


def main() -> None:
    """One frame per level, both layers at that level."""
    codec = load_codec("lite", device="cpu", dtype=torch.float32)
    image = source()
    for level in LEVELS:
        frame = codec.encode(image, quality=level, machine_quality=level)
        (FOLDER / f"{level}.machine").write_bytes(frame.machine)
        (FOLDER / f"{level}.enhancement").write_bytes(frame.enhancement)
        views = {
            "machine": codec.decode_machine(frame.machine),
            "human": codec.decode_human(frame.machine, frame.enhancement),
            "human_2_slices": codec.decode_human(frame.machine, frame.enhancement, slices=2),
        }
        for name, view in views.items():
            Image.fromarray(view).save(FOLDER / f"{level}.{name}.png", optimize=True)


if __name__ == "__main__":
    main()
