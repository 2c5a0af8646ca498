"""The 80 categories of COCO, in the order of their numbers, and numbers for labels that it does not have."""

from __future__ import annotations

from typing import Final

# COCO category numbers run to 90 with gaps; an empty label is a gap.
COCO_LABEL_BY_NUMBER: Final = (
    "", "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "", "backpack", "umbrella", "", "", "handbag", "tie", "suitcase",
    "frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard",
    "surfboard", "tennis racket", "bottle", "", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana",
    "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "", "dining table", "", "", "toilet", "", "tv", "laptop", "mouse", "remote", "keyboard",
    "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip

COCO_LABELS: Final = tuple(label for label in COCO_LABEL_BY_NUMBER if label)

_FIRST_OWN: Final = 1000


class Categories:
    """Numbers of labels in one file: COCO's own for those that it has, for others from 1000 on."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, label: str) -> int:
        """The label's, the same each time."""
        if label not in self._numbers:
            own = sum(number >= _FIRST_OWN for number in self._numbers.values())
            is_known = label in COCO_LABELS
            self._numbers[label] = COCO_LABEL_BY_NUMBER.index(label) if is_known else _FIRST_OWN + own
        return self._numbers[label]

    def all(self) -> list[dict[str, int | str]]:
        """As COCO's `categories`, by number."""
        by_number = sorted(self._numbers.items(), key=lambda item: item[1])
        return [{"id": number, "name": label} for label, number in by_number]
