"""All that is said of a trained network on labelled images: as they are, beside another network, under corruptions."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from convlift.deploy.evaluate_model import Images, Named, check_fit, compare, evaluate, learned_from, see
from convlift.deploy.evaluate_shift import Shift, adapted, evaluate_shift
from convlift.evidence.metrics import Metric
from convlift.records.evaluation import Evaluation
from convlift.robustness.names import names_for

NO_SHIFT = Shift(())


def evaluate_all(
    named: Sequence[Named], images: Images, metric: Metric, tell: Callable[[str], None], shift: Shift = NO_SHIFT
) -> Evaluation:
    """The first model on the images, compared by a metric with the second where there is one. tell: is given what is
    done, in few words; shift: corrupted copies that are classified too, and whether batch norms are adapted, to the
    images and to every corruption of them.

    Raises ConvliftError where a model does not know the images' classes, or has no batch norm to adapt, or images of
    bands cannot have a corruption."""
    for each in named:
        check_fit(each, images)
    shift = shift._replace(names=names_for(shift.names, named[0].model.config.channels))
    tell("comparing the data with those of training")
    known = learned_from(images, named)
    seen = []
    for each in named:
        with adapted(each, images, shift.pseudo_images):
            seen.append(see(each, images, lambda done, total: tell(f"classified {done:,} of {total:,} images")))
    found = replace(evaluate(named[0], images, seen[0]), learned_from=known, pseudo_images=shift.pseudo_images)
    if len(named) > 1:
        found = replace(found, comparison=compare(metric, images, (named[0], seen[0]), (named[1], seen[1])))
    if shift.names:
        found = replace(found, shift=evaluate_shift(named, images, seen, shift, metric, tell))
    return found
