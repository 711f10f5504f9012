"""Reading and writing a duration such as 1h30m."""

import re

from convlift.errors import BudgetError

_DURATION = re.compile(
    r"(?:(?P<h>\d+(?:\.\d+)?)\s*h)?\s*(?:(?P<m>\d+(?:\.\d+)?)\s*m(?:in)?)?\s*(?:(?P<s>\d+(?:\.\d+)?)\s*s)?",
    re.I,
)


def parse_duration(text: str) -> float:
    """Seconds from "90s", "20m" or "1h30m". Raises BudgetError where the text is no duration, or none above zero."""
    found = _DURATION.fullmatch(text.strip())
    if not found or not any(found.groups()):
        raise BudgetError(
            f"budget '{text}' is not a duration; write hours, minutes and seconds such as 90s, 20m or 1h30m."
        )
    hours, minutes, seconds = (float(part or 0) for part in found.group("h", "m", "s"))
    total = hours * 3600 + minutes * 60 + seconds
    if total <= 0:
        raise BudgetError(f"budget '{text}' leaves no time at all; give at least one second, such as 90s or 20m.")
    return total


def format_duration(seconds: float) -> str:
    """The shortest form that `parse_duration` reads back, to the second: 5400 is "1h30m"."""
    whole = round(seconds)
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
