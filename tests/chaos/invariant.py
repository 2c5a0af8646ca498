"""The invariant, counted: every acknowledged frame is recognised exactly once, in order, and is the picture taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from secondsight.v1 import analytics_pb2, frame_pb2
from shared_models import Codec
from shared_models.reference import Reference
from tests.chaos.observer import Seen
from tests.chaos.pictures import FLOOR_DB, Picture, UnreadableNumberError, number_of, psnr
from tests.chaos.witness import Name, Said, digest


@dataclass(frozen=True)
class Count:
    """What was found about one camera.

    Attributes:
        lost: acknowledged frames that were not stored, or not recognised, or did not reach the subscriber.
        duplicated: frames that are there twice, under one name or with one picture.
        presumed: see `Said`; they are held to the same.
        decoded, viewed: stored frames of which the machine view and the human view was decoded and looked at.
        violations: in words.
    """

    camera: str
    sent: int
    acknowledged: int
    presumed: int
    refused: dict[str, int]
    stored: int
    recognised: int
    delivered: int
    lost: int
    duplicated: int
    decoded: int
    viewed: int
    least_psnr: float | None
    violations: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """For the file of results."""
        return asdict(self)


def count(
    camera: str, said: Said, seen: Seen, delivered: Sequence[Name], codec: Codec, rising: bool = True
) -> Count:
    """Hold what was said against what was seen.

    Args:
        rising: whether pictures carry their numbers in the order in which they were taken, each once.
    """
    violations: list[str] = []
    stored = [name for name, _ in seen.stored]
    recognised = [name for name, _ in seen.results]
    promised = said.acked | said.presumed
    lost: set[Name] = set()
    duplicated = 0
    for where, names in (("stored", stored), ("recognised", recognised), ("delivered", list(delivered))):
        if missing := promised - set(names):
            lost |= missing
            violations.append(f"{len(missing)} acknowledged frames were not {where}: {_some(missing)}")
        if twice := {name for name, times in Counter(names).items() if times > 1}:
            duplicated += len(twice)
            violations.append(f"{len(twice)} frames were {where} more than once: {_some(twice)}")
        if names != sorted(names):
            violations.append(f"frames were {where} out of order")
    if strange := set(recognised) - set(stored):
        violations.append(f"{len(strange)} results are of frames that were never stored: {_some(strange)}")
    if said.renamed:
        violations.append(f"two frames were sent under one name: {_some(said.renamed)}")
    for name, frame in seen.stored:
        if name in said.sent and said.sent[name] != digest(frame):
            violations.append(f"frame {_named(name)} is stored as another than was sent")
    frames = dict(seen.stored)
    for name, result in seen.results:
        violations += _wrong_result(name, result, frames.get(name))
    looked = _look_at_pictures(seen, codec, violations)
    if rising:
        duplicated += _check_numbers(looked.numbers, said, violations)
    return Count(
        camera=camera,
        sent=len(said.sent),
        acknowledged=len(said.acked),
        presumed=len(said.presumed - said.acked),
        refused=dict(Counter(said.refused.values())),
        stored=len(set(stored)),
        recognised=len(set(recognised)),
        delivered=len(set(delivered)),
        lost=len(lost),
        duplicated=duplicated,
        decoded=len(looked.numbers),
        viewed=looked.viewed,
        least_psnr=looked.least_psnr,
        violations=violations,
    )


@dataclass
class _Looked:
    numbers: list[tuple[Name, int, int]] = field(default_factory=list)
    """Of each decoded frame its name, the number of its picture, and when it was captured."""
    viewed: int = 0
    least_psnr: float | None = None


def _look_at_pictures(seen: Seen, codec: Codec, violations: list[str]) -> _Looked:
    """Decode all that is stored from stored layers alone, and compare it with the pictures that were taken."""
    looked = _Looked()
    references: dict[Name, Reference] = {}
    for name, frame in seen.stored:
        enhancement = seen.enhancements.get(name)
        key = (frame.reference_session, frame.reference_sequence) if frame.reference_sequence else name
        try:
            if frame.reference_sequence == 0:
                references.clear()
                references[name] = codec.reference(frame.machine_layer, enhancement)
            reference = references.get(key) if key != name else None
            number = number_of(codec.decode_machine(frame.machine_layer, reference))
            looked.numbers.append((name, number, frame.captured_at.ToNanoseconds()))
            if enhancement is None or key not in seen.enhancements:
                continue
            view: Picture = codec.decode_human(frame.machine_layer, enhancement, reference=reference)
            seen_number = number_of(view)
        except (UnreadableNumberError, ValueError) as error:
            violations.append(f"frame {_named(name)} cannot be seen: {type(error).__name__}: {error}")
            continue
        if seen_number != number:
            violations.append(f"frame {_named(name)} shows {number} to machines and {seen_number} to people")
        likeness = psnr(view, number)
        looked.viewed += 1
        looked.least_psnr = likeness if looked.least_psnr is None else min(likeness, looked.least_psnr)
        if likeness < FLOOR_DB:
            violations.append(f"frame {_named(name)} is {likeness:.1f} dB from picture {number}")
    return looked


def _check_numbers(numbers: list[tuple[Name, int, int]], said: Said, violations: list[str]) -> int:
    """The pictures of frames have to rise; gives how many do not.

    Only a frame whose acknowledgement was lost with its session may be there under a second name. A camera that is
    opened again within its frame time gives the same picture again: that is another frame, captured later.
    """
    repeated = 0
    last_name, last, last_captured = (0, 0), -1, -1
    for name, number, captured in numbers:
        unanswered = last_name not in said.acked and last_name[0] != name[0]
        again = number < last or (number == last and captured == last_captured)
        if again and not (unanswered or name not in said.sent):
            repeated += 1
            violations.append(f"frame {_named(name)} shows {number} after {last}")
        last_name, last, last_captured = name, number, captured
    return repeated


def _wrong_result(
    name: Name, result: analytics_pb2.RecognitionResult, frame: frame_pb2.Frame | None
) -> list[str]:
    wrong = []
    if result.failure:
        wrong.append(f"frame {_named(name)} was not recognised: {result.failure}")
    if (result.frame.session, result.frame.sequence) != name:
        wrong.append(f"the result of frame {_named(name)} says that it is of {result.frame}")
    if frame is not None and result.captured_at != frame.captured_at:
        wrong.append(f"the result of frame {_named(name)} has another time of capture")
    return wrong


def _named(name: Name) -> str:
    return f"{name[0]}-{name[1]}"


def _some(names: set[Name]) -> str:
    shown = ", ".join(map(_named, sorted(names)[:5]))
    return shown if len(names) <= 5 else f"{shown}, …"
