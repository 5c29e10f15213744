"""Faces in the order of their uncertainty."""

import numpy as np
import pytest

from mmfer.analysis import uncertain_faces
from mmfer.analysis.predictions import Predictions

CLASSES = ['a', 'b', 'c', 'd']


def make_predictions(count=200, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(classes), count)
    labels = np.random.default_rng(9).integers(0, classes, count)
    return Predictions(
        scores, labels, rng.random(count), [''] * count, np.arange(count)
    )


def grey_images(positions):
    return {int(i): np.full((9, 9), 100, np.uint8) for i in positions}


def test_most_and_least_uncertain():
    run = make_predictions(30)
    most, least = uncertain_faces.extremes(run.uncertainty, 5)
    order = np.sort(run.uncertainty)
    assert run.uncertainty[most].tolist() == order[::-1][:5].tolist()
    assert run.uncertainty[least].tolist() == order[:5].tolist()
    images = grey_images(np.concatenate([most, least]))
    figure = uncertain_faces.uncertain_figure(
        run, images, (most, least), CLASSES, columns=4
    )
    drawn = [axes for axes in figure.get_axes() if axes.images]
    assert len(drawn) == 10
    colours = [axes.spines['top'].get_edgecolor() for axes in drawn]
    right = run.correct[np.concatenate([most, least])]
    assert len({colour for colour, yes in zip(colours, right) if yes}) == 1
    assert [
        colour == colours[int(right.argmax())] for colour in colours
    ] == right.tolist()


def test_hard_examples_are_wrong_for_a_model_and_in_order():
    runs = dict(a=make_predictions(seed=0), b=make_predictions(seed=1))
    hard = [
        i for i in range(200) if not (runs['a'].correct[i] and runs['b'].correct[i])
    ]
    found = uncertain_faces.hard_examples(runs, 12)
    assert len(found) == 12 and set(found) < set(hard)
    values = runs['a'].uncertainty[found]
    assert (np.diff(values) < 0).all()
    # From the least to the most certain one of the hard images.
    assert values[0] == runs['a'].uncertainty[hard].max()
    assert values[-1] == runs['a'].uncertainty[hard].min()
    everything = uncertain_faces.hard_examples(runs, 10**6)
    assert sorted(everything) == hard


@pytest.mark.parametrize(
    'change',
    [
        dict(labels=np.zeros(200, int)),
        dict(images=['other.png'] * 200),
        dict(sample_id=np.arange(200) + 1),
    ],
)
def test_runs_on_other_images(change):
    run = make_predictions()
    with pytest.raises(ValueError, match='^a and b have .* different images'):
        uncertain_faces.hard_examples(dict(a=run, b=run._replace(**change)), 3)


def test_nothing_is_hard():
    run = make_predictions()
    right = run._replace(labels=run.predicted)
    with pytest.raises(ValueError, match='^a and b predict all images right'):
        uncertain_faces.hard_examples(dict(a=right, b=right), 3)


def test_share_below():
    shares = uncertain_faces.share_below(np.array([3.0, 1.0, 2.0, 2.0, 9.0]))
    assert shares.tolist() == [0.75, 0, 0.25, 0.25, 1]
    # Another scale is the same order.
    rng = np.random.default_rng(0)
    u = rng.random(50)
    same = uncertain_faces.share_below(np.exp(9 * u))
    assert same.tolist() == uncertain_faces.share_below(u).tolist()
    assert uncertain_faces.share_below(np.array([5.0])).tolist() == [0]


def test_words_below_a_face():
    runs = dict(ALUM=make_predictions(seed=0), RUL=make_predictions(seed=1))
    shown = uncertain_faces.hard_examples(runs, 6)
    figure = uncertain_faces.compared_figure(
        runs, grey_images(shown), shown, CLASSES, columns=4
    )
    drawn = [axes for axes in figure.get_axes() if axes.images]
    assert len(drawn) == 6
    for axes, i in zip(drawn, shown, strict=True):
        assert axes.get_title() == CLASSES[runs['ALUM'].labels[i]]
        for (name, run), text in zip(runs.items(), axes.texts, strict=True):
            below = (run.uncertainty < run.uncertainty[i]).sum() / 199
            mark = '\u2713' if run.correct[i] else '\u2717'
            want = f'{name} {100 * below:.0f} % {CLASSES[run.predicted[i]]} {mark}'
            assert text.get_text() == want
