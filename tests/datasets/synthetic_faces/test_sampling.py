import numpy as np
import pytest

from mmfer.datasets.synthetic_faces import (
    EXPRESSIONS,
    FACE_DTYPE,
    NEIGHBOURS,
    render_faces,
    sample_faces,
)

OCCLUDERS = ('glasses', 'hand', 'patch')


def label_of(expression):
    return EXPRESSIONS.index(expression)


def test_class_order_is_that_of_rafdb():
    assert EXPRESSIONS == (
        'surprise',
        'fear',
        'disgust',
        'happiness',
        'sadness',
        'anger',
        'neutral',
    )


def test_same_seed_same_faces_whatever_the_global_state(drawn):
    np.random.seed(5)
    again = sample_faces(2100, seed=3)
    for first, second in zip(drawn, again):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(
        render_faces(drawn[0][:20], 32), render_faces(again[0][:20], 32)
    )


def test_draws_stay_the_same_over_releases():
    """Another order of draws would change every result on synthfaces."""
    params, labels, va = sample_faces(14, seed=5)
    assert labels.tolist() == [1, 2, 0, 6, 5, 4, 3, 1, 0, 3, 2, 6, 5, 4]
    assert params['noise_seed'][:2].tolist() == [3264680677, 904269971]
    # One parameter or two from each step, the last draw included.
    drawn = {
        'lip_corner_pull': -0.10321,
        'jaw_drop': -0.07904,
        'yaw': -0.10985,
        'skin': 169.70555,
        'patch_grey': 147.72215,
    }
    for name, value in drawn.items():
        assert params[name][3] == pytest.approx(value, rel=1e-4)
    assert va[3].tolist() == pytest.approx([-0.04954, -0.05863], rel=1e-3)


def test_seeds_give_unrelated_faces(drawn):
    params, labels, _ = sample_faces(2100, seed=4)
    assert np.mean(labels == drawn[1]) < 0.3
    assert not np.isin(params['noise_seed'], drawn[0]['noise_seed']).all()
    shared = np.intersect1d(params['skin'], drawn[0]['skin'])
    assert len(shared) < 5


@pytest.mark.parametrize('imbalance', [1.0, 20.0])
@pytest.mark.parametrize('length', [0, 1, 8, 50])
def test_shorter_draw_is_a_prefix(length, imbalance):
    long = sample_faces(133, seed=9, imbalance=imbalance)
    short = sample_faces(length, seed=9, imbalance=imbalance)
    for a, b in zip(short, long):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b[:length])


def test_types_and_shapes(drawn):
    params, labels, va = drawn
    assert params.shape == (2100,) and params.dtype == FACE_DTYPE
    assert labels.shape == (2100,) and labels.dtype == np.int64
    assert va.shape == (2100, 2) and va.dtype == np.float32
    for name in FACE_DTYPE.names:
        assert np.isfinite(params[name]).all(), name


@pytest.mark.parametrize('num', [1, 6, 7, 20, 2100])
def test_balanced_classes_differ_by_one_at_most(num):
    counts = np.bincount(sample_faces(num, seed=1)[1], minlength=7)
    assert counts.sum() == num
    assert counts.max() - counts.min() == (num % 7 > 0)


def test_order_of_labels_is_mixed(drawn):
    blocks = drawn[1].reshape(-1, 7)
    assert len(np.unique(blocks, axis=0)) > 200


@pytest.mark.parametrize(
    'counts', [(5, 0, 3, 40, 1, 0, 7), (0,) * 7, (129, 28, 72, 477, 198, 71, 252)]
)
def test_class_counts_are_exact(counts):
    _, labels, _ = sample_faces(sum(counts), seed=2, class_counts=counts)
    np.testing.assert_array_equal(np.bincount(labels, minlength=7), counts)


@pytest.mark.parametrize('num', [700, 1001])
def test_long_tail_follows_its_law(num):
    counts = np.bincount(sample_faces(num, seed=2, imbalance=50)[1], minlength=7)
    target = 50.0 ** (-np.arange(7) / 6)
    target *= num / target.sum()
    assert counts.sum() == num
    np.testing.assert_allclose(counts, target, rtol=0, atol=1)


def test_valence_and_arousal_of_the_classes(drawn):
    _, labels, va = drawn
    assert np.abs(va).max() <= 1
    mean = dict(zip(EXPRESSIONS, (va[labels == k].mean(axis=0) for k in range(7))))
    valence = {name: value[0] for name, value in mean.items()}
    arousal = {name: value[1] for name, value in mean.items()}
    assert max(valence, key=valence.get) == 'happiness'
    for name in ('fear', 'disgust', 'sadness', 'anger'):
        assert valence[name] < -0.3
    assert abs(valence['neutral']) < 0.1
    excited = min(arousal[name] for name in ('surprise', 'fear', 'anger'))
    others = max(arousal[name] for name in ('disgust', 'happiness'))
    calm = max(arousal[name] for name in ('sadness', 'neutral'))
    assert excited > others + 0.1 > calm + 0.2
    # Values vary within a class; there is not one value per label.
    for k in range(7):
        assert len(np.unique(va[labels == k, 0])) > 200
        assert va[labels == k].std(axis=0).min() > 0.04


def test_valence_follows_intensity_and_mouth(drawn):
    params, labels, va = drawn
    pure = (labels == label_of('happiness')) & (params['blend'] == 0)
    for name in ('intensity', 'lip_corner_pull'):
        assert np.corrcoef(params[name][pure], va[pure, 0])[0, 1] > 0.6


def test_blends_mix_neighbours_and_keep_the_dominant_label(drawn):
    params, labels, va = drawn
    is_blend = params['blend'] > 0
    assert 0.26 < is_blend.mean() < 0.34
    assert params['blend'][is_blend].min() >= 0.2
    assert params['blend'].max() < 0.5
    np.testing.assert_array_equal(params['second'][~is_blend], labels[~is_blend])
    for k, name in enumerate(EXPRESSIONS):
        seconds = np.unique(params['second'][is_blend & (labels == k)])
        assert {EXPRESSIONS[s] for s in seconds} == set(NEIGHBOURS[name])
    happy = labels == label_of('happiness')
    towards_neutral = is_blend & (params['second'] == label_of('neutral'))
    smile = params['lip_corner_pull']
    for value in (va[:, 0], smile):
        assert (
            value[happy & towards_neutral].mean()
            < 0.8 * value[happy & ~is_blend].mean()
        )


def test_ambiguity_sets_the_share_of_blends():
    assert not sample_faces(140, seed=0, ambiguity=0)[0]['blend'].any()
    assert sample_faces(140, seed=0, ambiguity=1)[0]['blend'].all()


def test_pose_light_and_occluders_vary(drawn):
    params, labels, _ = drawn
    for name, spread in (
        ('roll', 0.06),
        ('yaw', 0.1),
        ('pitch', 0.05),
        ('scale', 0.03),
        ('shift_x', 0.02),
        ('skin', 25),
        ('background', 50),
        ('noise', 2),
        ('contrast', 0.08),
        ('light_strength', 0.08),
    ):
        assert params[name].std() > spread, name
        # A nuisance must not reveal the class.
        means = [params[name][labels == k].mean() for k in range(7)]
        assert np.ptp(means) < 0.5 * params[name].std(), name
    for name, low, high in (
        ('glasses', 0.14, 0.22),
        ('hand', 0.07, 0.13),
        ('patch', 0.07, 0.13),
        ('beard', 0.11, 0.19),
    ):
        assert low < (params[name] > 0).mean() < high, name
    assert 0.11 < (params['hairline'] < -0.35).mean() <= 1
    assert 0.1 < (params['hairline'] > -0.6).mean() < 0.2


def test_no_nuisance_means_frontal_clean_faces():
    params, _, _ = sample_faces(140, seed=0, nuisance=0)
    for name in OCCLUDERS + ('roll', 'yaw', 'noise', 'blur', 'light_strength'):
        assert not params[name].any(), name
    assert (params['scale'] == 1).all() and (params['contrast'] == 1).all()


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(num=-1), 'num must be .* at least 0'),
        (dict(num=2.5), 'num must be a whole number'),
        (dict(seed=-1), 'seed must be .* from 0 to'),
        (dict(seed=2**32), 'seed must be .* from 0 to'),
        (dict(seed=None), 'seed must be a whole number'),
        (dict(imbalance=0.5), 'imbalance must be a number of at least 1'),
        (dict(imbalance=float('nan')), 'imbalance must be a number of at least 1'),
        (dict(ambiguity=1.2), 'ambiguity must lie in'),
        (dict(nuisance=-0.1), 'nuisance must lie in'),
        (
            dict(class_counts=(7, -1, 1, 0, 0, 0, 0)),
            r'class_counts\[1\] must be .* at least 0',
        ),
        (
            dict(class_counts=(7.0,) + (0,) * 6),
            r'class_counts\[0\] must be a whole number',
        ),
        (dict(class_counts=(7, 0)), 'class_counts must have 7'),
        (dict(class_counts=(2,) * 7), 'must be num=7, got 14'),
        (dict(class_counts=(1,) * 7, imbalance=2.0), 'exclude each'),
    ],
)
def test_bad_arguments_of_sampling(kwargs, message):
    with pytest.raises(ValueError, match=message):
        sample_faces(**dict(dict(num=7, seed=0), **kwargs))
