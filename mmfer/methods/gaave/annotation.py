"""Combine two self-annotators into pseudo-labels: GAAVE (AAAI'23), Eq. 5."""

import numpy as np

from .splitting import HeadTail

# Class number that means: this sample has no label.
NO_LABEL = -1


def combine_annotators(
    head_prediction: np.ndarray, tail_prediction: np.ndarray, split: HeadTail
) -> np.ndarray:
    """Combine the predictions of both annotators, Eq. 5.

    A sample gets a label if exactly one annotator predicts a class of its own
    subset, and the other one predicts its extra class.

    Args:
        head_prediction (np.ndarray): Local labels by the annotator of the
            head-set, int64 (N, ); ``len(split.head)`` is its extra class.
        tail_prediction (np.ndarray): Local labels by the annotator of the
            tail-set, int64 (N, ); ``len(split.tail)`` is its extra class.
        split (HeadTail): Classes of the data set for the local labels.

    Returns:
        np.ndarray: Classes of the data set, int64 (N, ). -1 if both annotators
        predict a class of their own, or if neither does.
    """
    head = np.append(split.head, NO_LABEL)[head_prediction]
    tail = np.append(split.tail, NO_LABEL)[tail_prediction]
    # The extra class is NO_LABEL here. Exactly one of the two must predict it.
    agreed = (head == NO_LABEL) != (tail == NO_LABEL)
    return np.where(agreed, np.maximum(head, tail), NO_LABEL)


def decide(
    labels: np.ndarray,
    candidate: np.ndarray,
    pseudo_labels: np.ndarray,
    relabel: bool = True,
) -> np.ndarray:
    """Decide whether each sample is kept, relabelled or dropped.

    A candidate is kept if its pseudo-label equals its given label.

    Args:
        labels (np.ndarray): Given labels, int64 (N, ).
        candidate (np.ndarray): Whether a label is in doubt, bool (N, ).
        pseudo_labels (np.ndarray): Pseudo-labels, -1 if there is none, int64
            (N, ). Only those of candidates are used.
        relabel (bool): Give candidates their pseudo-labels. False: drop
            candidates whose pseudo-label is not the given label. Defaults to
            True.

    Returns:
        np.ndarray: ``'keep'``, ``'relabel'`` or ``'drop'``, (N, ).
    """
    changed = np.where((pseudo_labels != NO_LABEL) & relabel, 'relabel', 'drop')
    return np.where(candidate & (pseudo_labels != labels), changed, 'keep')


def predict_classes(
    head_scores: np.ndarray, tail_scores: np.ndarray, split: HeadTail
) -> np.ndarray:
    """Predict the class of any image with two subset models.

    The prediction is that of Eq. 5. If Eq. 5 gives no label, it is the class of
    highest probability among all classes but the two extra ones. This serves
    the row of Table 3 with only splitting and refactoring. The paper does not
    say how that row predicts.

    Args:
        head_scores (np.ndarray): Probabilities (N, len(split.head) + 1).
        tail_scores (np.ndarray): Probabilities (N, len(split.tail) + 1).
        split (HeadTail): Classes of the data set for the columns.

    Returns:
        np.ndarray: Classes of the data set, int64 (N, ).
    """
    labels = combine_annotators(
        head_scores.argmax(axis=1), tail_scores.argmax(axis=1), split
    )
    native = np.concatenate([head_scores[:, :-1], tail_scores[:, :-1]], axis=1)
    likeliest = np.concatenate(split)[native.argmax(axis=1)]
    return np.where(labels == NO_LABEL, likeliest, labels)
