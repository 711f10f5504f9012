"""A plan and the images that it speaks of, to be looked at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convlift.campaign.open_data import read_images
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.data.encode import png_of
from convlift.data.revised import load_plan, of_other_data
from convlift.data.store import ImageStore
from convlift.errors import ConvliftError
from convlift.records.data_plan import DataPlan
from convlift.records.events import Event, ImagesRead


@dataclass(frozen=True, eq=False)
class Looked:
    """path: of the plan; store: the images as the audit saw them."""

    path: Path
    plan: DataPlan
    store: ImageStore

    def picture(self, key: str) -> bytes | None:
        """An image of the data set as PNG; None of one that could not be read."""
        if key not in self.store.keys:
            return None
        return png_of(self.store.image(self.store.keys.index(key)))


def look_at_plan(path: Path, data: object, cache: Path, session: Session) -> Looked:
    """Read a plan, and the images that it was made of.

    data: where they lie now; None where they lie as they did. Raises ConvliftError where that is not known, or these
    are other data; what reading raises.
    """
    plan = load_plan(path)
    where, options = _reading(plan)
    if data is None and not where:
        raise ConvliftError(f"plan {path} is of a data set in memory; give it, too: convlift.review(plan, data).")
    request = request_of(where if data is None else data, None, cache, **options)

    def hear(event: Event) -> None:
        if not isinstance(event, ImagesRead):  # what is wrong with them is what the plan says
            session.listen(event)

    store, _ = read_images(request, Session(hear, session.stop, session.began))
    if store.fingerprint != plan.fingerprint:
        raise of_other_data(path, plan, store.name, plan.images)
    if "" not in (plan.names, store.names) and plan.names != store.names:
        raise of_other_data(path, plan, store.name, plan.images, "names")
    return Looked(path.expanduser().resolve(), plan, store)


def _reading(plan: DataPlan) -> tuple[str, dict[str, Any]]:
    known = {"data", "alpha", "value_range", "layout", "follow_links", "columns", "root", "images"}
    if unknown := sorted(plan.reading.keys() - known):
        raise ConvliftError(
            f"the plan reads with '{unknown[0]}', which is no option; it has {', '.join(sorted(known))}."
        )
    options: dict[str, Any] = {name: value for name, value in plan.reading.items() if name != "data"}
    if "follow_links" in options:
        options["follow_links"] = options["follow_links"] == "yes"
    return plan.reading.get("data", ""), options
