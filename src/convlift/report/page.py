"""The report: one HTML file without script or network request, from the result and its story."""

import difflib
import json
import math
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from convlift.evidence.metrics import title_of
from convlift.records.notes import NothingToSee
from convlift.records.result import Estimate, Result
from convlift.report import charts
from convlift.report.confusion_chart import MATRIX_CLASSES, confusion
from convlift.report.contact_sheet_page import inside
from convlift.report.documents import result_document
from convlift.report.page_records import Story
from convlift.report.shift_lines import shift_gain_sentences
from convlift.report.thumbnails import thumbnail
from convlift.report.wording.augmentation_in_words import draw_in_words, sheet_in_words
from convlift.report.wording.choice_of_changes import not_tried_in_words, why_in_words
from convlift.report.wording.diagnoses import sentence
from convlift.report.wording.goal_in_words import GUIDES
from convlift.report.wording.headline import (
    conclusion,
    headline,
    judged_images,
    never_tried,
    own_step,
    ranked,
    recipe_line,
    shipped_network,
    warnings_of,
    was_tried,
    why_beside_its_runs,
    why_sentence,
)
from convlift.report.wording.note_sentences import note_sentence
from convlift.report.wording.phrases import (
    column_decimals,
    counted,
    duration,
    interval,
    printable,
    share,
    signed,
    typographic,
)
from convlift.report.wording.plan_sentences import applied_sentences, entry_in_words
from convlift.report.wording.recipe_faults import finding_in_words
from convlift.report.wording.start_changes import changes_of_start
from convlift.report.wording.verdict_reasons import reason_in_words

_WIDE, _NARROW = 820, 343  # the text column on a screen; a phone's width less its margins
_SPLITS = (("train", "training"), ("validation", "validation"), ("test", "test"))
_SHORT_NAME = 14  # letters: two columns of longer names leave no room beside the matrix
_CLASS_ROWS, _PAIR_ROWS, _TRIAL_ROWS, _ITEM_ROWS, _PLAN_ROWS, _IMAGES = 30, 10, 400, 20, 200, 18


def render(result: Result, story: Story) -> str:
    """The page as text; the same records always give the same text.

    Every name from outside is escaped, long lists are cut and say so, pictures are shrunk: the file stays under 6 MB
    whatever the data set.
    """
    page = (
        templates()
        .get_template("report.html.j2")
        .render(
            result=result,
            metric=title_of(result.metric),
            story=story,
            conclusion=conclusion(result),
            guide=GUIDES[result.goal],
            headline=headline(result),
            recipe_line=typographic(recipe_line(result)),
            shifted=[
                (typographic(" ".join(shift_gain_sentences(each, result.metric))), each.by_corruption)
                for each in result.shifts
            ],
            judged_images=judged_images(result),
            warnings=warnings_of(result),
            ships=shipped_network(result),
            nothing_to_see=any(isinstance(note, NothingToSee) for note in result.notes),
            json=json.dumps(result_document(result), indent=2, allow_nan=False),
            image_kind="test image" if result.judged else "validation image",
            **_changes(result),
            **model_parts(story),
            **_data(result, story),
            **_trials(result, story),
            recipe=_marked(story.baseline_recipe, story.shipped_recipe),
            scores=both_widths(partial(charts.scores, result)),
            **_seen(story),
        )
    )
    return printable(page)


def templates() -> Environment:
    """The page's templates, with the filters that they use."""
    environment = Environment(
        loader=PackageLoader("convlift.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"signed": _signed, "duration": duration, "percent": _percent, "score": _score}
    environment.filters |= {"capitalized": _capitalized, "note_sentence": note_sentence}
    environment.filters |= {"diagnosis": sentence}
    environment.filters |= {"finding": finding_in_words, "reason": reason_in_words}
    environment.globals |= {"why_in_words": why_in_words, "not_tried_in_words": not_tried_in_words}
    environment.globals |= {"applied_sentences": applied_sentences, "entry_in_words": entry_in_words}
    environment.globals |= {
        "interval": _interval,
        "share": share,
        "counted": counted,
        "item_rows": _ITEM_ROWS,
        "plan_rows": _PLAN_ROWS,
    }
    environment.globals |= {
        "changes_of_start": changes_of_start,
        "note_sentence": note_sentence,
        "why_sentence": why_sentence,
    }
    return environment


def both_widths(chart: Callable[[int], str]) -> Markup:
    """A chart drawn for screens and for phones; the style sheet shows one of them."""
    # safe: charts escape every name they print
    return Markup(f'<div class="wide">{chart(_WIDE)}</div><div class="narrow">{chart(_NARROW)}</div>')


def _changes(result: Result) -> dict[str, Any]:
    verdicts = [verdict for verdict in ranked(result.verdicts) if was_tried(verdict)]
    # shares rarely add up to the gain exactly; a quarter of it, and a whole point, is more than noise explains
    loose = max(1.0, abs(result.gain_points.value) / 4) if result.gain_points else math.inf
    has_steps = result.judged and result.baseline is not None and any(v.shipped for v in verdicts)
    return {
        "tried": verdicts,
        "never_tried": never_tried(result),
        "shipped": [verdict for verdict in verdicts if verdict.shipped],
        "left_out": [verdict for verdict in verdicts if not verdict.shipped],
        "labels": [v for v in ("proven", "likely", "undecided", "harmful") if v in {x.label for x in verdicts}],
        "decimals": column_decimals(verdicts),
        "unexplained_is_large": abs(result.unexplained_points) > loose,
        "forest": both_widths(partial(charts.forest, result.verdicts)) if verdicts else "",
        "steps": both_widths(partial(charts.steps, result)) if has_steps else "",
        "own_step": why_beside_its_runs(result) if own_step(result) else "",
    }


def _data(result: Result, story: Story) -> dict[str, Any]:
    train = story.class_counts.get("train", ())
    counted_images = {**{name: sum(counts) for name, counts in story.class_counts.items()}, **result.counts}
    return {
        "splits": [(name, counted_images[key]) for key, name in _SPLITS if key in counted_images],
        "smallest_class": min(train, default=0),
        "largest_class": max(train, default=0),
        "held_back": [(each, _data_uri(each.before), _data_uri(each.after)) for each in story.held_back[:_IMAGES]],
    }


def model_parts(story: Story) -> dict[str, Any]:
    """What the templates show of a network: mistakes, classes, hard images, curves."""
    number = len(story.classes)
    matrix: str | Markup = ""
    matrix_chart = partial(confusion, story.confusion, story.classes)
    if story.confusion.size and number <= MATRIX_CLASSES:
        # on a phone more than 12 classes leave cells too small to read; the table of mistakes says it there
        matrix = both_widths(matrix_chart) if number <= 12 else Markup(f'<div class="wide">{matrix_chart(_WIDE)}</div>')
    tested = story.classes if story.final_recall else ()
    before = story.baseline_recall or (math.nan,) * len(tested)
    rows = zip(tested, before, story.final_recall, strict=True)
    weakest_first = sorted(rows, key=lambda row: (math.isnan(row[2]), row[2]))
    return {
        "matrix": matrix,
        "matrix_class": "beside"
        if number <= 6 and max(map(len, story.classes), default=0) <= _SHORT_NAME
        else ""
        if number <= 12
        else "large",
        "pairs": _confused_pairs(story),
        "recalls": weakest_first[:_CLASS_ROWS],
        "baseline_recalls": any(math.isfinite(row[1]) for row in weakest_first),
        "has_phases": any(len({r.phase for r in c}) > 1 for c in (story.baseline_curve, story.final_curve)),
        "curves": both_widths(partial(charts.curves, story.baseline_curve, story.final_curve))
        if story.baseline_curve or story.final_curve
        else "",
        "images": [(image, uri) for image in story.hard_images[:_IMAGES] if (uri := _data_uri(image.png))],
    }


def _seen(story: Story) -> dict[str, Any]:
    """Training images beside what the network saw of them; a picture that is none takes its row with it."""
    if story.seen is None:
        return {"seen": [], "seen_said": ""}
    rows = []
    for _, label, original, draws in story.seen.rows:
        pictures = [(original, "as it is"), *((draw.picture, draw_in_words(draw.levers)) for draw in draws)]
        small = [(thumbnail(png), words) for png, words in pictures]
        if all(png for png, _ in small):
            rows.append((label, [(inside(png), words) for png, words in small]))
    return {"seen": rows, "seen_said": sheet_in_words(story.seen)}


def _confused_pairs(story: Story) -> list[tuple[str, str, float, float]]:
    """(true class, predicted class, fraction of that class's images, fraction of all mistakes), most mistakes first."""
    errors = story.confusion.copy()
    np.fill_diagonal(errors, 0)
    totals = story.confusion.sum(axis=1)
    rows, columns = np.nonzero(errors)
    order = np.argsort(-errors[rows, columns], kind="stable")[:_PAIR_ROWS]
    return [
        (
            story.classes[i],
            story.classes[j],
            float(errors[i, j] / totals[i]),
            float(errors[i, j] / errors.sum()),
        )
        for i, j in zip(rows[order], columns[order], strict=True)
    ]


def _trials(result: Result, story: Story) -> dict[str, Any]:
    roles = [record.role for record in story.trials]
    return {
        "trials_chart": both_widths(partial(charts.trials, story.trials, result)) if story.trials else "",
        "trials": story.trials[:_TRIAL_ROWS],
        "roles": set(roles),
        "baselines": story.baseline_runs or roles.count("baseline"),
        "finals": story.final_runs or roles.count("final"),
        "have_shifted": any(math.isfinite(record.shifted) for record in story.trials),
        "unfinished": sum(record.status != "finished" for record in story.trials),
    }


def _marked(old: str, new: str) -> list[tuple[str, bool]]:
    """The lines of the new recipe, and whether each differs from the old one."""
    before, after = old.splitlines(), new.splitlines()
    blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    same = {block.b + i for block in blocks for i in range(block.size)}
    return [(line, number not in same) for number, line in enumerate(after)]


def _data_uri(png: bytes) -> str:
    picture = thumbnail(png)
    return f"data:image/png;base64,{b64encode(picture).decode()}" if picture else ""


def _signed(points: float) -> str:
    return typographic(signed(points))


def _interval(estimate: Estimate, decimals: int | None = None) -> tuple[str, ...]:
    return tuple(typographic(figure) for figure in interval(estimate, decimals))


def _capitalized(sentence: str) -> str:
    """With a capital at the start and nothing else changed."""
    return sentence[:1].upper() + sentence[1:]


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}%" if math.isfinite(fraction) else "n/a"


def _score(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "n/a"
