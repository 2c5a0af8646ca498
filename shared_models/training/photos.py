"""Training photos with their edge masks, cut into random crops; held in memory as far as its limit allows."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared_models.errors import PhotoError, TrainingDataError
from shared_models.photo_file import LIMITS, mask_fits, photo_size, read_mask, read_photo
from shared_models.photo_folder import photo_set

_log = logging.getLogger(__name__)

_NAMED: Final = 5


@dataclass(frozen=True)
class Crops:
    """A batch: `pixels` (B, 3, S, S) in [0, 1] and `masks` (B, 1, S, S), 1 on edges; float32."""

    pixels: Tensor
    masks: Tensor


@dataclass(frozen=True)
class _Entry:
    """A photo on disk; `height` and `width` as it is read."""

    photo: Path
    mask: Path | None
    height: int
    width: int

    @property
    def bytes(self) -> int:
        return self.height * self.width * (3 if self.mask is None else 4)


@dataclass(frozen=True)
class _Pair:
    """A photo (H, W, 3) and its mask (H, W), 1 on edges; no mask counts as all ones."""

    photo: NDArray[np.uint8]
    mask: NDArray[np.uint8] | None


class Photos:
    """Every photo of a set that is at least `crop` pixels a side.

    Sets that fit into `held_bytes` are read at once. Of larger ones the photos used last are held and the others read
    when a crop falls on them, so that neither the order of use nor what is held changes what `crops` gives. Photos that
    are greyscale or cannot be read are skipped, and listed in `skipped`.

    Args:
        folder: photos, or the root of COCO, VisDrone or Cityscapes; see `photo_folder.photo_set`.
        masks: folder with one black and white picture per photo, of the same size, relative path and stem; None: masks
            are all ones.
        crop: side of the crops, pixels.
        progress: called with the number of photos done and their total, first looking at them, then reading them.
        held_bytes: limit of the memory for photos and masks.

    Raises:
        TrainingDataError: no photo is large enough, or one has no mask or one of another size.
    """

    def __init__(
        self,
        folder: Path,
        masks: Path | None,
        crop: int,
        progress: Callable[[int, int], None] | None = None,
        held_bytes: int = LIMITS.held_bytes,
    ) -> None:
        self.crop = crop
        self.skipped: list[str] = []
        self._held_bytes = held_bytes
        self._held: OrderedDict[int, _Pair] = OrderedDict()
        self._bytes = 0
        self._broken: set[int] = set()
        found = photo_set(folder)
        self._entries: list[_Entry] = []
        for count, path in enumerate(found.paths, start=1):
            mask = None if masks is None else found.mask_of(path, masks)
            self._look_at(path, mask)
            if progress is not None:
                progress(count, len(found.paths))
        if sum(entry.bytes for entry in self._entries) <= held_bytes:
            self._read_all(progress)
        if self.skipped:
            named = "; ".join(self.skipped[:_NAMED])
            more = f"; and {len(self.skipped) - _NAMED} more" if len(self.skipped) > _NAMED else ""
            _log.warning("%d photos are skipped: %s%s", len(self.skipped), named, more)
        self._require_some(folder)

    def __len__(self) -> int:
        return len(self._entries)

    def crops(self, count: int, rng: np.random.Generator) -> Crops:
        """`count` random crops, half of them mirrored.

        They depend on the files and on `rng` alone.
        """
        pixels = np.empty((count, self.crop, self.crop, 3), np.uint8)
        masks = np.ones((count, self.crop, self.crop), np.uint8)
        picks, corners, steps = [], [], []
        for _ in range(count):
            entry = self._entries[pick := int(rng.integers(len(self._entries)))]
            picks.append(pick)
            corners.append(
                tuple(int(rng.integers(side - self.crop + 1)) for side in (entry.height, entry.width))
            )
            steps.append(-1 if rng.random() < 0.5 else 1)
        pairs = self._pairs(picks)
        for i, (pair, corner, step) in enumerate(zip(pairs, corners, steps, strict=True)):
            # A photo that stands in for a damaged one may be smaller.
            top, left = (
                min(first, side - self.crop) for first, side in zip(corner, pair.photo.shape, strict=False)
            )
            window = (slice(top, top + self.crop), slice(left, left + self.crop))
            pixels[i] = pair.photo[window][:, ::step]
            if pair.mask is not None:
                masks[i] = pair.mask[window][:, ::step]
        return Crops(
            pixels=torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255.0,
            masks=torch.from_numpy(masks)[:, None].float(),
        )

    def _look_at(self, path: Path, mask: Path | None) -> None:
        """Take a photo up if its file's head speaks for it."""
        try:
            height, width = photo_size(path)
            if min(height, width) < self.crop:
                return
            if mask is not None:
                if not mask.is_file():
                    raise TrainingDataError(f"{mask} is missing: every photo needs a mask of the same stem")
                if not mask_fits(mask, path):
                    raise TrainingDataError(f"{mask} and its photo {path} differ in size: make the mask anew")
        except PhotoError as error:
            self.skipped.append(str(error))
        else:
            self._entries.append(_Entry(path, mask, height, width))

    def _read_all(self, progress: Callable[[int, int], None] | None) -> None:
        whole: list[_Entry] = []
        with ThreadPoolExecutor(LIMITS.readers) as readers:
            for count, (entry, read) in enumerate(
                zip(self._entries, readers.map(_read, self._entries), strict=True), start=1
            ):
                if isinstance(read, PhotoError):
                    self.skipped.append(str(read))
                else:
                    self._hold(len(whole), read)
                    whole.append(entry)
                if progress is not None:
                    progress(count, len(self._entries))
        self._entries = whole

    def _pairs(self, picks: list[int]) -> list[_Pair]:
        """The picked photos; in place of one that cannot be read, the next that can."""
        pairs: dict[int, _Pair] = {}
        missing = []
        for pick in dict.fromkeys(picks):
            if pick in self._held:
                self._held.move_to_end(pick)
                pairs[pick] = self._held[pick]
            else:
                missing.append(pick)
        if missing:
            with ThreadPoolExecutor(LIMITS.readers) as readers:
                pairs |= zip(missing, readers.map(self._whole, missing), strict=True)
            for pick in missing:
                self._hold(pick, pairs[pick])
        return [pairs[pick] for pick in picks]

    def _whole(self, pick: int) -> _Pair:
        for step in range(len(self._entries)):
            index = (pick + step) % len(self._entries)
            read = _read(self._entries[index])
            if not isinstance(read, PhotoError):
                return read
            if index not in self._broken:
                self._broken.add(index)
                self.skipped.append(str(read))
                _log.warning("a photo is skipped: %s", read)
        raise TrainingDataError("none of the training photos can be read any more")

    def _hold(self, pick: int, pair: _Pair) -> None:
        self._held[pick] = pair
        self._bytes += _size(pair)
        while self._bytes > self._held_bytes:
            _, dropped = self._held.popitem(last=False)
            self._bytes -= _size(dropped)

    def _require_some(self, folder: Path) -> None:
        if not self._entries:
            raise TrainingDataError(
                f"{folder} holds no photo of at least {self.crop} pixels a side that can be read: "
                "name a folder of WebP, PNG or JPEG photos in colour"
            )


def _read(entry: _Entry) -> _Pair | PhotoError:
    try:
        return _Pair(read_photo(entry.photo), None if entry.mask is None else read_mask(entry.mask))
    except PhotoError as error:
        return error


def _size(pair: _Pair) -> int:
    return pair.photo.nbytes + (0 if pair.mask is None else pair.mask.nbytes)
