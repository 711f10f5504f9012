"""What is said of a network on shifted images: on a terminal, and in the rows of a page."""

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from convlift.evidence.metrics import title_of
from convlift.records.result import AdaptedScore, Estimate, Result, ShiftGain
from convlift.records.shift import ShiftEvaluation, ShiftScores
from convlift.report.wording.phrases import counted, interval, printable

SEVERITIES = range(1, 6)
SECOND = "a second question beside the headline's"


def shift_sentences(found: ShiftEvaluation) -> list[str]:
    """The mean under corruptions, beside the images as they are, of one network or two."""
    said = [_scores_sentence(each) for each in (found.scores, found.rival) if each is not None]
    if found.gain is not None and found.rival is not None:
        points = found.gain.gain_points
        verdict = "proven better" if found.gain.proven else "proven worse" if points.high < 0.0 else "not proven"
        said.append(
            f"On corrupted copies, compared with {printable(found.rival.model)} by {title_of(found.metric)}: "
            f"{_points(points)}, {verdict}."
        )
    return said


def _scores_sentence(scores: ShiftScores) -> str:
    kept = scores.kept
    share = f"; it keeps {kept.value:.3f} of its accuracy ({kept.low:.3f} to {kept.high:.3f})" if kept else ""
    return (
        f"{printable(scores.model)} under corruptions: accuracy {scores.mean.value:.3f} (95% interval "
        f"{scores.mean.low:.3f} to {scores.mean.high:.3f}), {_points(scores.lost_points)} beside "
        f"{scores.clean.value:.3f} on the images as they are{share}."
    )


def shift_rows(scores: ShiftScores) -> list[tuple[str, list[float], Estimate]]:
    """A row a corruption: its name, the accuracy at severities 1 to 5, and their mean with its interval."""
    by_cell = {(each.name, each.severity): each.accuracy.value for each in scores.by_severity}
    return [
        (each.name.replace("_", " "), [by_cell[each.name, severity] for severity in SEVERITIES], each.accuracy)
        for each in scores.by_corruption
    ]


def shift_table(scores: ShiftScores) -> Table:
    """The accuracy under every corruption and severity."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name in ("corruption", *map(str, SEVERITIES), "mean", "95% interval"):
        table.add_column(name, justify="left" if name == "corruption" else "right", no_wrap=True)
    for name, at_severities, mean in shift_rows(scores):
        figures = [f"{each:.3f}" for each in at_severities]
        table.add_row(Text(name), *figures, f"{mean.value:.3f}", f"{mean.low:.3f} to {mean.high:.3f}")
    return table


def shift_gain_sentences(found: ShiftGain, metric: str) -> Iterator[str]:
    """The second score of a campaign, a sentence or two."""
    if found.fault:
        where = "under corruptions" if found.kind == "corruptions" else "on shifted images"
        yield f"No score {where}: {printable(found.fault).removesuffix('.')}."
    if found.gain is None:
        if found.trained_on:
            yield f"No score under corruptions: a recipe trains on images such as {_listed(found.trained_on)} makes."
        if found.copied:
            yield f"No score on shifted images: {_known(found)}."
        return
    gain, title = found.gain, title_of(metric)
    if found.kind == "corruptions":
        of_each = "one copy" if found.copies == 1 else f"{found.copies} copies"
        where, on = "Under corruptions", f" on {of_each} each of {counted(found.images, 'sealed test image')}"
    else:
        where, on = f"On {counted(found.images, 'image')} of {printable(found.source)}", ""
    clear = "above 0" if gain.gain_points.low > 0 else "below 0" if gain.gain_points.high < 0 else "0 inside"
    yield (
        f"{where} {title} {gain.baseline.value:.3f} -> {gain.final.value:.3f}{on}: {_points(gain.gain_points)}, "
        f"{clear}; {SECOND}."
    )
    yield from _beside(found, title)


def _beside(found: ShiftGain, title: str) -> Iterator[str]:
    """What is said of a second score besides its figures."""
    if found.adapted is not None:
        yield _adapted(found, found.adapted, title)
    if found.not_adapted:
        yield f"No score with adapted batch norms: {printable(found.not_adapted).removesuffix('.')}."
    if found.trained_on:
        yield f"Left out of it, since one of the two recipes trains on such images: {_listed(found.trained_on)}."
    if found.copied:
        yield f"{_known(found)}."
    if found.ungrouped:
        yield "Its images count one by one, since some have no group: the interval may be too narrow."


def effect_sentences(result: Result) -> list[str]:
    """What every shipped change is believed to add on clean images and under corruptions; nothing where trials saw no
    corrupted ones."""
    if not result.effects:
        return []
    said = [
        f"{printable(each.name)}: {_points(each.shifted)} under corruptions, {_points(each.clean)} on clean images"
        for each in result.effects
    ]
    return [f"What the shipped changes added on validation images, by all trials together: {'; '.join(said)}."]


def _adapted(found: ShiftGain, score: AdaptedScore, title: str) -> str:
    to = "images of each corruption" if found.kind == "corruptions" else "of them"
    fewest = f"{score.images:,} or more" if found.kind == "corruptions" else f"{score.images:,}"
    return (
        f"With batch norms adapted to {fewest} {to}, without labels: {title} {score.adapted.value:.3f} instead of "
        f"{score.as_trained.value:.3f}, {_points(score.gain_points)} (`--adapt-batch-norm {score.pseudo_images}`; "
        "Schneider et al. 2020); what ships is not adapted."
    )


def _known(found: ShiftGain) -> str:
    return f"{counted(found.copied, 'image')} of {printable(found.source)} left out: the campaign knew the same image"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in names)


def _points(points: Estimate) -> str:
    value, low, high = interval(points)
    return f"{value} points (95% interval {low} to {high})"
