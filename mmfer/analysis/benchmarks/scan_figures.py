"""Measure how well the scan finds planted wrong labels."""

import csv
import io
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from mmfer.datasets import FERPlus
from mmfer.evaluation.flagging import keep_some
from mmfer.scan import LabelScores
from mmfer.utils.files import write_atomic

# Noise of the given labels, by name.
NOISES: Dict[str, Dict[str, Any]] = dict(
    symmetric=dict(type='SymmetricNoise', rate=0.3),
    vote=dict(type='VoteNoise'),
    pair=dict(type='PairNoise', rate=0.3),
)


def noisy_ferplus(data_root: str, noise: str, seed: int) -> FERPlus:
    """Return FERPlus's training images with planted wrong labels."""
    cfg = dict(NOISES[noise], seed=seed)
    dataset = FERPlus(data_root, label_noise=cfg, check_files=False)
    dataset.full_init()
    return dataset


def draw_images(count: int, size: Optional[int], seed: int) -> np.ndarray:
    """Return which images take part, bool (N,); all of them if ``size`` is None."""
    valid = np.ones(count, bool)
    if size is not None:
        rng = np.random.default_rng([seed, size])
        valid[rng.permutation(count)[size:]] = False
    return valid


def area_under_roc(score: np.ndarray, positive: np.ndarray) -> float:
    """Return the area under the ROC curve; ties count one half.

    Args:
        score (np.ndarray): Larger is more suspicious, (N,).
        positive (np.ndarray): bool (N,).
    """
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    count = positive.sum()
    above = ranks[positive].sum() - count * (count + 1) / 2
    return float(above / (count * (~positive).sum()))


def within_class(score: np.ndarray, positive: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over the given classes of the area inside of each.

    A score that only knows how frequent the classes are has 0.5 here, but up to 0.8
    over all classes.
    """
    areas = []
    for label in np.unique(labels):
        own = labels == label
        if 0 < positive[own].sum() < own.sum():
            areas.append(area_under_roc(score[own], positive[own]))
    return float(np.mean(areas))


def figures(
    score: np.ndarray, flags: np.ndarray, given: np.ndarray, clean: np.ndarray
) -> Dict[str, float]:
    """Return how well scores and flags find wrong labels, shares in percent.

    Args:
        score (np.ndarray): Larger is more suspicious, (N,).
        flags (np.ndarray): bool (N,).
        given (np.ndarray): Given labels, int64 (N,).
        clean (np.ndarray): Clean labels, int64 (N,).
    """
    wrong = given != clean
    found = (flags & wrong).sum()
    kept = ~flags & ~wrong

    def kept_of(members: np.ndarray) -> float:
        right = members & ~wrong
        return 100 * float(kept[members].sum() / right.sum()) if right.any() else 100.0

    rare = np.argsort(np.bincount(clean, minlength=8), kind='stable')[:2]
    return dict(
        wrong=100 * float(wrong.mean()),
        auroc=area_under_roc(score, wrong),
        within=within_class(score, wrong, given),
        precision=float(found / max(1, flags.sum())),
        recall=float(found / wrong.sum()),
        f1=float(2 * found / (flags.sum() + wrong.sum())),
        left=100 * float((wrong & ~flags).sum() / max(1, (~flags).sum())),
        kept=kept_of(np.ones(len(given), bool)),
        kept_contempt=kept_of(clean == rare[0]),
        kept_disgust=kept_of(clean == rare[1]),
    )


def scan_row(
    dataset: FERPlus, found: LabelScores, valid: np.ndarray, keep_share: float
) -> Dict[str, float]:
    """Return the figures of a scan of some images of a data set.

    Args:
        dataset (FERPlus): The data set, with clean labels.
        found (LabelScores): Scores with ``keep_share=0``.
        valid (np.ndarray): Images that were scored, bool (N,).
        keep_share (float): Share of each class that is not flagged after all.
    """
    given, clean = _labels(dataset, valid)
    score = found.noise_score[valid]
    flags = keep_some(found.suspicious[valid], score, given, keep_share)
    row = figures(score, flags, given, clean)
    if found.noise_rate is not None:
        row.update(noise_rate=100 * found.noise_rate)
    if found.quality is not None:
        row.update(expected_auroc=found.quality.auroc)
    return row


def cleanlab_row(
    dataset: FERPlus, found: LabelScores, valid: np.ndarray
) -> Dict[str, float]:
    """Return the figures of cleanlab's issues for the probabilities of a scan."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    given, clean = _labels(dataset, valid)
    probabilities = found.probabilities[valid]
    issues = find_label_issues(given, probabilities, n_jobs=1)
    quality = get_label_quality_scores(given, probabilities)
    return figures(1 - quality, issues, given, clean)


def _labels(dataset: FERPlus, valid: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return given and clean labels of some images."""
    clean = dataset._labels.clean
    assert clean is not None
    return dataset._labels.given[valid], clean[valid]


COLUMNS = (
    'table',
    'noise',
    'seed',
    'method',
    'images',
    'passes',
    'wrong',
    'auroc',
    'within',
    'precision',
    'recall',
    'f1',
    'left',
    'kept',
    'kept_disgust',
    'kept_contempt',
    'noise_rate',
    'expected_auroc',
    'score_seconds',
)


def write_rows(path: str, rows: Iterable[Mapping[str, object]]) -> None:
    """Write rows as CSV; numbers with four digits."""
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(row.get(name, '')) for name in COLUMNS])
    write_atomic(path, text.getvalue().encode())


def read_rows(path: str) -> List[Dict[str, str]]:
    """Return the rows of an earlier call; none if there is no file."""
    try:
        with open(path, encoding='utf-8', newline='') as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        return []


def merge_rows(
    old: Sequence[Mapping[str, object]], new: Sequence[Mapping[str, object]]
) -> List[Mapping[str, object]]:
    """Replace old rows by new ones of the same noise, seed, method and size."""

    def key(row: Mapping[str, object]) -> tuple:
        return tuple(str(row[name]) for name in ('noise', 'seed', 'method', 'images'))

    return list({key(row): row for row in (*old, *new)}.values())


def _cell(value: object) -> object:
    """Return a number with four digits; anything else as it is."""
    return f'{value:.4g}' if isinstance(value, float) else value
