"""x"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from convlift.evidence.final import PRIOR_RUNS, FinalJudgement, one_network, seed_variance
from convlift.evidence.images import Groups, degrees_of_freedom, effective_number, image_part, run_variance
from convlift.outcome import Estimate

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FoldRuns:
    baseline: Floats
    final: Floats
    groups: Groups = None
    search_seed_variance: float = 0.0


def judge_folds(folds, *, unit=1.0, lowest=0.0, form="plain"):
    base = [100 * f.baseline for f in folds]
    fin = [100 * f.final for f in folds]
    n = np.array([b.shape[1] for b in base])
    w = n / n.sum()
    groups = None if folds[0].groups is None else np.concatenate([f.groups for f in folds])
    prior = float(w @ [f.search_seed_variance for f in folds])
    total = 0; weight = PRIOR_RUNS
    g = seed_variance([*base, *fin], prior, None, unit) if groups is None else _g(folds, base, fin, prior, unit)
    df_seed = PRIOR_RUNS + sum(len(a) - 1 for a in [*base, *fin])
    P = np.array([len(b) for b in base]); S = np.array([len(f) for f in fin])

    def interval(points, seeds_k, extra, owners=groups):
        seeds = g * float((w**2 * seeds_k).sum()) if form != "s0" else 0.
        if form == "between":
            pass
        images = float(image_part(points, owners))
        if form == "within":
            images = float(sum(ww**2 * image_part(p, None if f.groups is None else f.groups) for ww, p, f in zip(w, np.split(points[:n.sum()], np.cumsum(n)[:-1]), folds)))
        idf = degrees_of_freedom(len(points), owners)
        tau = 0.
        if form in ("between", "both"):
            parts = np.split(points[:n.sum()], np.cumsum(n)[:-1])
            k = len(parts)
            m = np.array([p.mean() for p in parts])
            expect = np.mean([image_part(p, f.groups) + g * s for p, f, s in zip(parts, folds, seeds_k)])
            tau = max(0., m.var(ddof=1) - expect) * (1 / k + 1 / (k - 1))
        if form == "nb":
            parts = np.split(points[:n.sum()], np.cumsum(n)[:-1]); k = len(parts)
            m = np.array([p.mean() for p in parts])
            v = m.var(ddof=1) * (1/k + 1/(k-1))
            h = stats.t.ppf(.975, k-1) * math.sqrt(v)
            mm = points.mean()
            return mm, mm-h, mm+h, k-1
        if form == "trainset":
            seeds = seeds + extra
        v = images + seeds + tau
        df = v**2 / max(images**2 / idf + seeds**2 / df_seed + tau**2/(len(folds)-1), 1e-12)
        h = stats.t.ppf(.975, df) * math.sqrt(v)
        mm = float(points.mean())
        return mm, mm - h, mm + h, df

    L = np.concatenate([f.mean(0) - b.mean(0) for f, b in zip(fin, base)])
    gain, lo, hi, df = interval(L, 1 / P + 1 / S, 0.)
    def score(arm, runs):
        z = np.concatenate([a.mean(0) for a in arm])
        gz = np.concatenate([z, [0, 0, 100, 100]])
        ow = None if groups is None else np.concatenate([groups, groups.max() + np.arange(1, 5)])
        mid, l, h, _ = interval(gz, 1 / runs, 0., ow)
        s = z.mean()
        return Estimate(s / 100, max((s - mid + l) / 100, lowest), min((s - mid + h) / 100, 1.))
    return FinalJudgement(score(base, P), score(fin, S), Estimate(gain, lo, hi), lo > 0, Estimate(0, 0, 0), g, df, 0., 0.)

def _g(folds, base, fin, prior, unit):
    from convlift.evidence.final import SEED_LIMITS, SEED_FLOOR
    least, most = ((limit * unit) ** 2 for limit in SEED_LIMITS)
    total = PRIOR_RUNS * min(max(prior, least), most); weight = PRIOR_RUNS
    for f, b, a in zip(folds, base, fin):
        for arm in (b, a):
            r = len(arm)
            if r > 1:
                luck = float(image_part(arm - arm.mean(0), f.groups).mean()) * r / (r - 1)
                total += (r - 1) * (float(arm.mean(1).var(ddof=1)) - luck)
            weight += r - 1
    return max(total / weight, SEED_FLOOR * unit**2)
