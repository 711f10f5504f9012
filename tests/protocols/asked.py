"""What the protocols' tests ask for."""

from pathlib import Path

from convlift.campaign.request import Request


def asked(data: Path, place: Path, name: str, seconds: float) -> Request:
    """The tutorial network on one worker, into a run folder of that name, with a cache beside it."""
    return Request(
        data=str(data),
        budget_seconds=seconds,
        current="plain",
        out=place / name,
        backbone=None,
        weights=None,
        root=None,
        seed=0,
        ship="auto",
        workers=1,
        cache=place / "cache",
    )
