"""What a nested cross-validation would do, before it trains anything: the plan of its first fold's campaign."""

from dataclasses import replace

from convlift.campaign.detectable_gain import power_before
from convlift.campaign.dry_run import Preview, plan_of
from convlift.campaign.prepare import problem_of
from convlift.campaign.request import Request
from convlift.campaign.session import Session
from convlift.evidence.power import detectable
from convlift.protocols.nest import cut_folds


def preview_folds(request: Request, folds: int, session: Session) -> Preview:
    """The plan of fold 1, with the whole budget and what all folds together can prove.

    Raises what `run_folds` raises of the data, the recipe and the weights.
    """
    nest = cut_folds(request, folds, session)
    asked, (dataset, _) = nest.request_of(1, nest.fold_seconds), nest.fold(1)
    found = detectable(len(nest.whole.store.labels), power_before(nest.problem, nest.whole, folds=folds))
    plan = plan_of(asked, problem_of(asked, dataset), dataset, found, session)
    # of the whole budget, for a second more of each fold
    more = folds / (1.0 - nest.reserve) * (plan.needed_seconds - asked.budget_seconds)
    return replace(
        plan,
        budget_seconds=request.budget_seconds,
        needed_seconds=0.0 if request.trainings else request.budget_seconds + more,
        folds=folds,
        fold_seconds=asked.budget_seconds,
    )
