"""Algorithm 1 of GAAVE (AAAI'23), from given labels to decisions.

This file shows the whole method on one page. Models and their training are in
``models.py``, and messages for the log are in ``messages.py``.
"""

from dataclasses import asdict, replace
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from .annotation import NO_LABEL, combine_annotators, decide
from .by_posterior import (
    Judgement,
    expects_posterior,
    few_held_out,
    held_out_count,
    judge_by_posterior,
    reason_against,
)
from .division import Part, unite, without
from .label_decisions import LabelDecisions
from .messages import CleaningLog
from .models import SubsetModels, Vulnerability
from .options import GAAVEOptions
from .splitting import HeadTail, Subset, plain_subset, refactor, split_head_tail
from .thresholds import Threshold, find_threshold


def decide_labels(
    models: SubsetModels, options: GAAVEOptions, log: CleaningLog
) -> Tuple[LabelDecisions, Dict[str, Any]]:
    """Run GAAVE on one training set.

    Args:
        models (SubsetModels): Base models and annotators of the training set.
        options (GAAVEOptions): Options of the run.
        log (CleaningLog): Log that reports the progress.

    Returns:
        tuple[LabelDecisions, dict]: See :meth:`GAAVE.__call__`.
    """
    ids, labels = models.sample_ids, models.labels
    # Dataset Splitting and Subset Refactoring.
    split = split_classes(labels, models.num_classes, options, log)
    subsets = refactor_subsets(ids, labels, split, models.seed)
    # The stages of a subset are base model, attack and, with annotate, annotator.
    log.num_stages = len(subsets) * (2 + options.annotate)
    if options.evidence is not None:
        log.num_stages += expects_posterior(subsets, options)
    if options.wants_posterior:
        # Said before the hours of the base model, too.
        few = few_held_out(subsets[0], held_out_count(subsets[0], options))
        if few:
            log.too_few_ahead(few)
    # Algorithm 1, #1 and #2: train the base models, attack their samples.
    found = [models.measure_vulnerability(subset) for subset in subsets]
    learned = [
        learns_something(subset, measured, options, log)
        for subset, measured in zip(subsets, found, strict=True)
    ]
    reason = reason_against(subsets, found[0], options)
    if reason:
        log.no_posterior(reason, options.wants_posterior)
        if options.wants_posterior:
            # Too few held-out samples to tell how often annotators are right.
            options = replace(options, relabel=False)
            # A threshold would drop samples by chance.
            if found[0].strength is not None and found[0].strength.is_weak:
                log.nothing_decided()
                learned = [False]
    if reason is None and learned[0]:
        judged = judge_by_posterior(models, subsets[0], found[0], options, log)
    else:
        judged = judge_by_steps(models, split, subsets, found, learned, options, log)
    divided, decision, suggested, records = judged

    decisions = LabelDecisions(
        sample_id=ids,
        given_label=labels,
        subset=np.isin(labels, split.tail).astype(np.int64),
        attack_steps=divided.steps,
        given_probability=divided.probability,
        candidate=divided.candidate,
        suggested_label=suggested,
        decision=decision,
        noise_score=divided.noise_score,
    )
    log.decisions(decisions)
    counts = {
        name: int((decision == name).sum()) for name in ('keep', 'relabel', 'drop')
    }
    entries = [
        dict(record_entry(subset, measured, models), **record)
        for subset, measured, record in zip(subsets, found, records, strict=True)
    ]
    return decisions, dict(
        samples=len(ids), warnings=log.warnings, subsets=entries, decisions=counts
    )


def judge_by_steps(
    models: SubsetModels,
    split: HeadTail,
    subsets: Sequence[Subset],
    found: Sequence[Vulnerability],
    learned: Sequence[bool],
    options: GAAVEOptions,
    log: CleaningLog,
) -> Judgement:
    """Decide on all labels as the paper does: by thresholds on k, and annotators.

    Args:
        models (SubsetModels): Base models and annotators of the training set.
        split (HeadTail): Classes of the subsets.
        subsets (Sequence[Subset]): The refactored subsets, or the whole set.
        found (Sequence[Vulnerability]): Result of the attack on each of them.
        learned (Sequence[bool]): Whether its base model has learned anything.
        options (GAAVEOptions): Options of the run.
        log (CleaningLog): Log that reports the progress.
    """
    ids, labels = models.sample_ids, models.labels
    parts: List[Part] = []
    records: List[Dict[str, Any]] = []
    for subset, measured, known in zip(subsets, found, learned, strict=True):
        # Algorithm 1, #3: the threshold of Criterion 1.
        threshold = choose_threshold(subset, measured, known, options, log)
        tau = mean_tau(threshold, options)
        native = subset.native[np.isin(subset.sample_ids, measured.sample_ids)]
        parts.append(
            Part(
                measured.sample_ids,
                native,
                measured.steps / options.passes,
                measured.probability,
                tau,
            )
        )
        records.append(
            dict(
                tau=tau,
                separation=threshold.separation,
                candidates=int((measured.steps <= threshold.tau).sum()),
            )
        )
    divided = unite(ids, parts, options.max_steps, options.passes)
    candidate = divided.candidate
    if candidate.all():
        raise ValueError(
            'GAAVE: all samples are candidates, so no sample is left on which '
            'annotators could be trained. Choose a smaller tau.'
        )

    # Self-Annotator: Eqs. 4 and 5.
    pseudo_labels = np.full(len(ids), NO_LABEL)
    if candidate.any() and options.annotate:
        clean = clean_subsets(subsets, models, split, candidate, options.divide)
        pseudo_labels[candidate] = annotate(models, split, clean, candidate, log)
    decision = decide(labels, candidate, pseudo_labels, options.relabel)
    suggested = np.where(decision == 'keep', labels, pseudo_labels)
    return Judgement(divided, decision, suggested, records)


def split_classes(
    labels: np.ndarray, num_classes: int, options: GAAVEOptions, log: CleaningLog
) -> HeadTail:
    """Split the classes into head and tail, see :func:`split_head_tail`.

    Args:
        labels (np.ndarray): Given labels, int64 (N, ).
        num_classes (int): Number of classes of the data set.
        options (GAAVEOptions): Options of the run.
        log (CleaningLog): Log that reports the split.

    Raises:
        ValueError: All samples have the same label.
    """
    counts = np.bincount(labels, minlength=num_classes)
    if options.split:
        split = split_head_tail(
            counts, options.cut, options.head, options.min_imbalance
        )
    else:
        split = HeadTail(np.flatnonzero(counts), np.zeros(0, np.int64))
    if len(split.head) + len(split.tail) < 2:
        raise ValueError(
            'GAAVE: all samples have the same label, so an attack cannot change '
            'a prediction to another class. Check the labels, or remove GAAVE.'
        )
    log.split(split, counts, wanted=options.split)
    return split


def refactor_subsets(
    ids: np.ndarray, labels: np.ndarray, split: HeadTail, seed: int
) -> List[Subset]:
    """Return the refactored head-set and tail-set, or the whole set.

    Args:
        ids (np.ndarray): Sample ids, int64 (N, ).
        labels (np.ndarray): Labels of these samples, int64 (N, ).
        split (HeadTail): Classes of the subsets.
        seed (int): Seed with which samples are drawn from the head-set.
    """
    if not len(split.tail):
        return [plain_subset(ids, labels, split.head)]
    return list(refactor(ids, labels, split, seed))


def learns_something(
    subset: Subset, found: Vulnerability, options: GAAVEOptions, log: CleaningLog
) -> bool:
    """Return whether a base model has learned its subset; warn if it fits badly.

    Args:
        subset (Subset): The subset.
        found (Vulnerability): Result of the attack on its samples.
        options (GAAVEOptions): Options of the run.
        log (CleaningLog): Log that gets warnings.
    """
    # Low accuracy does not show that nothing was learned, because most labels of
    # a subset may be wrong. Count instead the classes predicted correctly.
    labels = subset.labels[np.isin(subset.sample_ids, found.sample_ids)]
    known = np.unique(labels[found.steps > 0])
    learned = len(known) >= min(2, len(subset.classes))
    if not learned and fixed_tau(subset, options) is None:
        log.learned_nothing(subset.name)
    elif found.strength is not None and found.strength.is_weak:
        log.hardly_better(subset.name, found.strength)
    elif found.accuracy < (0.9 if options.fit == 'full' else 0.5):
        log.low_accuracy(subset.name, found.accuracy, options.fit)
    return learned


def fixed_tau(subset: Subset, options: GAAVEOptions) -> Optional[float]:
    """Return the threshold that the options fix for a subset."""
    return options.taus['tail' if subset.name == 'tail-set' else 'head']


def choose_threshold(
    subset: Subset,
    found: Vulnerability,
    learned: bool,
    options: GAAVEOptions,
    log: CleaningLog,
) -> Threshold:
    """Find the threshold of a subset.

    Args:
        subset (Subset): The subset.
        found (Vulnerability): Result of the attack on its samples.
        learned (bool): Whether its base model has learned anything.
        options (GAAVEOptions): Options of the run.
        log (CleaningLog): Log that reports the threshold.

    Returns:
        Threshold: Threshold for the sum of k over the scoring passes. Its
        tau is -1 if there are no candidates.
    """
    fixed = fixed_tau(subset, options)
    if not learned and fixed is None:
        return Threshold(-1, 0.0)
    tau = None
    if fixed is not None:
        # The sum is at most floor(tau * passes) if the mean is at most tau.
        tau = -1 if fixed == -1 else int(fixed * options.passes)
    threshold = find_threshold(
        found.steps, options.max_steps * options.passes + 1, tau, options.min_separation
    )
    if fixed == -1:
        log.no_candidates_wanted(subset.name)
    elif threshold.tau >= 0:
        log.threshold(
            subset.name,
            mean_tau(threshold, options),
            threshold.separation,
            int((found.steps <= threshold.tau).sum()),
        )
    else:
        log.no_two_groups(subset.name, threshold.separation, options.min_separation)
    return threshold


def mean_tau(threshold: Threshold, options: GAAVEOptions) -> float:
    """Convert a threshold for the sum of k to one for its mean; -1 stays -1."""
    return threshold.tau / options.passes if threshold.tau >= 0 else -1.0


def clean_subsets(
    subsets: Sequence[Subset],
    models: SubsetModels,
    split: HeadTail,
    candidate: np.ndarray,
    divide: str,
) -> List[Subset]:
    """Return the clean subsets, on which annotators are trained.

    With ``divide='all'`` these are the clean parts of the refactored subsets.
    Otherwise only native samples were divided, and the clean ones are refactored
    again, because annotators need the extra class (Eq. 5).

    Args:
        subsets (Sequence[Subset]): Refactored subsets, or the whole set.
        models (SubsetModels): Has samples, labels and the seed.
        split (HeadTail): Classes of the subsets.
        candidate (np.ndarray): Whether a sample is a candidate, bool (N, ).
        divide (str): See :class:`GAAVEOptions`.
    """
    if divide == 'all':
        return without(subsets, models.sample_ids[candidate])
    ids, labels = models.sample_ids[~candidate], models.labels[~candidate]
    return refactor_subsets(ids, labels, split, models.seed)


def annotate(
    models: SubsetModels,
    split: HeadTail,
    clean: Sequence[Subset],
    candidate: np.ndarray,
    log: CleaningLog,
) -> np.ndarray:
    """Return pseudo-labels of all candidates, Eqs. 4 and 5.

    Args:
        models (SubsetModels): Models of the training set; trains the annotators.
        split (HeadTail): Classes of the subsets.
        clean (Sequence[Subset]): Clean subsets, on which annotators are trained.
        candidate (np.ndarray): Whether a sample is a candidate, bool (N, ).
        log (CleaningLog): Log that warns of classes without a clean sample.

    Returns:
        np.ndarray: Classes of the data set, or -1 if the annotators do not
        agree, int64 (number of candidates, ).
    """
    left = models.labels[~candidate]
    lost = sorted(set(models.labels.tolist()) - set(left.tolist()))
    if lost:
        log.lost_classes(lost)
    for subset in clean:
        if subset.has_extra and not (subset.labels == len(subset.classes)).any():
            log.lost_extra_class(subset.name)
    asked = models.sample_ids[candidate]
    predictions = [models.predict_labels(subset, asked) for subset in clean]
    if len(predictions) == 1:
        return split.head[predictions[0]]
    head_prediction, tail_prediction = predictions
    return combine_annotators(head_prediction, tail_prediction, split)


def record_entry(
    subset: Subset, found: Vulnerability, models: SubsetModels
) -> Dict[str, Any]:
    """Describe a subset and its base model for ``record.json``."""
    sizes = np.bincount(subset.labels, minlength=subset.num_classes)
    return dict(
        name=subset.name,
        classes={
            models.class_names[c]: int(sizes[i]) for i, c in enumerate(subset.classes)
        },
        extra_class=int(sizes[-1]) if subset.has_extra else None,
        label_accuracy=found.accuracy,
        held_out=None if found.strength is None else asdict(found.strength),
        epoch=found.epoch,
        epochs=found.epochs,
        histogram=found.histogram,
        image_passes=found.image_passes,
    )
