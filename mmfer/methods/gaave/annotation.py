"""The pseudo-labels of two self-annotators: GAAVE (AAAI'23), Eq. 5."""

import numpy as np

from .splitting import HeadTail

DROP = -1


def combine(
    head_prediction: np.ndarray, tail_prediction: np.ndarray, split: HeadTail
) -> np.ndarray:
    """Eq. 5: one annotator names a class, the other says *not mine*.

    Args:
        head_prediction (np.ndarray): Local labels by the annotator of the
            head-set, int64 (N, ); ``len(split.head)`` is its extra class.
        tail_prediction (np.ndarray): The same of the tail-set.
        split (HeadTail): Classes behind the local labels.

    Returns:
        np.ndarray: Classes of the data set, or -1 where both name a class of
        their own, or neither does, int64 (N, ).
    """
    head = np.append(split.head, DROP)[head_prediction]
    tail = np.append(split.tail, DROP)[tail_prediction]
    # -1 is the extra class: a pseudo-label needs exactly one of them.
    return np.where((head == DROP) != (tail == DROP), np.maximum(head, tail), DROP)


def decide(
    labels: np.ndarray,
    candidate: np.ndarray,
    pseudo_labels: np.ndarray,
    relabel: bool = True,
) -> np.ndarray:
    """What becomes of each sample.

    Args:
        labels (np.ndarray): As given, int64 (N, ).
        candidate (np.ndarray): Whether a label is in doubt, bool (N, ).
        pseudo_labels (np.ndarray): int64 (N, ), -1 for none; those of
            samples that are no candidates do not count.
        relabel (bool): Give candidates their pseudo-labels. False: drop those
            with another one. Defaults to True.

    Returns:
        np.ndarray: ``'keep'``, ``'relabel'`` or ``'drop'``, (N, ). A
        candidate whose pseudo-label is its label is kept.
    """
    changed = np.where((pseudo_labels != DROP) & relabel, 'relabel', 'drop')
    return np.where(candidate & (pseudo_labels != labels), changed, 'keep')


def predict_classes(
    head_scores: np.ndarray, tail_scores: np.ndarray, split: HeadTail
) -> np.ndarray:
    """Prediction of two subset models for any image.

    Eq. 5; where it gives no label, the class with the highest probability
    that is not an extra one. For the row of Table 3 with splitting and
    refactoring alone, of which the paper does not say how it predicts.

    Args:
        head_scores (np.ndarray): Probabilities (N, len(split.head) + 1).
        tail_scores (np.ndarray): The same of the tail-set.
        split (HeadTail): Classes behind the columns.

    Returns:
        np.ndarray: Classes of the data set, int64 (N, ).
    """
    labels = combine(head_scores.argmax(axis=1), tail_scores.argmax(axis=1), split)
    native = np.concatenate([head_scores[:, :-1], tail_scores[:, :-1]], axis=1)
    likeliest = np.concatenate(split)[native.argmax(axis=1)]
    return np.where(labels == DROP, likeliest, labels)
