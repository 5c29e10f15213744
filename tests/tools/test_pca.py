"""PCA of two classes, with the samples that GAAVE suspects."""

import cv2
import numpy as np
import pytest
from helpers import STEPS, call_tool, tiny_config, train

from mmfer.analysis.attackable import (
    attackable_figure,
    draw_two_classes,
    principal_components,
)
from mmfer.analysis.class_names import class_numbers

CLASSES = ('surprise', 'fear', 'disgust')


def test_components_are_those_of_scikit_learn():
    decomposition = pytest.importorskip('sklearn.decomposition')
    features = np.random.default_rng(0).normal(3, [[5], [1], [2]] * 10, (30, 8))
    expected = decomposition.PCA(2).fit_transform(features)
    found = principal_components(features)
    signs = np.sign((expected * found).sum(axis=0))
    np.testing.assert_allclose(found, expected * signs, atol=1e-9)
    np.testing.assert_allclose(principal_components(features * -1), -found, atol=1e-9)


def test_draw():
    labels = np.arange(300) % 3
    rows = draw_two_classes(labels, [0, 2], 44, seed=0)
    assert len(rows) == 44 and set(labels[rows]) == {0, 2} and (np.diff(rows) > 0).all()
    assert len(draw_two_classes(labels, [0, 2], 999, seed=0)) == 200
    for classes in ([1, 1], [0, 3]):
        with pytest.raises(ValueError, match='two different classes'):
            draw_two_classes(labels, classes, 44, seed=0)


def test_class_by_name_or_number():
    assert class_numbers(['fear', '1', '0'], CLASSES) == [1, 1, 0]
    assert class_numbers(['1', '0'], ['0', '1']) == [1, 0]
    for text in ('3', 'joy', '-1'):
        with pytest.raises(ValueError, match='0 surprise, 1 fear'):
            class_numbers(['fear', text], CLASSES)


def test_counts_in_the_figure():
    """Each panel has each sample once."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    candidate, wrong = rng.random((2, 60)) < 0.4
    for known in (wrong, None):
        figure = attackable_figure(
            rng.normal(size=(60, 2)), labels, candidate, CLASSES, known
        )
        for axes in figure.axes:
            _, names = axes.get_legend_handles_labels()
            numbers = [int(name.rpartition('(')[2][:-1]) for name in names]
            # Candidates with a right label have a ring in place of a dot.
            assert sum(numbers) == 60
            assert sum(len(dots.get_offsets()) for dots in axes.collections) == 60


def test_tool(tmp_path):
    cfg = tiny_config(tmp_path / 'run', 'ce/ce_r18_synthfaces_noise30')
    cfg.custom_hooks = [
        {
            **STEPS,
            'type': 'GAAVEHook',
            'tau': 0,
            'split': False,
            'annotate': False,
            'base': dict(train_cfg=dict(max_epochs=1)),
        }
    ]
    train(cfg)
    config = tmp_path / 'config.py'
    cfg.dump(str(config))
    arguments = [
        config,
        tmp_path / 'run/epoch_3.pth',
        tmp_path / 'run/sample_scores.csv',
        '--classes',
        'neutral',
        '0',
    ]
    call_tool('analysis_tools/pca.py', *arguments, '--out', tmp_path / 'pca.png')
    assert cv2.imread(str(tmp_path / 'pca.png')).std() > 10
    said = call_tool('analysis_tools/pca.py', *arguments[:-1], 'joy', code=1)
    assert "no class 'joy'" in said
