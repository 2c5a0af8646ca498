"""Where the outlines of persons suffer in machine views: in the detector or in the outlines, and for which persons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as run_lengths

from server.evaluation.average_precision import Matches
from server.evaluation.comparison import Estimate
from server.evaluation.config import EVALUATION
from server.evaluation.mixed_views import mixed_views
from server.evaluation.photos import AnnotatedPhotos, Photo
from server.recognition import Detection, Seen
from server.recognition.persons import PERSON
from shared_models import Codec
from shared_models.picture import Picture

Samples = NDArray[np.float64]

SIZES: Final = {
    "small, below 32x32": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large, from 96x96 on": (96.0**2, 1e10),
}
"""COCO's, in pixels of the outline."""
_THIRDS: Final = ("low", "middle", "high")
_FOUND_SCORE: Final = 0.3
_FOUND_OVERLAP: Final = 0.5
_RING: Final = 9
"""Pixels around a person that it is held against."""
_LEAST_PIXELS: Final = 25


@dataclass(frozen=True)
class Person:
    """One annotated person.

    Attributes:
        contrast: distance of its mean colour from that of what is around it, CIELAB.
        texture: deviation of the lightness within it, CIELAB.
        found: by picture, whether there is a detection of score 0.3 whose box overlaps its own by half.
        outlined: by picture, overlap of its outline and that of the best such detection of the original.
    """

    photo: int
    area: float
    contrast: float
    texture: float
    found: Mapping[str, bool]
    outlined: Mapping[str, float]


@dataclass(frozen=True)
class Losses:
    """Figures of one level, each with its interval."""

    level: int
    bits_per_pixel: float
    shares: Mapping[str, Estimate | None]
    """What part of the original's average precision is kept, by what is the machine view's."""
    groups: Mapping[str, Mapping[str, Any]]
    """Of persons alike: how many, which part of those found is still found, and the overlap of their outlines."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "level": self.level,
            "bits_per_pixel": self.bits_per_pixel,
            "share_of_original": {name: _figures(share) for name, share in self.shares.items()},
            "persons": {
                name: {key: _figures(value) for key, value in group.items()}
                for name, group in self.groups.items()
            },
        }


def _figures(value: Any) -> Any:
    return asdict(value) if isinstance(value, Estimate) else value


class Stages(Protocol):
    """A recogniser of persons whose two stages can be called one by one."""

    def boxes(self, image: Picture) -> list[Detection]:
        """Persons without masks."""

    def outlined(self, person: Detection, image: Picture) -> Detection:
        """A person with the mask that is seen in its box."""

    def see(self, image: Picture) -> Seen:
        """Both."""


class PersonLosses:
    """Measures losses on annotated photos, the resamples the same for all figures."""

    def __init__(self, photos: AnnotatedPhotos, persons: Stages, *, resamples: int, seed: int) -> None:
        self._photos = photos
        self._persons = persons
        count = len(photos.photos)
        drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
        self._weights = np.concatenate([np.ones((1, count)), drawn]).astype(float)

    def measure(self, codec: Codec, level: int, advance: Callable[[], None]) -> Losses:
        """Losses at one quality of the machine layer; `advance` is called after each photo."""
        seen: dict[str, dict[int, Sequence[Detection]]] = {}
        known: list[Person] = []
        coded = 0
        for photo in self._photos.photos:
            original = photo.read()
            layer = codec.encode(original, machine_quality=level, slices=1).machine
            coded += len(layer)
            machine = codec.decode_machine(layer)
            for name, found in self._looks(original, machine).items():
                seen.setdefault(name, {})[photo.id] = found
            known += self._known(photo, original, machine, seen)
            advance()
        pixels = sum(photo.pixels for photo in self._photos.photos)
        return Losses(level, 8 * coded / pixels, self._shares(seen), self._groups(known))

    def _looks(self, original: Picture, machine: Picture) -> dict[str, list[Detection]]:
        persons = self._persons
        first, second = persons.boxes(original), persons.boxes(machine)
        looks = {
            "nothing": [persons.outlined(box, original) for box in first],
            "everything": [persons.outlined(box, machine) for box in second],
            "boxes alone": [persons.outlined(box, original) for box in second],
            "outlines alone": [persons.outlined(box, machine) for box in first],
        }
        for name, mixed in mixed_views(original, machine).items():
            looks[f"{name} alone"] = list(persons.see(mixed).detections)
        return looks

    def _shares(self, seen: Mapping[str, Mapping[int, Sequence[Detection]]]) -> dict[str, Estimate | None]:
        def precision(name: str, *, boxes: bool = False, area: tuple[float, float] | None = None) -> Samples:
            found = seen[name]
            if boxes:
                found = {photo: [replace(one, mask=None) for one in all_] for photo, all_ in found.items()}
            within = {} if area is None else {"area": area}
            return Matches(self._photos, found, {PERSON}, **within).average_precision(self._weights).mean

        whole = precision("nothing")
        shares = {name: _share(precision(name), whole) for name in seen if name != "nothing"}
        shares["everything, its boxes held against boxes"] = _share(
            precision("everything", boxes=True), precision("nothing", boxes=True)
        )
        for name, area in SIZES.items():
            shares[f"everything, persons {name}"] = _share(
                precision("everything", area=area), precision("nothing", area=area)
            )
        return shares

    def _known(
        self,
        photo: Photo,
        original: Picture,
        machine: Picture,
        seen: Mapping[str, Mapping[int, Sequence[Detection]]],
    ) -> list[Person]:
        truth = self._photos.truth
        wanted = truth.getAnnIds(imgIds=[photo.id], catIds=[self._photos.categories[PERSON]], iscrowd=False)
        lab = cv2.cvtColor(original.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        known = []
        for entry in truth.loadAnns(wanted):
            pixels = truth.annToMask(entry).astype(bool)
            if pixels.sum() < _LEAST_PIXELS:
                continue
            ring = (
                cv2.dilate(pixels.astype(np.uint8), np.ones((2 * _RING + 1,) * 2, np.uint8)).astype(bool)
                & ~pixels
            )
            best = {name: _best(entry["bbox"], seen[name][photo.id]) for name in ("nothing", "everything")}
            box = best["nothing"]
            outlined = (
                {}
                if box is None
                else {
                    name: _overlap(self._persons.outlined(box, picture), truth.annToRLE(entry))
                    for name, picture in (("nothing", original), ("everything", machine))
                }
            )
            known.append(
                Person(
                    photo=photo.id,
                    area=float(entry["area"]),
                    contrast=float(np.linalg.norm(lab[pixels].mean(0) - lab[ring].mean(0)))
                    if ring.any()
                    else 0.0,
                    texture=float(lab[pixels][:, 0].std()),
                    found={name: found is not None for name, found in best.items()},
                    outlined=outlined,
                )
            )
        return known

    def _groups(self, known: Sequence[Person]) -> dict[str, dict[str, Any]]:
        groups: dict[str, list[Person]] = {"all": list(known)}
        for name, (least, most) in SIZES.items():
            groups[name] = [person for person in known if least <= person.area < most]
        for kind in ("contrast", "texture"):
            bounds = np.quantile([getattr(person, kind) for person in known], [1 / 3, 2 / 3]) if known else ()
            for number, third in enumerate(_THIRDS):
                groups[f"{third} {kind}"] = [
                    person for person in known if np.searchsorted(bounds, getattr(person, kind)) == number
                ]
        return {name: self._group(persons) for name, persons in groups.items() if persons}

    def _group(self, persons: Sequence[Person]) -> dict[str, Any]:
        places = {photo.id: place for place, photo in enumerate(self._photos.photos)}
        sums = np.zeros((5, len(places)))
        for person in persons:
            both = float(bool(person.outlined))
            sums[:, places[person.photo]] += (
                float(person.found["nothing"]),
                float(person.found["everything"]),
                both,
                person.outlined.get("nothing", 0.0),
                person.outlined.get("everything", 0.0),
            )
        found, still, outlined, overlap, overlap_machine = sums @ self._weights.T
        return {
            "persons": len(persons),
            "found": int(found[0]),
            "still_found": _share(still, found),
            "overlap": _share(overlap, outlined),
            "overlap_in_machine_view": _share(overlap_machine, outlined),
            "overlap_kept": _share(overlap_machine, overlap),
        }


def _share(part: Samples, whole: Samples) -> Estimate | None:
    """None where the set itself has nothing that could be kept."""
    if not whole[0] > 0:
        return None
    shares = np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
    return Estimate.of(shares, EVALUATION.coverage)


def _best(bbox: Sequence[float], found: Sequence[Detection]) -> Detection | None:
    """The surest detection of a thing with this box."""
    for detection in sorted(found, key=lambda one: -one.score):
        sides = detection.x_max - detection.x_min, detection.y_max - detection.y_min
        overlap = run_lengths.iou([[detection.x_min, detection.y_min, *sides]], [list(bbox)], [0])
        if detection.score >= _FOUND_SCORE and overlap[0][0] >= _FOUND_OVERLAP:
            return detection
    return None


def _overlap(outlined: Detection, truth: dict[str, Any]) -> float:
    assert outlined.mask is not None
    return float(run_lengths.iou([outlined.mask.as_coco()], [truth], [0])[0][0])
