"""Words for scores, so that a reader need not know what 0.93 means."""

from typing import NamedTuple, Tuple

import numpy as np

SCORE_KINDS = ('probability', 'rank')
"""Meanings of a ``noise_score``: the probability that a label is wrong, or a rank."""

# The scale is that of the reports of the IPCC, which readers in many fields know.
_PROBABILITIES = (0.9, 0.66, 0.33, 0.1)
_PROBABILITY_WORDS = (
    'very likely wrong',
    'likely wrong',
    'doubtful',
    'likely right',
    'very likely right',
)
_SHARES = (0.01, 0.05, 0.2, 0.5)
_RANK_WORDS = ('top 1 %', 'top 5 %', 'top 20 %', 'top 50 %', 'less suspicious')


class ScoreWords(NamedTuple):
    """Words for the scores of a table.

    Attributes:
        level (np.ndarray): Number of the word of each sample, int64 (N,).
        words (tuple[str]): All words, the most suspicious one first.
        meaning (str): Explanation of the words, for the reader of the page.
        probability (bool): Whether scores are probabilities.
    """

    level: np.ndarray
    words: Tuple[str, ...]
    meaning: str
    probability: bool


def describe_scores(score: np.ndarray, kind: str) -> ScoreWords:
    """Return a word for each score.

    Args:
        score (np.ndarray): ``noise_score`` of all samples of a table, (N,).
        kind (str): One of :data:`SCORE_KINDS`. Only a calibrated score, such as that
            of ``mmfer scan``, is a probability. All others can only be ranked.

    Raises:
        ValueError: The kind is unknown, or a probability is outside of [0, 1].
    """
    if kind not in SCORE_KINDS:
        raise ValueError(
            f'score_kind: {kind!r} is none of {", ".join(SCORE_KINDS)}. Choose '
            "'probability' only if noise_score is the probability of a wrong label."
        )
    if kind == 'rank':
        return _ranks(score)
    outside = np.flatnonzero(~((score >= 0) & (score <= 1)))
    if len(outside):
        raise ValueError(
            f'noise_score: {score[outside[0]]:.6g} in row {outside[0]} is no '
            "probability, because it is outside of [0, 1]. Choose score_kind='rank'."
        )
    level = np.full(len(score), len(_PROBABILITIES))
    for n in reversed(range(len(_PROBABILITIES))):
        level[score >= _PROBABILITIES[n]] = n
    return ScoreWords(
        level,
        _PROBABILITY_WORDS,
        'The score is the estimated probability that the given label is wrong. Very '
        'likely wrong: at least 0.90; likely wrong: at least 0.66; doubtful: 0.33 to '
        '0.66; likely right: 0.10 to 0.33; very likely right: below 0.10.',
        True,
    )


def _ranks(score: np.ndarray) -> ScoreWords:
    """Return words for the rank of each score; equal scores have the same word."""
    # Share of samples that are at least as suspicious, so that `top 1 %` never holds
    # for more samples than that.
    ascending = np.sort(score)
    above = len(score) - np.searchsorted(ascending, score, side='left')
    level = np.searchsorted(_SHARES, above / max(1, len(score)), side='left')
    return ScoreWords(
        level,
        _RANK_WORDS,
        'The score only ranks the samples: larger is more suspicious. It is not a '
        'probability. Top 1 %: at most 1 % of all samples of the table have this '
        'score or a larger one.',
        False,
    )
