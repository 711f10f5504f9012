"""What `convlift predict --explain` leaves: a picture an image, and a page that lists them, the surest first."""

import base64
import html
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from convlift.console.atomic import write_text
from convlift.console.disk import writing_into
from convlift.data.encode import shown_of
from convlift.data.readers.source import printable
from convlift.errors import ConvliftError
from convlift.report.wording.phrases import counted

if TYPE_CHECKING:
    from PIL.Image import Image

    from convlift.deploy.explain import Explanation

INDEX = "index.html"
SMALLEST = 192  # pixels of a picture's shorter side; smaller images are drawn larger
ON_THE_PAGE = 280  # pixels that a picture has on the page at most, in width
STRENGTH = 0.7  # how much of the image the hottest place hides
_STYLE = """
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif }
body { margin: 2rem auto; max-width: 78rem; padding: 0 1rem }
ul { display: grid; gap: 1.2rem; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)) }
ul { list-style: none; padding: 0 }
img { display: block; height: auto; max-width: 100% }
code { color: GrayText; font-size: .85em; overflow-wrap: anywhere }
mark { border-radius: .2em; padding: 0 .3em }
"""


class _Row(NamedTuple):
    confidence: float
    entry: str


class HeatMapPage:
    """A folder of pictures, and its page: owns the folder until it is closed."""

    def __init__(self, folder: Path) -> None:
        """Raises ConvliftError where the folder holds anything, or cannot be made."""
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConvliftError(f"--explain {folder} is not an empty folder; name a new one, whose files are all ours.")
        with writing_into(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._rows = folder, list[_Row]()

    def add(self, explanation: "Explanation") -> None:
        """Write an image's picture. Raises DiskError."""
        prediction = explanation.prediction
        picture = draw_heat_map(explanation)
        name = f"{len(self._rows) + 1:05d}-{_plain(Path(prediction.image).stem)}.jpg"
        with writing_into(self._folder):
            (self._folder / name).write_bytes(_jpeg(picture, 90))
        small = picture.copy()
        small.thumbnail((2 * ON_THE_PAGE, 2 * ON_THE_PAGE))
        encoded = base64.b64encode(_jpeg(small, 80)).decode()
        label, image = (html.escape(printable(text)) for text in (prediction.label, prediction.image))
        mark = " <mark>unlike the training images</mark>" if prediction.unlike else ""
        self._rows.append(
            _Row(
                prediction.confidence,
                f'<li><a href="{name}"><img src="data:image/jpeg;base64,{encoded}" alt="heat map of {label}"></a>'
                f"<b>{label}</b> {prediction.confidence:.3f}{mark}<br><code>{image}</code></li>",
            )
        )

    def close(self) -> Path:
        """Write the page, all pictures inside; its path. Raises DiskError."""
        rows = sorted(self._rows, key=lambda row: -row.confidence)
        entries = "\n".join(row.entry for row in rows)
        text = (
            f"<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            f"<title>Where the classes are seen</title><style>{_STYLE}</style>\n<h1>Where the classes are seen</h1>\n"
            f"<p>{counted(len(rows), 'image')}, the surest first: each beside its heat map (Grad-CAM), red where most "
            "speaks for the class that is named, with that class's probability. A map shows what the network looked "
            f"at, not that it was right to.</p>\n<ul>\n{entries}\n</ul>\n</html>\n"
        )
        return write_text(self._folder / INDEX, text)


def draw_heat_map(explanation: "Explanation") -> "Image":
    """The image on the left, and on the right the same under its heat map; of bands what `shown_of` shows."""
    import cv2
    import numpy as np
    from PIL import Image

    pixels = shown_of(explanation.image)
    factor = max(1, -(-SMALLEST // min(pixels.shape[:2])))
    colour = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    large = np.repeat(np.repeat(colour, factor, axis=0), factor, axis=1).astype(np.float32)
    height, width = large.shape[:2]
    heat = cv2.resize(explanation.heat_map, (width, height), interpolation=cv2.INTER_LINEAR)
    bgr = cv2.applyColorMap(np.rint(255 * heat.clip(0, 1)).astype(np.uint8), cv2.COLORMAP_TURBO)
    hidden = STRENGTH * heat[:, :, None]
    grey = large @ np.array([[0.299], [0.587], [0.114]], np.float32)  # so that all colour is the map's (ITU-R BT.601)
    laid = grey * (1 - hidden) + bgr[:, :, ::-1].astype(np.float32) * hidden
    gap = np.full((height, 6, 3), 255, np.float32)
    return Image.fromarray(np.rint(np.concatenate([large, gap, laid], axis=1)).astype(np.uint8))


def _jpeg(picture: "Image", quality: int) -> bytes:
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=quality)
    return content.getvalue()


def _plain(stem: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem)[:80]
