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
from .operating_points import choose_candidates, choose_relabelled, least_suspicious
from .options import GAAVEOptions
from .posterior import (
    HELD_OUT_PER_CLASS,
    Posterior,
    fit_posterior,
    held_out_posterior,
    label_posterior,
)
from .splitting import Subset, plain_subset
from .vulnerability import Vulnerability

# Without a noise rate, how much more probable another label must be. With a smaller
# number, a weak base model would drop many right labels of a set without noise.
CLEAR = 9


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
    """Return why there is no posterior; '' if none is wanted, None if there is one.

    Args:
        subsets (Sequence[Subset]): The subsets.
        found (Vulnerability): Result of the attack on the first one.
        options (GAAVEOptions): Options of the run.
    """
    if options.criterion != 'posterior' or options.tau is not None:
        return ''
    if len(subsets) > 1:
        return 'the classes are split into head and tail'
    if found.scores is None or found.held_out is None:
        return 'no samples are held out'
    count = int(found.held_out.sum())
    needed = HELD_OUT_PER_CLASS * len(subsets[0].classes)
    if count < needed:
        return f'only {count} samples are held out, and {needed} are needed'
    return None


def expects_posterior(subsets: Sequence[Subset], options: GAAVEOptions) -> bool:
    """Return whether a posterior is wanted, and the training set is large enough.

    Args:
        subsets (Sequence[Subset]): The subsets.
        options (GAAVEOptions): Options of the run.
    """
    if not options.wants_posterior or len(subsets) > 1:
        return False
    sizes = np.bincount(subsets[0].labels)
    count = (options.held_out * sizes).astype(int).sum()
    return count >= HELD_OUT_PER_CLASS * len(subsets[0].classes)


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
    posterior = label_posterior(
        log_probabilities(found.scores, evidence), labels, found.held_out
    )
    candidate = find_candidates(posterior, labels, options)
    record = describe_posterior(posterior, candidate, options)
    log.posterior(record, int(found.held_out.sum()), int(candidate.sum()))
    if candidate.all():
        raise ValueError(
            'GAAVE: all samples are candidates, so no sample is left. Choose another '
            'operating_point, with a larger kept_right.'
        )
    probabilities = posterior.probabilities.copy()
    pseudo_labels = np.full(len(labels), NO_LABEL)
    if candidate.any() and options.annotate:
        probabilities[candidate] = annotated(
            models, subset, candidate, found.held_out, labels, evidence
        )
        # Without probabilities nobody knows how often annotators are right.
        if posterior.symmetric:
            best = probabilities[candidate].argmax(axis=1)
            accuracy = options.point.relabel_accuracy
            # The estimate has an error itself, of this size with few held-out samples.
            error = np.sqrt(accuracy * (1 - accuracy) / found.held_out.sum())
            chosen = choose_relabelled(
                probabilities[candidate].max(axis=1), min(accuracy + 2 * error, 1)
            )
            pseudo_labels[candidate] = np.where(chosen, best, NO_LABEL)
        log.annotators(pseudo_labels[candidate] >= 0, options.point.relabel_accuracy)
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
    fitted = fit_posterior(logs[held_out[asked]], labels[held_out])
    found = np.zeros((len(ids), len(subset.classes)))
    found[asked] = fitted(logs, labels[asked]).probabilities
    honest = held_out_posterior(logs[held_out[asked]], labels[held_out])
    found[held_out] = honest.probabilities
    return found[candidate]


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
