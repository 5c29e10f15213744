"""Label noise that people made: one vote of an image's annotators as its label."""

from typing import Optional

import numpy as np
from numpy.typing import ArrayLike

from mmfer.registry import TASK_UTILS

from .generators import LabelNoise


def draw_votes(votes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one vote for each image; all votes of an image are equally likely.

    Args:
        votes (np.ndarray): Number of votes for each class, int (N, C). Each row
            has at least one vote.
        rng (np.random.Generator): Source of the draws, one per image; advanced.

    Returns:
        np.ndarray: Class of the drawn vote, int64 (N,).
    """
    ends = votes.cumsum(axis=1)
    # An integer draw is exact; a share of ten votes is not exact in binary.
    drawn = rng.integers(0, ends[:, -1])
    return (ends > drawn[:, None]).argmax(axis=1)


@TASK_UTILS.register_module()
class VoteNoise(LabelNoise):
    """Label noise: the given label is the vote of one annotator.

    The data set must know the votes of several annotators, as FERPlus does: ten people
    labelled each of its images. For each image, one vote for an expression is drawn.
    The clean label is that of the data set's protocol, for FERPlus by default the
    expression with the most votes.

    This is the noise of people who label each image once. Faces on which they disagree
    have wrong labels more often, and a wrong label is an expression that somebody
    saw. The noise is known for each image, see :meth:`label_probabilities`. On the
    training images of FERPlus, 22.9 % of the labels are wrong on average.

    Args:
        seed (int): At least 0. Defaults to 0.
    """

    _votes: Optional[np.ndarray] = None

    def take_votes(self, votes: Optional[np.ndarray], dataset: str) -> None:
        """Receive the votes of a data set; see :class:`LabelNoise`.

        Raises:
            ValueError: The data set has no votes, or none for some images.
        """
        if votes is None:
            raise ValueError(
                f'VoteNoise: {dataset} has one label per image, not the votes of '
                'several annotators. Use it with FERPlus, or choose another '
                "generator, such as dict(type='SymmetricNoise', rate=0.3)."
            )
        empty = np.flatnonzero(votes.sum(axis=1) == 0)
        if len(empty):
            raise ValueError(
                f'VoteNoise: {len(empty)} samples of {dataset} have no vote, the '
                f'first is sample {empty[0]}. Leave them out.'
            )
        self._votes = votes

    def label_probabilities(self) -> np.ndarray:
        """Return the probability of each given label, float64 (N, C).

        Raises:
            ValueError: No data set has given its votes.
        """
        votes = self._known_votes()
        return votes / votes.sum(axis=1, keepdims=True)

    def corrupt(self, labels: np.ndarray, num_classes: int) -> np.ndarray:
        votes = self._known_votes()
        if votes.shape != (len(labels), num_classes):
            raise ValueError(
                f'VoteNoise: the votes have the shape {votes.shape}, but there are '
                f'{len(labels)} labels of {num_classes} classes. Give the labels of '
                'all samples of the data set.'
            )
        return draw_votes(votes, self.make_rng())

    def manifest(self, clean: ArrayLike, noisy: ArrayLike) -> dict:
        """Describe the noise; see :class:`LabelNoise`.

        Returns:
            dict: The entries of the base class, and ``expected_share``, the mean of
            ``changed_share`` over all seeds.
        """
        labels = np.asarray(clean, dtype=np.int64)
        right = self.label_probabilities()[np.arange(len(labels)), labels]
        return dict(
            super().manifest(clean, noisy), expected_share=float(1 - right.mean())
        )

    def _known_votes(self) -> np.ndarray:
        """Return the votes, int (N, C)."""
        if self._votes is None:
            raise ValueError(
                'VoteNoise draws from the votes of a data set. Give it to the data '
                "set: FERPlus(..., label_noise=dict(type='VoteNoise'))."
            )
        return self._votes
