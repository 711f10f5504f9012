"""A matplotlib figure as inline SVG that takes its colours and its font from the page around it.

Colours are painted as placeholders and become CSS variables (`var(--better)`), so that one drawing serves light, dark
and print. Text stays text: small, selectable, sharp. The same figure always gives the same bytes.
"""

import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# placeholder -> the page's variable; outside the page everything falls back to the text's own colour
INK, MUTED, RULE, PAPER = "#fe0001", "#fe0002", "#fe0003", "#fe0004"
PROVEN, LIKELY, UNDECIDED, HARMFUL = "#fe0005", "#fe0006", "#fe0007", "#fe0008"
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    RULE: "rule",
    PAPER: "paper",
    PROVEN: "proven",
    LIKELY: "likely",
    UNDECIDED: "undecided",
    HARMFUL: "harmful",
}
_SVG = "{http://www.w3.org/2000/svg}"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "convlift",
    "text.parse_math": False,  # a class may be called "$x_1$"
    "font.size": 12,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 11,
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": RULE,
    "grid.linewidth": 1,
    "lines.solid_capstyle": "round",
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.major.pad": 7,
    "ytick.major.pad": 7,
}


def draw(key: str, size: tuple[float, float], paint: Callable[["Figure"], None], description: str) -> str:
    """An <svg> element for HTML.

    key: unique on the page (it keeps the ids of two charts apart); size: width and height in CSS pixels; paint: draws
    on the empty figure, whose points are those pixels; description: what a reader who cannot see the chart is told.
    """
    import matplotlib
    from matplotlib.figure import Figure

    content = io.BytesIO()
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # names in scripts that matplotlib's font lacks are drawn by the browser's
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = Figure(figsize=(size[0] / 72, size[1] / 72), dpi=72)
        paint(figure)
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return _for_page(ElementTree.fromstring(content.getvalue()), key, size, description)


def axes(figure: "Figure", left: float, bottom: float, right: float, top: float) -> "Axes":
    """Axes with the given margins in pixels from the four sides of the figure."""
    width, height = figure.get_size_inches() * 72
    return figure.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    )


def _for_page(root: ElementTree.Element, key: str, size: tuple[float, float], description: str) -> str:
    used = {
        name
        for element in root.iter()
        for value in element.attrib.values()
        for name in re.findall(r"#([\w.-]+)", value)
    }
    for parent in list(root.iter()):
        for child in list(parent):
            # metadata links to the network's vocabularies; a <style> would reach the whole page
            if child.tag in (f"{_SVG}metadata", f"{_SVG}style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        element.attrib = {
            name.rpartition("}")[2]: _attribute(name, value, key)
            for name, value in element.attrib.items()
            if name != "id" or value in used
        }
        if element.tag != "text":
            element.text = None
        element.tail = None
    width, height = (f"{side:g}" for side in size)
    root.attrib = {
        "class": "chart",
        "role": "img",
        "aria-label": description,
        "width": width,
        "height": height,
        "viewBox": f"0 0 {width} {height}",
    }
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)


def _attribute(name: str, value: str, key: str) -> str:
    if name == "id":
        return f"{key}-{value}"
    if name == "style":
        value = re.sub(r"font-family:[^;]*;? ?", "", value)
        value = re.sub(r"#fe000\d", lambda found: f"var(--{_VARIABLES[found.group()]}, currentColor)", value)
    return re.sub(r"(^|url\()#", rf"\g<1>#{key}-", " ".join(value.split()))
