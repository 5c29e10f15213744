"""Find candidates by the probability of a wrong label, and relabel where it is safe.

This is the user's default. The paper finds candidates by a threshold on k, see
:mod:`~.algorithm`.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from mmfer.evaluation.flagging import clear_flags, expected_quality

from .annotation import NO_LABEL, decide
from .division import Division
from .messages import CleaningLog
from .models import SubsetModels
from .operating_points import (
    CLEAR,
    choose_candidates,
    choose_relabelled,
    least_suspicious,
    safe_accuracy,
)
from .options import GAAVEOptions
from .posterior import (
    HELD_OUT_PER_CLASS,
    Posterior,
    fit_posterior,
    further_labels,
    has_held_out,
    held_out_posterior,
    label_posterior,
)
from .splitting import Subset, plain_subset
from .vulnerability import Vulnerability


class Judgement(NamedTuple):
    """What was decided on the labels of a training set, in the order of its samples.

    Attributes:
        divided (Division): k, probabilities, candidates and scores.
        decision (np.ndarray): ``'keep'``, ``'relabel'`` or ``'drop'``, (N, ).
        suggested_label (np.ndarray): Class of the data set, or -1, int64 (N, ).
        record (list[dict]): How each subset was divided, for ``record.json``.
    """

    divided: Division
    decision: np.ndarray
    suggested_label: np.ndarray
    record: List[Dict[str, Any]]


def reason_against(
    subsets: Sequence[Subset], found: Vulnerability, options: GAAVEOptions
) -> Optional[str]:
    """Return why there is no posterior, and what to do about it.

    The text is empty if none is wanted, and None if there is one.

    Args:
        subsets (Sequence[Subset]): The subsets.
        found (Vulnerability): Result of the attack on the first one.
        options (GAAVEOptions): Options of the run.
    """
    if options.criterion != 'posterior' or options.tau is not None:
        return ''
    if len(subsets) > 1:
        return 'the classes are split into head and tail (without: split=False)'
    if found.scores is None or found.held_out is None:
        return "no samples are held out (fit='peak' holds out a share of each class)"
    return few_held_out(subsets[0], int(found.held_out.sum()))


def few_held_out(subset: Subset, count: int) -> Optional[str]:
    """Say that too few samples are held out, and how many would be enough.

    Args:
        subset (Subset): The whole set.
        count (int): Number of held-out samples.

    Returns:
        str, optional: None if there are enough.
    """
    needed = HELD_OUT_PER_CLASS * len(subset.classes)
    if count >= needed:
        return None
    return (
        f'only {count} samples are held out, and {needed} are needed '
        f'({_enough_held_out(subset.labels, needed)})'
    )


def held_out_count(subset: Subset, options: GAAVEOptions) -> int:
    """Return how many samples base models will hold out."""
    return int((options.held_out * np.bincount(subset.labels)).astype(int).sum())


def _enough_held_out(labels: np.ndarray, needed: int) -> str:
    """Say which option would hold out enough samples."""
    sizes = np.bincount(labels)
    for share in np.arange(0.1, 0.51, 0.05).round(2):
        if (share * sizes).astype(int).sum() >= needed:
            return f'with held_out={share} there are enough'
    return f'too many for these {len(labels)} samples'


def expects_posterior(subsets: Sequence[Subset], options: GAAVEOptions) -> bool:
    """Return whether a posterior is wanted, and the training set is large enough.

    Args:
        subsets (Sequence[Subset]): The subsets.
        options (GAAVEOptions): Options of the run.
    """
    if not options.wants_posterior or len(subsets) > 1:
        return False
    return few_held_out(subsets[0], held_out_count(subsets[0], options)) is None


def judge_by_posterior(
    models: SubsetModels,
    subset: Subset,
    found: Vulnerability,
    options: GAAVEOptions,
    log: CleaningLog,
) -> Judgement:
    """Decide on all labels by the probability that they are wrong.

    Args:
        models (SubsetModels): Base models and annotators of the training set.
        subset (Subset): The whole set.
        found (Vulnerability): Result of the attack on it, with scores.
        options (GAAVEOptions): Options of the run.
        log (CleaningLog): Log that reports the result.
    """
    labels = np.searchsorted(subset.classes, models.labels)
    assert found.scores is not None and found.held_out is not None
    evidence = models.evidence()
    if evidence is not None:
        evidence = evidence[:, subset.classes]
    logs = log_probabilities(found.scores, evidence)
    held_out = found.held_out
    # Machines may round a fit differently, and all processes need the same candidates.
    posterior = models.from_first_process(
        lambda: label_posterior(logs, labels, held_out)
    )
    known = has_held_out(labels, held_out)
    if not known.all():
        log.not_judged(np.bincount(models.labels[~known]))
    candidate = find_candidates(posterior, labels, options) & known
    record = describe_posterior(posterior, candidate, options)
    log.posterior(record, int(held_out.sum()), int(candidate.sum()))
    expected, aim = record['expected'], options.point.wrong_left
    if expected and aim is not None and expected['wrong_left'] > aim + 1e-9:
        log.aim_not_reached(expected['wrong_left'], aim, options.point.kept_right)
    if candidate.all():
        raise ValueError(
            'GAAVE: all samples are candidates, so no sample is left. Choose another '
            'operating_point, with a larger kept_right.'
        )
    probabilities = posterior.probabilities.copy()
    pseudo_labels = np.full(len(labels), NO_LABEL)
    if candidate.any() and options.annotate:
        probabilities[candidate] = annotated(
            models, subset, candidate, held_out, labels, evidence
        )
        # Without probabilities nobody knows how often annotators are right.
        if posterior.symmetric:
            wanted = safe_accuracy(
                options.point.relabel_accuracy,
                posterior.noise_rate,
                len(subset.classes),
                int(held_out.sum()),
            )
            pseudo_labels[candidate] = sure_labels(
                probabilities[candidate],
                labels[candidate],
                posterior.wrong[candidate],
                wanted,
            )
            log.annotators(pseudo_labels[candidate] >= 0, options)
        else:
            log.unsure_annotators(int(candidate.sum()))
    decision = decide(labels, candidate, pseudo_labels, options.relabel)
    suggested = np.where(decision == 'keep', labels, probabilities.argmax(axis=1))
    divided = Division(
        found.steps / options.passes, found.probability, candidate, posterior.wrong
    )
    return Judgement(divided, decision, subset.classes[suggested], [record])


def log_probabilities(scores: np.ndarray, evidence: Optional[np.ndarray]) -> np.ndarray:
    """Return log-probabilities of all classifiers, float64 (N, B, C).

    Args:
        scores (np.ndarray): Probabilities by a network, (N, C).
        evidence (np.ndarray, optional): Those by a further classifier, (N, C).
    """
    parts = [scores] if evidence is None else [scores, evidence]
    return np.log(np.maximum(np.stack(parts, axis=1).astype(np.float64), 1e-12))


def find_candidates(
    posterior: Posterior, labels: np.ndarray, options: GAAVEOptions
) -> np.ndarray:
    """Return the samples whose labels are in doubt, bool (N, ).

    If one noise rate does not explain the labels, only labels beside which another one
    is clearly more probable are candidates.
    """
    if posterior.symmetric:
        return choose_candidates(posterior.wrong, labels, options.point)
    kept = least_suspicious(posterior.wrong, labels, options.point.kept_right)
    return clear_flags(posterior.given, labels, CLEAR) & ~kept


def sure_labels(
    probabilities: np.ndarray, labels: np.ndarray, wrong: np.ndarray, accuracy: float
) -> np.ndarray:
    """Return the labels of which annotators are sure enough.

    Args:
        probabilities (np.ndarray): Probabilities of the classes for n candidates by
            annotators, (n, C).
        labels (np.ndarray): Their given labels, int64 (n, ).
        wrong (np.ndarray): Probabilities that these are wrong by the base model, (n, ).
        accuracy (float): Expected share of right labels.

    Returns:
        np.ndarray: Most probable classes, or -1 where annotators are not sure,
        int64 (n, ).
    """
    best, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    # The base model doubts the labels of all candidates. Annotators that confirm one
    # would be too sure of it without the base model.
    same = best == labels
    sure[same] = np.minimum(sure, 1 - wrong)[same]
    return np.where(choose_relabelled(sure, accuracy), best, NO_LABEL)


def annotated(
    models: SubsetModels,
    subset: Subset,
    candidate: np.ndarray,
    held_out: np.ndarray,
    labels: np.ndarray,
    evidence: Optional[np.ndarray],
) -> np.ndarray:
    """Train an annotator, and return its class probabilities for the candidates.

    The annotator learns neither candidates nor held-out samples. Its probabilities are
    those that explain the given labels of held-out samples.

    Args:
        models (SubsetModels): Trains the annotator.
        subset (Subset): The whole set.
        candidate (np.ndarray): Candidates, bool (N, ).
        held_out (np.ndarray): Held-out samples, bool (N, ).
        labels (np.ndarray): Given labels, numbers in ``subset.classes``, int64 (N, ).
        evidence (np.ndarray, optional): See :func:`log_probabilities`.

    Returns:
        np.ndarray: Float64 (number of candidates, C).
    """
    ids = models.sample_ids
    clean = plain_subset(ids[~candidate], models.labels[~candidate], subset.classes)
    asked = candidate | held_out
    scores = models.predict_scores(clean, ids[asked], ids[held_out])
    known = None if evidence is None else evidence[asked]
    logs = log_probabilities(scores, known)

    def fit() -> np.ndarray:
        own = logs[held_out[asked]], labels[held_out]
        model = fit_posterior(
            *own, further_labels(labels, held_out, len(subset.classes))
        )
        found = np.zeros((len(ids), len(subset.classes)))
        found[asked] = model(logs, labels[asked]).probabilities
        found[held_out] = held_out_posterior(*own, model.further).probabilities
        return found[candidate]

    return models.from_first_process(fit)


def describe_posterior(
    posterior: Posterior, candidate: np.ndarray, options: GAAVEOptions
) -> Dict[str, Any]:
    """Describe posterior and candidates for ``record.json``.

    Shares are expected ones, by the posterior itself; without one noise rate they are
    None.
    """
    record: Dict[str, Any] = dict(
        noise_rate=posterior.noise_rate if posterior.symmetric else None,
        operating_point=options.point._asdict(),
        candidates=int(candidate.sum()),
    )
    wrong = posterior.wrong
    known = posterior.symmetric and not candidate.all()
    quality = expected_quality(wrong, candidate)
    kept = ~candidate
    return dict(
        record,
        expected=dict(
            wrong=float(wrong.mean()),
            wrong_left=float(wrong[kept].mean()),
            right_kept=float((1 - wrong[kept]).sum() / (1 - wrong).sum()),
            precision=quality.precision,
            recall=quality.recall,
        )
        if known
        else None,
    )
