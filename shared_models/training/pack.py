"""A folder that holds all that training needs: for a machine with torch from which nothing can be downloaded."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from shared_models.errors import PackError
from shared_models.photo_folder import photo_paths, photo_set
from shared_models.training.recipe import Recipe
from shared_models.training.validation import validation_photos
from shared_models.weights import Weights

DEFAULT_LIMIT_MIB: Final = 64.0
_PACKAGE: Final = Path(__file__).parents[1]
_MIB: Final = 2**20
_CODE: Final = (".py", ".toml", ".typed")

_README: Final = """# Training, packed

Needs Python 3.11 or later with torch, numpy, pillow, safetensors, rich, typer and tensorboard. From this folder:

```sh
train="python -m shared_models.command.train"
$train machine --photos photos --masks masks --out runs/machine{options}
$train enhancement --photos photos --machine runs/machine --out runs/enhancement{options}
$train human --photos photos --out runs/human{options}
$train difference --photos photos --machine runs/machine --out runs/difference{options}
```

With `weights.safetensors` here, `--weights weights.safetensors` makes a run of `machine` or `enhancement` go on from
them, and one of `human` begin with their transforms. A run that was stopped goes on when its command is given again.
Bring back `runs/*/best.pt` and `runs/*/*.csv`, none of which is larger than 16 MiB. `secondsight models export
--machine runs/machine --enhancement runs/enhancement --out lite.safetensors` joins the layers; `secondsight models
export-comparison runs/human --out FOLDER` makes a weights file of a codec to compare with.
"""

_PREDICTED: Final = """
For predicted frames, of the layers in `weights.safetensors`:

```sh
given="--photos photos --annotations instances.json --weights weights.safetensors"
$train predicted-machine $given --out runs/predicted-machine{options}
$train predicted-enhancement $given --out runs/predicted-enhancement{options}
```

`secondsight models export --weights FILE --predicted-machine runs/predicted-machine --predicted-enhancement
runs/predicted-enhancement --out lite.safetensors` adds them to the file with those layers.
"""


def packed(
    photos: Path,
    masks: Path,
    out: Path,
    *,
    validation: Path | None,
    weights: Path | None,
    annotations: Path | None = None,
    limit_mib: float,
    seed: int,
) -> str:
    """Fill the folder `out` with code, photos, their masks and as many validation photos as a run uses.

    Args:
        photos, masks: as training reads them.
        validation: photos to validate on.
        weights: a weights file to go on from.
        annotations: a COCO instances file, to train predicted frames for `weights`; what it tells of packed photos goes
            along.
        limit_mib: photos are left out at random until everything is no larger.
        seed: of that choice.

    Returns:
        what was packed, in words.

    Raises:
        PackError: `out` exists, a mask is missing, the annotations cannot be read or have no weights beside them, or
            nothing fits.
        TrainingDataError: there are no photos, or those to validate on cannot be used.
        WeightsError: the weights file is none.
    """
    if out.exists():
        raise PackError(f"{out} exists: name a folder that does not")
    if annotations is not None and weights is None:
        raise PackError(
            "predicted frames are trained for layers that are there: name their weights file, too"
        )
    code = [path for path in sorted(_PACKAGE.rglob("*")) if path.suffix in _CODE]
    # Read now, for on the machine that trains they could not be mended.
    if weights is not None:
        Weights.load(weights)
    validation_photos(validation, Recipe().validation_photos)
    checked = [] if validation is None else photo_paths(validation)[: Recipe().validation_photos]
    files = [path for path in (weights, annotations) if path is not None]
    room = limit_mib * _MIB - _size(code) - _size(checked) - _size(files)
    room -= len(f"{_README}{_PREDICTED}".encode()) + _MIB
    found = photo_set(photos)
    chosen = list(found.paths)
    random.Random(seed).shuffle(chosen)
    pairs = []
    for path in chosen:
        mask = found.mask_of(path, masks)
        if not mask.is_file():
            raise PackError(f"{mask} is missing: every photo needs its mask")
        room -= _size([path, mask])
        if room < 0:
            break
        pairs.append((path, mask))
    if not pairs:
        raise PackError(f"{limit_mib} MiB hold the code but no photo: allow more with --limit-mib")
    names = {path.name for path, _ in pairs}
    outlines = None if annotations is None else _annotations_of(annotations, names)
    readme = _README if annotations is None else _README + _PREDICTED
    try:
        for path in code:
            _copy(path, out / _PACKAGE.name / path.relative_to(_PACKAGE))
        for path, mask in pairs:
            _copy(path, out / "photos" / path.name)
            _copy(mask, out / "masks" / mask.name)
        for path in checked:
            _copy(path, out / "validation" / path.name)
        if weights is not None:
            _copy(weights, out / "weights.safetensors")
        if outlines is not None:
            (out / "instances.json").write_text(json.dumps(outlines))
        (out / "README.md").write_text(readme.format(options=" --validation validation" if checked else ""))
    except BaseException:
        # Half of it would stand in the way of the next try.
        shutil.rmtree(out, ignore_errors=True)
        raise
    total = _size(path for path in out.rglob("*") if path.is_file())
    return f"{len(pairs)} of {len(chosen)} photos, {total / _MIB:.1f} MiB"


def _annotations_of(file: Path, photos: set[str]) -> dict[str, list[dict[str, Any]]]:
    """What a COCO instances file tells of `photos`."""
    try:
        content = json.loads(file.read_text())
        images = [image for image in content["images"] if image["file_name"] in photos]
        numbers = {image["id"] for image in images}
        outlined = [each for each in content["annotations"] if each["image_id"] in numbers]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PackError(f"{file} cannot be read ({error}): name a COCO instances file") from error
    return {"images": images, "annotations": outlined}


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
