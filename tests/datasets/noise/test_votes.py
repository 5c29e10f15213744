"""VoteNoise: the vote of one annotator as the given label."""

import numpy as np
import pytest

from mmfer.datasets import FERPlus
from mmfer.datasets.noise import VoteNoise, labels_sha256
from mmfer.datasets.noise.votes import draw_votes

VOTES = np.array([[8, 1, 1], [0, 10, 0], [0, 3, 6], [1, 0, 1]])


def noise(seed=0, votes=VOTES):
    generator = VoteNoise(seed)
    generator.take_votes(votes, 'FERPlus')
    return generator


def test_share_of_each_class_is_that_of_the_votes():
    rows = 30000
    drawn = draw_votes(np.repeat(VOTES, rows, axis=0), np.random.default_rng(0))
    for votes, labels in zip(VOTES, drawn.reshape(len(VOTES), rows)):
        found = np.bincount(labels, minlength=3)
        expected = votes / votes.sum() * rows
        assert (found[expected == 0] == 0).all()
        error = (found - expected)[expected > 0] / np.sqrt(expected[expected > 0])
        assert (error**2).sum() < 14


def test_same_seed_same_labels_whatever_the_global_state():
    votes = np.repeat(VOTES, 50, axis=0)
    labels = votes.argmax(axis=1)
    first = noise(1, votes)(labels, 3)
    np.random.seed(5)
    assert (noise(1, votes)(labels, 3) == first).all()
    assert (noise(2, votes)(labels, 3) != first).any()


def test_probabilities_and_manifest():
    generator = noise()
    np.testing.assert_allclose(
        generator.label_probabilities(), VOTES / VOTES.sum(1, keepdims=True)
    )
    clean = VOTES.argmax(axis=1)
    manifest = generator.manifest(clean, generator(clean, 3))
    # Mean over the images of one minus the share of the clean label.
    assert manifest['expected_share'] == pytest.approx((0.2 + 0 + 1 / 3 + 0.5) / 4)
    assert manifest['generator'] == 'VoteNoise' and manifest['parameters'] == {}


def test_needs_votes():
    with pytest.raises(ValueError, match='FERPlus.*label_noise=dict'):
        VoteNoise()([0, 1], 3)
    with pytest.raises(ValueError, match='RAFDB has one label per image.*FERPlus'):
        VoteNoise().take_votes(None, 'RAFDB')
    with pytest.raises(ValueError, match='1 samples of X have no vote.*sample 1'):
        VoteNoise().take_votes(np.array([[1, 0], [0, 0]]), 'X')
    with pytest.raises(ValueError, match=r'shape \(4, 3\).*2 labels of 3 classes'):
        noise()([0, 1], 3)


@pytest.fixture
def root(tmp_path, write_image):
    """FERPlus with 60 images that have a label, and two that have none."""
    rows = [
        'Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,'
        'fear,contempt,unknown,NF'
    ]
    kinds = ['6,4,0,0,0,0,0,0,0,0', '0,3,5,0,0,0,0,0,2,0', '0,0,0,0,0,0,9,0,0,1']
    votes = [kinds[i % 3] for i in range(60)]
    votes += ['0,0,0,0,0,0,0,0,0,10', '0,0,0,0,0,0,0,4,6,0']
    (tmp_path / 'FER2013Train').mkdir()
    for i, text in enumerate(votes):
        write_image(tmp_path / f'FER2013Train/fer{i}.png', size=8)
        rows.append(f'Training,fer{i}.png,{text}')
    (tmp_path / 'fer2013new.csv').write_text('\n'.join(rows))
    return str(tmp_path)


def test_data_set(root):
    dataset = FERPlus(root, label_noise=dict(type='VoteNoise', seed=3))
    votes = dataset.class_votes
    assert len(dataset) == 60 and votes.shape == (60, 8)
    # No label that nobody gave; votes for 'unknown' and 'not a face' never count.
    assert (votes[np.arange(60), dataset.given_labels] > 0).all()
    assert (dataset.clean_labels == votes.argmax(axis=1)).all()
    assert 0 < (dataset.given_labels != dataset.clean_labels).sum() < 30
    manifest = dataset.noise_manifest()
    assert manifest['left_out'] == 2
    assert manifest['noisy_sha256'] == labels_sha256(dataset.given_labels)
    # Annotators who label the same images disagree, by the same votes.
    several = FERPlus(
        root,
        label_noise=dict(
            type='Annotators',
            generators=[dict(type='VoteNoise', seed=i) for i in range(3)],
        ),
    )
    sets = several._labels.sets
    assert sets.shape == (60, 3) and (sets[:, 0] != sets[:, 1]).any()
    assert (np.take_along_axis(votes, sets, axis=1) > 0).all()


def test_subset_and_evaluation(root):
    options = dict(label_noise=dict(type='VoteNoise'))
    whole, part = FERPlus(root, **options), FERPlus(root, indices=[5, 7], **options)
    assert (part.get_gt_labels() == whole.get_gt_labels()[[5, 7]]).all()
    with pytest.raises(ValueError, match='label_noise'):
        FERPlus(root, test_mode=True, **options)
