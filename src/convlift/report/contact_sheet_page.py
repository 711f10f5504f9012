"""The contact sheet of `convlift preview`: images beside what a network sees of them, as a page or as a picture."""

import io
import textwrap
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

from convlift.console.atomic import write_text
from convlift.console.disk import writing_into
from convlift.errors import ConvliftError
from convlift.records.contact_sheet import Draw, Sheet
from convlift.report.wording.augmentation_in_words import draw_in_words, levers_in_words, sheet_in_words
from convlift.report.wording.phrases import counted, printable

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".html", ".htm", ".png")
LARGE = 20_000  # bytes of a PNG, which 80 pixels a side of a photograph take
TILE, LINE, LETTERS = 176, 15, 29  # of a tile of the picture: pixels a side, pixels a line of text, letters in it


def check_sheet_file(path: Path) -> None:
    """Say what is wrong with a file's name before the images are read. Raises ConvliftError."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConvliftError(f"--out {path} is neither a page nor a picture; name a file that ends in .html or .png.")
    if not path.parent.is_dir():
        raise ConvliftError(f"--out {path} lies in a folder that is not there; make {path.parent} first.")


def write_sheet(sheet: Sheet, path: Path) -> Path:
    """Write the page, or the picture where the name ends in .png; its path. Raises DiskError."""
    if path.suffix.lower() != ".png":
        return write_text(path, render_sheet(sheet))
    content = io.BytesIO()
    draw_sheet(sheet).save(content, "PNG", optimize=True)
    with writing_into(path.parent):
        path.write_bytes(content.getvalue())
    return path


def render_sheet(sheet: Sheet) -> str:
    """The page as text: one file without script or network request, all pictures inside."""
    from convlift.report.page import templates

    rows = [
        (name, label, inside(original), [(inside(draw.picture), draw_in_words(draw.levers)) for draw in draws])
        for name, label, original, draws in sheet.rows
    ]
    page = (
        templates()
        .get_template("contact_sheet.html.j2")
        .render(sheet=sheet, rows=rows, levers=levers_in_words(sheet), said=sheet_in_words(sheet))
    )
    return printable(page)


def draw_sheet(sheet: Sheet) -> "Image":
    """The same as one picture: a row an image, the image as it is first, each draw's figures under it."""
    from PIL import Image, ImageDraw, ImageFont

    told = [
        [(png, _lines(words)) for png, words in _tiles(label, original, draws)]
        for _, label, original, draws in sheet.rows
    ]
    lines = max((len(text) for row in told for _, text in row), default=0)
    width, height = TILE + 16, TILE + lines * LINE + 20
    columns = max((len(row) for row in told), default=0)
    whole = Image.new("RGB", (columns * width + 16, len(told) * height + 16), "white")
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(12)
    for down, row in enumerate(told):
        for across, (png, text) in enumerate(row):
            left, top = 16 + across * width, 16 + down * height
            whole.paste(_large(png), (left, top))
            for line, words in enumerate(text):
                pen.text((left, top + TILE + 4 + line * LINE), words, "#333", font)
    return whole


def _lines(words: str) -> list[str]:
    # the font that comes with PIL has no multiplication sign
    return textwrap.wrap(printable(words).replace("×", "x"), LETTERS)


def _tiles(label: str, original: bytes, draws: tuple[Draw, ...]) -> list[tuple[bytes, str]]:
    return [(original, label), *((draw.picture, draw_in_words(draw.levers)) for draw in draws)]


def sheet_sentence(sheet: Sheet, path: Path) -> str:
    """What was written, for the terminal."""
    levers = ", ".join(f"{name} {value}" for name, value, _ in levers_in_words(sheet)) or "no augmentation"
    return f"{counted(len(sheet.rows), 'training image')} at {sheet.side} pixels ({levers}) in {path}"


def _large(png: bytes) -> "Image":
    """A tile; small images keep their pixels visible."""
    from PIL import Image

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    way = Image.Resampling.NEAREST if picture.width < TILE else Image.Resampling.LANCZOS
    return picture.resize((TILE, TILE), way)


def inside(png: bytes) -> str:
    """A picture as the page holds it: photographs as JPEG, a quarter of the bytes."""
    kind, content = "png", png
    if len(png) > LARGE:
        from PIL import Image

        smaller = io.BytesIO()
        Image.open(io.BytesIO(png)).convert("RGB").save(smaller, "JPEG", quality=92, subsampling=0)
        kind, content = "jpeg", smaller.getvalue()
    return f"data:image/{kind};base64,{b64encode(content).decode()}"
