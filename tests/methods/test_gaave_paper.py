"""GAAVE's paper as printed: Algorithm 1 and Eqs. 1 to 5, in float64 and in loops.

The reference shares no code with mmfer. It replays the batches that the runs had, with
gradients written out by hand.
"""

import cv2
import numpy as np
import pytest
import torch
import torch.nn as nn
from helpers import patch_training
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmfer.datasets.batches import stack_field
from mmfer.engine.training import train_classifier
from mmfer.methods.gaave import PGD
from mmfer.models import FERClassifier
from mmfer.registry import DATASETS, MODELS, TASK_UTILS

SIDE, WIDTH = 6, 12
MEAN, STD = 110.0, 60.0
COUNTS = (20, 17, 15, 9, 7)
HEAD, TAIL = (0, 1, 2), (3, 4)
RATE, EPOCHS, EPSILON = 0.1, 8, 0.05
TAU = dict(head=3, tail=4)


@MODELS.register_module(force=True)
class OneLayer(nn.Module):
    """A fully connected layer with ReLU, as a backbone."""

    def __init__(self, in_channels=1, init_cfg=None):
        super().__init__()
        self.layer = nn.Conv2d(in_channels, WIDTH, SIDE)

    def init_weights(self):
        pass

    def forward(self, images):
        return (self.layer(images).relu(),)


# -- the data set ----------------------------------------------------------------
def write_data(root):
    """Images of five classes; a fifth of the labels is wrong."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(5), COUNTS)
    patterns = rng.integers(60, 190, (5, SIDE, SIDE))
    true = labels.copy()
    wrong = rng.permutation(len(labels))[: len(labels) // 5]
    true[wrong] = (true[wrong] + rng.integers(1, 5, len(wrong))) % 5
    images = (patterns[true] + rng.normal(0, 25, (len(labels), SIDE, SIDE))).round()
    images = images.clip(20, 235).astype(np.uint8)
    (root / 'images').mkdir()
    lines = []
    for i, (image, label) in enumerate(zip(images, labels)):
        cv2.imwrite(str(root / f'images/{i:02d}.bmp'), image)
        lines.append(f'{i:02d}.bmp {label}\n')
    (root / 'list.txt').write_text(''.join(lines))
    return images.reshape(len(labels), -1) / 255.0, labels


def made_config(root):
    loader = dict(
        batch_size=8,
        num_workers=0,
        dataset=dict(
            type='ImageList',
            data_root=str(root),
            ann_file='list.txt',
            data_prefix='images',
            num_classes=5,
            label_base=0,
            pipeline=[
                dict(type='LoadFERImage', color_type='grayscale'),
                dict(type='PackFERInputs'),
            ],
        ),
        sampler=dict(type='DefaultSampler', shuffle=True),
        collate_fn=dict(type='fer_collate'),
    )
    return Config(
        dict(
            default_scope='mmfer',
            model=dict(type='FERClassifier', backbone=dict(type='OneLayer')),
            data_preprocessor=dict(
                type='FERDataPreprocessor',
                input_shape=(1, SIDE, SIDE),
                num_classes=5,
                mean=[MEAN],
                std=[STD],
            ),
            train_dataloader=loader,
            val_dataloader=loader,
            train_cfg=dict(by_epoch=True, max_epochs=EPOCHS),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=RATE)),
            param_scheduler=None,
            randomness=dict(seed=0),
        )
    )


# -- what the runs did -------------------------------------------------------------
class Recorder:
    """Initial weights and batches of each training, in order."""

    def __init__(self, monkeypatch):
        self.trainings = []
        step = FERClassifier.train_step

        def recorded(*args, **kwargs):
            self.trainings.append(dict(start=None, batches=[]))
            trained = train_classifier(*args, **kwargs)
            self.trainings[-1]['end'] = weights_of(trained.model)
            return trained

        def stepped(model, data, optim_wrapper):
            mine = self.trainings[-1]
            if mine['start'] is None:
                mine['start'] = weights_of(model)
            samples = data['data_samples']
            fields = (stack_field(samples, key) for key in ('sample_id', 'gt_label'))
            mine['batches'].append([field.tolist() for field in fields])
            return step(model, data, optim_wrapper)

        patch_training(monkeypatch, recorded)
        monkeypatch.setattr(FERClassifier, 'train_step', stepped)

    def next(self):
        return self.trainings.pop(0)


def weights_of(model):
    state = {k: v.detach().double().numpy() for k, v in model.state_dict().items()}
    return [
        state['backbone.layer.weight'].reshape(WIDTH, -1).copy(),
        state['backbone.layer.bias'].copy(),
        state['head.fc.weight'].copy(),
        state['head.fc.bias'].copy(),
    ]


# -- the reference ---------------------------------------------------------------
def forward(theta, x):
    """Hidden values and probabilities of one image with pixels in [0, 1]."""
    first, bias, second, other = theta
    hidden = np.maximum(first @ ((255 * x - MEAN) / STD) + bias, 0)
    logits = second @ hidden + other
    exponents = np.exp(logits - logits.max())
    return hidden, exponents / exponents.sum()


def predict(theta, x):
    return int(forward(theta, x)[1].argmax())


def update(theta, batch, images, rate):
    """Lines 5 and 6 of Algorithm 1: one step on the mean cross-entropy."""
    total = [np.zeros_like(part) for part in theta]
    for i, label in zip(*batch):
        hidden, error = forward(theta, images[i])
        error[label] -= 1
        back = (theta[2].T @ error) * (hidden > 0)
        total[0] += np.outer(back, (255 * images[i] - MEAN) / STD)
        total[1] += back
        total[2] += np.outer(error, hidden)
        total[3] += error
    count = len(batch[0])
    return [part - rate * slope / count for part, slope in zip(theta, total)]


def gradient(theta, x, label):
    """Gradient of the cross-entropy by the pixels."""
    hidden, error = forward(theta, x)
    error[label] -= 1
    return theta[0].T @ ((theta[2].T @ error) * (hidden > 0)) * 255 / STD


def geometric_value(theta, x, label, epsilon, alpha, steps):
    """Eqs. 2 and 3, with s from 0 to the number of steps."""
    k, moved = 0, x.copy()
    for _ in range(steps + 1):
        if predict(theta, moved) == label:
            k += 1
        slope = gradient(theta, moved, label)
        for j in range(len(x)):
            value = moved[j] + alpha * np.sign(slope[j])
            value = min(max(value, x[j] - epsilon), x[j] + epsilon)
            moved[j] = min(max(value, 0.0), 1.0)
    return k


def pseudo_label(p_head, p_tail, head, tail):
    """Eq. 5, with local labels from 0; -1 is no label."""
    if p_head != len(head) and p_tail == len(tail):
        return head[p_head]
    if p_tail != len(tail) and p_head == len(head):
        return tail[p_tail]
    return -1


def replay(training, images, rate, theta=None):
    """Train as a run did, from its initial weights or from ``theta``."""
    theta = training['start'] if theta is None else theta
    for batch in training['batches']:
        theta = update(theta, batch, images, rate)
    for mine, theirs in zip(theta, training['end']):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)
    return theta


def seen(training, epochs):
    """Local labels by sample; every epoch has every sample once."""
    ids = [i for batch in training['batches'] for i in batch[0]]
    labels = [label for batch in training['batches'] for label in batch[1]]
    found = dict(zip(ids, labels))
    assert len(ids) == epochs * len(found)
    for start in range(0, len(ids), len(found)):
        assert set(ids[start : start + len(found)]) == set(found)
    return found


def check_refactored(subset, labels, head, tail, side):
    """D'_h has all of D_t as one more class, D'_t a proportional draw of D_h."""
    own, other = (head, tail) if side == 'head' else (tail, head)
    native = {i: own.index(y) for i, y in enumerate(labels) if y in own}
    extra = {i for i in subset if i not in native}
    assert {i: subset[i] for i in native} == native
    assert all(subset[i] == len(own) for i in extra)
    if side == 'head':
        assert extra == {i for i, y in enumerate(labels) if y in other}
        return
    largest = max(np.sum(labels == y) for y in own)
    assert len(extra) == largest
    for y in other:
        share = np.sum(labels == y) / np.isin(labels, other).sum()
        assert abs(np.sum(labels[list(extra)] == y) - share * largest) < 1


@pytest.mark.parametrize(
    'updates', [2, pytest.param(None, marks=pytest.mark.slow)], ids=str
)
def test_algorithm_1(updates, tmp_path, monkeypatch):
    images, labels = write_data(tmp_path)
    init_default_scope('mmfer')
    cfg = made_config(tmp_path)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    record = Recorder(monkeypatch)
    method = TASK_UTILS.build(
        dict(
            type='GAAVE',
            preset='paper',
            head=HEAD,
            tau=TAU,
            attack=dict(epsilon=EPSILON),
            **({} if updates is None else dict(updates=updates)),
        )
    )
    passes = updates or 5
    logger = MMLogger.get_instance('test_gaave_paper')
    stages = str(tmp_path / 'stages')
    found, report = method(cfg, dataset, dataset.pipeline, stages, logger)
    assert report['preset'] == 'paper'
    assert len(record.trainings) == 2 * (1 + passes) + 2

    # Subsets: the local labels follow the sizes, the largest class first.
    candidate = np.zeros(len(labels), dtype=bool)
    refactored, k_of = {}, {}
    for side, own in (('head', HEAD), ('tail', TAIL)):
        # 1: the base model, for T epochs.
        training = record.next()
        subset = refactored[side] = seen(training, EPOCHS)
        check_refactored(subset, labels, HEAD, TAIL, side)
        theta = replay(training, images, RATE)
        # 2: T' epochs with updates, and an attack on every sample of D'.
        total = dict.fromkeys(subset, 0)
        for _ in range(passes):
            training = record.next()
            assert seen(training, 1) == subset
            theta = replay(training, images, RATE / 100, theta)
            for i, label in subset.items():
                total[i] += geometric_value(
                    theta, images[i], label, EPSILON, EPSILON / 8, 8
                )
        # 3: k is at most tau. What any subset calls noisy is noisy.
        for i, label in subset.items():
            k = total[i] / passes
            candidate[i] |= k <= TAU[side]
            if label < len(own):
                k_of[i] = k
    np.testing.assert_allclose(
        found.attack_steps, [k_of[i] for i in range(len(labels))]
    )
    np.testing.assert_array_equal(found.candidate, candidate)
    noisy = np.flatnonzero(candidate)
    # The case is worth a test: a union, wrong labels found, classes left.
    assert set(TAIL) < set(labels[~candidate].tolist()) and 8 <= len(noisy) <= 35
    assert any(
        found.attack_steps[i] > TAU['head' if labels[i] < 3 else 'tail'] for i in noisy
    )

    # Self-Annotator: Eqs. 4 and 5.
    starts, predictions = [], []
    for side in ('head', 'tail'):
        training = record.next()
        starts.append(training['start'])
        clean = {i: y for i, y in refactored[side].items() if not candidate[i]}
        assert seen(training, EPOCHS) == clean
        theta = replay(training, images, RATE)
        predictions.append([predict(theta, images[i]) for i in noisy])
    # "Both annotators use the same structure and initialization parameters."
    for first, second in zip(*(start[:2] for start in starts)):
        np.testing.assert_array_equal(first, second)
    decided = set()
    for i, p_head, p_tail in zip(noisy, *predictions):
        label = pseudo_label(p_head, p_tail, HEAD, TAIL)
        expected = 'drop' if label < 0 else 'keep' if label == labels[i] else 'relabel'
        assert (found.decision[i], found.suggested_label[i]) == (expected, label)
        decided.add(expected)
    assert {'drop', 'relabel'} <= decided
    assert (found.decision[~candidate] == 'keep').all()


def test_equations_1_and_2():
    """One step of size epsilon is FGSM; the ball and [0, 1] hold each pixel."""
    rng = np.random.default_rng(0)
    theta = [rng.normal(0, 0.3, shape) for shape in ((WIDTH, 36), WIDTH, (4, WIDTH), 4)]
    for _ in range(20):
        x, label, epsilon = rng.random(36).round(1), int(rng.integers(4)), 0.15
        slope = gradient(theta, x, label)
        start = torch.from_numpy(x).reshape(1, 1, 6, 6)
        slopes = torch.from_numpy(slope).reshape(1, 1, 6, 6)
        fgsm = PGD(epsilon, step_size=epsilon).step(start, start, slopes)
        expected = [min(max(a + epsilon * np.sign(b), 0), 1) for a, b in zip(x, slope)]
        np.testing.assert_allclose(fgsm.flatten(), expected, atol=1e-12)
        far = PGD(epsilon, step_size=4 * epsilon, steps=1).step(start, start, slopes)
        np.testing.assert_allclose(far.flatten(), expected, atol=1e-12)
