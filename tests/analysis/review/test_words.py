"""Words for scores: a probability only where the score is one."""

import numpy as np
import pytest

from mmfer.analysis.review.words import describe_scores

# Lower ends of the words, as the documentation states them.
SCALE = {
    'very likely wrong': 0.90,
    'likely wrong': 0.66,
    'doubtful': 0.33,
    'likely right': 0.10,
    'very likely right': 0.0,
}


def test_words_of_probabilities():
    score = np.concatenate(
        [np.linspace(0, 1, 1001), [0.1, 0.33, 0.66, 0.9, np.nextafter(0.9, 0)]]
    )
    found = describe_scores(score, 'probability')
    for value, level in zip(score, found.level):
        expected = next(word for word, low in SCALE.items() if value >= low)
        assert found.words[level] == expected, value
    for low in (0.9, 0.66, 0.33, 0.1):
        assert f'{low:.2f}' in found.meaning
    assert found.probability


@pytest.mark.parametrize('kind', ['normal', 'ties', 'one value', 'one sample'])
def test_words_of_ranks(kind):
    """No more samples than it says have a word, whatever the scale of the scores."""
    rng = np.random.default_rng(0)
    score = dict(
        normal=rng.normal(5, 100, 1000),
        ties=rng.integers(0, 6, 1000) / 5,
        **{'one value': np.ones(1000), 'one sample': np.array([3.0])},
    )[kind]
    found = describe_scores(score, 'rank')
    assert not found.probability and 'not a probability' in found.meaning
    # Neither does a word claim one.
    assert not any('likely' in word or 'wrong' in word for word in found.words)
    for level, share in enumerate((0.01, 0.05, 0.2, 0.5, 1)):
        in_or_above = found.level <= level
        assert in_or_above.sum() <= share * len(score)
        # Nobody is left out who has a place: the next lower score would not fit.
        rest = score[~in_or_above]
        if len(rest):
            assert (score >= rest.max()).sum() > share * len(score)
    order = np.argsort(-score)
    assert (np.diff(found.level[order]) >= 0).all()
    moved = describe_scores(score * 1e-9 - 7, 'rank')
    if kind != 'normal':
        assert (moved.level == found.level).all()


def test_what_is_no_probability():
    with pytest.raises(ValueError, match=r"1.2 in row 1 .* score_kind='rank'"):
        describe_scores(np.array([0.5, 1.2]), 'probability')
    with pytest.raises(ValueError, match="'certain' is none of probability, rank"):
        describe_scores(np.array([0.5]), 'certain')
