"""Gives a receiver that is well again what it did not take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server.relay.config import WebhookTarget
from server.relay.dead_letters import DeadLetters
from server.relay.receiver import GoneError, Receiver


@dataclass(frozen=True)
class Resent:
    """What became of a target's dead letters.

    Attributes:
        taken: events that it took; they are dead letters no more.
        refused: events that it says it will never take.
        left: events that were not tried, since it does not take any.
        why: it does not take any; empty when all were tried.
    """

    target: str
    taken: int
    refused: int
    left: int
    why: str


async def resend(
    name: str, target: WebhookTarget, dead: DeadLetters, progress: Callable[[int, int], None]
) -> Resent:
    """Send the dead letters of a target once more, oldest first, each once; end where the receiver takes none.

    They have the names that they had, by which a receiver knows what it has. A relay may run beside it.

    Args:
        progress: called with the number of letters done and their total.

    Raises:
        DeadLetterError: a file among them is none.
        RelayConfigError: a file of the target cannot be used.
    """
    receiver = Receiver(name, target)
    total = len(dead.paths())
    taken = refused = 0
    why = ""
    async with receiver.reached():
        for letter in dead.letters():
            try:
                refusal = await receiver.post(letter.event, letter.document)
            except GoneError:
                why = "it answered 410: gone for good"
                break
            if refusal is None:
                dead.remove(letter)
                taken += 1
            elif refusal.wait_s is None:
                refused += 1
            else:
                why = refusal.why
                break
            progress(taken + refused, total)
    return Resent(name, taken, refused, max(0, total - taken - refused) if why else 0, why)
