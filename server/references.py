"""Decoded key frames, kept in memory for the frames predicted from them."""

from __future__ import annotations

from server.groups import KeyFrame
from server.kept_in_memory import KeptInMemory
from shared_models.reference import Reference


class References:
    """At most `most_bytes` of them.

    They are found by camera, too: names of layers are checksums, and one edge that forges another's gets nowhere.
    """

    def __init__(self, most_bytes: int) -> None:
        self._kept: KeptInMemory[tuple[str, KeyFrame], Reference] = KeptInMemory(
            most_bytes, lambda reference: reference.nbytes
        )

    def find(self, camera_id: str, key: KeyFrame) -> Reference | None:
        """The decoded key frame, if it is kept."""
        return self._kept.find((camera_id, key))

    def keep(self, camera_id: str, key: KeyFrame, reference: Reference) -> None:
        """Keep a decoded key frame, in place of what was known of it before."""
        self._kept.keep((camera_id, key), reference)
