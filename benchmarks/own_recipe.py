"""Is a recipe accused of its own fault, and does undoing the accused lever confirm it?

The usual tutorial network on digits (1,797 images of 8 pixels; 359 validation images), sound or with one fault each:
one seed of the recipe, another one of the trial with the lever undone, as in a campaign. Only the first accusation is
tried.

Command: python benchmarks/own_recipe.py [--json]
Last result (one Zen 3 core shared with other work, 1 minute), accuracy in validation:

    recipe                         its score  first accused           without  said
    plain                              0.975                                   no
    residual                           0.997                                   no
    translation 0.1                    0.944  over-augmented            0.967  yes
    flips, rotation 0.2, zoom 0.2      0.565  over-augmented            0.967  yes
    learning rate 0.1                  0.393  rate too high             0.972  yes
    learning rate 1e-5                 0.304  rate too low              0.830  yes
    dropout 0.95                       0.429  regularized too strongly  0.989  yes
    l2 0.1                             0.964                                   no
    batches of 1024                    0.802  batches too large         0.967  yes
    1 epoch                            0.880  too few epochs            0.939  yes
"""

import argparse
import json
import tempfile
from pathlib import Path

import torch

from convlift.campaign.open_data import open_data
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.catalogue.accusations import accuse, confirmed, difference_error
from convlift.data.dataset import facts_of
from convlift.recipe.built_in import built_in
from convlift.recipe.trial_spec import TrialSpec
from convlift.report.wording.recipe_faults import fault_in_words
from convlift.trial.run_trial import run_trial

SOUND = built_in("plain")
RECIPES = {
    "plain": SOUND,
    "residual": built_in("residual"),
    "translation 0.1": SOUND.edit(data={"augmentation": {"translation": 0.1}}),
    "flips, rotation 0.2, zoom 0.2": SOUND.edit(
        data={"augmentation": {"horizontal_flip": 0.5, "vertical_flip": 0.5, "rotation": 0.2, "zoom": 0.2}}
    ),
    "learning rate 0.1": SOUND.edit(training={"learning_rate": 0.1}),
    "learning rate 1e-5": SOUND.edit(training={"learning_rate": 1e-5}),
    "dropout 0.95": SOUND.edit(architecture={"dropout": 0.95}),
    "l2 0.1": SOUND.edit(training={"l2": 0.1}),
    "batches of 1024": SOUND.edit(training={"batch_size": 1024}),
    "1 epoch": SOUND.edit(training={"epochs": 1}),
}


def measure(cache: Path) -> list[dict[str, object]]:
    dataset, _ = open_data(request_of("digits", None, cache), Session())
    labels, facts = dataset.labels[dataset.splits.validation], facts_of(dataset)
    rows: list[dict[str, object]] = []
    for name, recipe in RECIPES.items():
        recipe = recipe.at(dataset.store.native_resolution)
        own = run_trial(TrialSpec(recipe, 0), dataset, cache)
        right = (own.validation_probabilities.argmax(axis=1) == labels).astype(float)
        row = {"recipe": name, "score": float(right.mean()), "accused": "", "without": None, "finding": False}
        for accusation in accuse(own, labels, recipe, facts)[:1]:
            start_run = run_trial(TrialSpec(accusation.probe, 1), dataset, cache)
            other = (start_run.validation_probabilities.argmax(axis=1) == labels).astype(float)
            said = confirmed(accusation, right.mean(), other.mean(), difference_error(right, other))
            row |= {
                "accused": fault_in_words(accusation.fault),
                "without": float(other.mean()),
                "finding": said is not None,
            }
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as cache:
        rows = measure(Path(cache))
    if arguments.json:
        print(json.dumps({"schema_version": 1, "rows": rows}))
        return
    print("| recipe | its score | first accused | without | said |\n| --- | --- | --- | --- | --- |")
    for row in rows:
        without = "" if row["without"] is None else f"{row['without']:.3f}"
        print(f"| {row['recipe']} | {row['score']:.3f} | {row['accused']} | {without} | {row['finding']} |")


if __name__ == "__main__":
    main()
