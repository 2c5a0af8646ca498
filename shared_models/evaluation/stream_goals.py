"""What camera streams are to reach, and where another codec is the better choice, told from what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared_models.evaluation.goals import Goal
from shared_models.evaluation.plots import short
from shared_models.evaluation.stream import GROUPS, KEYS_ALONE, Reached, percentage


@dataclass(frozen=True)
class StreamLimits:
    """What counts as reached on a fixed camera.

    Attributes:
        rate: of the machine layer at the agreement that rates are told for, bits per pixel, at most.
        both_ratio: bits of both layers at every frame over x265's at equal PSNR of the human view, at most.
        share: of the frames with human views, with which ours has to cost less than x265.
        anchor: beginning of the name of the codec to compare with.
    """

    rate: float = 0.02
    both_ratio: float = 2.0
    share: float = 0.05
    anchor: str = "x265"


LIMITS: Final = StreamLimits()
_OURS: Final = "ours"
_OPEN: Final = "not decided by what was measured"


@dataclass(frozen=True)
class Contest:
    """One question about one clip, and who answers it with fewer bits."""

    question: str
    ours: str
    theirs: str
    better: str


def stream_goals(clip: Mapping[str, Any], limits: StreamLimits = LIMITS) -> list[Goal]:
    """Of one clip, as `ClipFindings.as_dict` told it."""
    if clip["camera"] == "moving":
        return [_no_worse_than_keys(clip)]
    wanted = percentage(clip["bits_per_pixel_at_agreement"]["agreement"])
    share = percentage(limits.share)
    return [
        *_machine_rates(clip, limits, wanted),
        _ratios(
            clip,
            limits,
            "both_ratio",
            f"both layers at every frame: at most {limits.both_ratio:g} times x265's bits at equal PSNR, "
            "at one setting",
            limits.both_ratio,
        ),
        _ratios(
            clip,
            limits,
            share,
            f"human views of {share} of the frames: fewer bits than x265 at equal PSNR, at one setting",
            1.0,
        ),
    ]


def contests(clip: Mapping[str, Any], limits: StreamLimits = LIMITS) -> list[Contest]:
    """Of our groups with the anchor, on one clip."""
    return [*_for_machines(clip, limits), *_for_people(clip, limits)]


def rates_at_agreement(clip: Mapping[str, Any]) -> dict[str, dict[str, Reached | None]]:
    """By detector and curve."""
    return {
        detector: {name: None if rate is None else Reached(**rate) for name, rate in rates.items()}
        for detector, rates in clip["bits_per_pixel_at_agreement"]["detectors"].items()
    }


def against(clip: Mapping[str, Any], anchor: str, curve: str = GROUPS) -> list[Mapping[str, Any]]:
    """Our points that were held against the anchor whose name begins so, and that its ladder reaches around."""
    compared = (
        curves.get(curve, ()) for name, curves in clip["at_equal_psnr"].items() if name.startswith(anchor)
    )
    return [point for points in compared for point in points if point["bits_per_pixel"] is not None]


def _machine_rates(clip: Mapping[str, Any], limits: StreamLimits, wanted: str) -> Iterator[Goal]:
    for detector, rates in rates_at_agreement(clip).items():
        ours, theirs = _lowest(rates.get(GROUPS)), _anchored(rates, limits)
        found = "not measured" if ours is None else f"{ours} bit/pixel"
        yield Goal(
            f"machine layer: at most {limits.rate:g} bit/pixel at {wanted} agreement of {detector}",
            None if ours is None else ours.at_most(limits.rate),
            found,
        )
        yield Goal(
            f"machine layer: no more bits than x265 at {wanted} agreement of {detector}",
            None if ours is None or theirs is None else _not(theirs.less_than(ours)),
            f"{found}, x265 {'not measured' if theirs is None else theirs}",
        )


def _ratios(clip: Mapping[str, Any], limits: StreamLimits, key: str, text: str, most: float) -> Goal:
    """Reached where it is at one of our settings at least: who runs a camera chooses it. Told are all."""
    points = against(clip, limits.anchor)
    ratios = {point["setting"]: _ratio(point, key) for point in points}
    if not ratios:
        return Goal(text, None, "x265 was not measured around the PSNR of our settings")
    told = "; ".join(f"{setting}: {ratio:.2f} times" for setting, ratio in ratios.items())
    return Goal(text, any(ratio <= most for ratio in ratios.values()), told)


def _no_worse_than_keys(clip: Mapping[str, Any]) -> Goal:
    text = "groups: no more bits than key frames alone at equal PSNR"
    points = against(clip, KEYS_ALONE)
    if not points:
        return Goal(text, None, "key frames alone were not measured around the PSNR of our settings")
    told = "; ".join(f"{point['setting']}: {point['both_ratio']:.2f} times" for point in points)
    return Goal(text, all(point["both_ratio"] <= 1.0 for point in points), told)


def _for_machines(clip: Mapping[str, Any], limits: StreamLimits) -> Iterator[Contest]:
    wanted = percentage(clip["bits_per_pixel_at_agreement"]["agreement"])
    for detector, rates in rates_at_agreement(clip).items():
        ours, theirs = _lowest(rates.get(GROUPS)), _anchored(rates, limits)
        if ours is None or theirs is None:
            continue
        fewer = ours.less_than(theirs)
        yield Contest(
            f"machines: bit/pixel at {wanted} agreement of {detector}",
            str(ours),
            str(theirs),
            _OPEN if fewer is None else _OURS if fewer else short(_anchor(rates, limits)),
        )


def _for_people(clip: Mapping[str, Any], limits: StreamLimits) -> Iterator[Contest]:
    points = against(clip, limits.anchor)
    for point in points:
        name = short(_anchor(clip["at_equal_psnr"], limits))
        theirs = point["bits_per_pixel"]
        for key, what in (
            ("both_ratio", "people: bit/pixel, human views of every frame"),
            (
                percentage(limits.share),
                f"people: bit/pixel, human views of {percentage(limits.share)} of the frames",
            ),
        ):
            ratio = _ratio(point, key)
            yield Contest(
                f"{what}, {point['psnr_db']:.1f} dB ({point['setting']})",
                f"{ratio * theirs:.4f}",
                f"{theirs:.4f}",
                _OURS if ratio < 1.0 else f"{name}, by {ratio:.2f}",
            )


def _ratio(point: Mapping[str, Any], key: str) -> float:
    value: float = point[key] if key in point else point["share_ratios"][key]
    return value


def _anchor(names: Mapping[str, Any], limits: StreamLimits) -> str:
    return next(name for name in names if name.startswith(limits.anchor))


def _anchored(rates: Mapping[str, Reached | None], limits: StreamLimits) -> Reached | None:
    return next((rate for name, rate in rates.items() if name.startswith(limits.anchor)), None)


def _lowest(ours: Reached | None) -> Reached | None:
    """Where our lowest setting reaches it, its rate is what it costs: an encoder that can do with less has none."""
    return Reached(ours.bits_per_pixel, "at") if ours is not None and ours.bound == "below" else ours


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value
