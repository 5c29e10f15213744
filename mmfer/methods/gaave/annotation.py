"""Pseudo-labels of two self-annotators: GAAVE (AAAI'23), Eq. 5."""

import numpy as np

from .splitting import HeadTail

# Stands for a class where there is none.
NO_LABEL = -1


def combine_annotators(
    head_prediction: np.ndarray, tail_prediction: np.ndarray, split: HeadTail
) -> np.ndarray:
    """Combine the predictions of both annotators: Eq. 5.

    A sample gets a label if exactly one annotator predicts a class of its own
    subset, and the other one predicts its extra class.

    Args:
        head_prediction (np.ndarray): Local labels by the annotator of the
            head-set, int64 (N, ); ``len(split.head)`` is its extra class.
        tail_prediction (np.ndarray): Local labels by the annotator of the
            tail-set, int64 (N, ); ``len(split.tail)`` is its extra class.
        split (HeadTail): Classes behind the local labels.

    Returns:
        np.ndarray: Classes of the data set, or -1 where both annotators
        predict a class of their own, or neither does, int64 (N, ).
    """
    head = np.append(split.head, NO_LABEL)[head_prediction]
    tail = np.append(split.tail, NO_LABEL)[tail_prediction]
    # NO_LABEL is the extra class here: exactly one of the two must be it.
    agreed = (head == NO_LABEL) != (tail == NO_LABEL)
    return np.where(agreed, np.maximum(head, tail), NO_LABEL)


def decide(
    labels: np.ndarray,
    candidate: np.ndarray,
    pseudo_labels: np.ndarray,
    relabel: bool = True,
) -> np.ndarray:
    """Decide whether each sample is kept, relabelled or dropped.

    A candidate whose pseudo-label is its given label is kept.

    Args:
        labels (np.ndarray): Given labels, int64 (N, ).
        candidate (np.ndarray): Whether a label is in doubt, bool (N, ).
        pseudo_labels (np.ndarray): int64 (N, ), -1 for none. Those of samples
            that are no candidates are ignored.
        relabel (bool): Give candidates their pseudo-labels. False: drop those
            whose pseudo-label is another one. Defaults to True.

    Returns:
        np.ndarray: ``'keep'``, ``'relabel'`` or ``'drop'``, (N, ).
    """
    changed = np.where((pseudo_labels != NO_LABEL) & relabel, 'relabel', 'drop')
    return np.where(candidate & (pseudo_labels != labels), changed, 'keep')


def predict_classes(
    head_scores: np.ndarray, tail_scores: np.ndarray, split: HeadTail
) -> np.ndarray:
    """Predict the class of any image with two subset models.

    Eq. 5 is used; where it gives no label, the class with the highest
    probability that is not an extra class is predicted. This is for the row of
    Table 3 with splitting and refactoring alone, for which the paper does not
    say how it predicts.

    Args:
        head_scores (np.ndarray): Probabilities (N, len(split.head) + 1).
        tail_scores (np.ndarray): Probabilities (N, len(split.tail) + 1).
        split (HeadTail): Classes behind the columns.

    Returns:
        np.ndarray: Classes of the data set, int64 (N, ).
    """
    labels = combine_annotators(
        head_scores.argmax(axis=1), tail_scores.argmax(axis=1), split
    )
    native = np.concatenate([head_scores[:, :-1], tail_scores[:, :-1]], axis=1)
    likeliest = np.concatenate(split)[native.argmax(axis=1)]
    return np.where(labels == NO_LABEL, likeliest, labels)
