"""Figures of single methods, drawn by tools."""

import sys

import cv2
import numpy as np
import pytest
import torch
from helpers import CONFIGS, load_tool
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmfer.analysis.cleaning import read_label_decisions
from mmfer.methods.gaave import LabelDecisions
from mmfer.registry import MODELS
from mmfer.score_table import write_score_table


def call(monkeypatch, tool, *arguments):
    monkeypatch.setattr(sys, 'argv', ['x', *map(str, arguments)])
    tool.main()


def test_attack_steps(tmp_path, monkeypatch):
    """The table comes back as it was, whatever wrote its numbers."""
    rng = np.random.default_rng(0)
    candidate = rng.random(50) < 0.4
    label_decisions = LabelDecisions(
        np.arange(50),
        rng.integers(0, 7, 50),
        rng.integers(0, 2, 50),
        rng.integers(0, 10, 50).astype(float),
        rng.random(50),
        candidate,
        np.where(candidate, -1, 3),
        np.where(candidate, 'drop', 'keep'),
        rng.random(50),
    )
    table = label_decisions._asdict()
    for name in ('subset', 'candidate'):
        # As the hook wrote them in 0.1: 1.0 is true, and so is 1.
        table[name] = np.array([f'{value:.1f}' for value in table[name].astype(float)])
    for name in ('attack_steps', 'given_probability', 'noise_score'):
        table[name] = np.array([f'{value:.17g}' for value in table[name]])
    path = tmp_path / 'sample_scores.csv'
    write_score_table(str(path), table)
    tool = load_tool('analysis_tools/attack_steps.py')
    for name, back in read_label_decisions(str(path))._asdict().items():
        expected = getattr(label_decisions, name)
        assert back.dtype.kind == expected.dtype.kind, name
        np.testing.assert_array_equal(back, expected)
    call(monkeypatch, tool, path, '--out', tmp_path / 'steps.png')
    assert cv2.imread(str(tmp_path / 'steps.png')).std() > 10
    path.write_text('sample_id,image\n0,a.png\n')
    with pytest.raises(ValueError, match='no column given_label'):
        read_label_decisions(str(path))


def test_gan_samples(tmp_path, monkeypatch):
    config = f'{CONFIGS}/jointgan/jointgan_vgg16_synthfaces.py'
    options = {
        'model.encoder.backbone.base_channels': 4,
        'model.decoder.base_channels': 4,
        'model.discriminator.base_channels': 4,
        'train_dataloader.dataset.num_samples': 30,
    }
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(options)
    init_default_scope('mmfer')
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'x.pth')
    call(
        monkeypatch,
        load_tool('analysis_tools/gan_samples.py'),
        config,
        tmp_path / 'x.pth',
        '--rows',
        3,
        '--scale',
        1,
        '--out',
        tmp_path / 'new/x.jpg',
        '--cfg-options',
        *(f'{key}={value}' for key, value in options.items()),
    )
    # Images of 32 pixels, gaps of 2 around and between, and words.
    for name, rows in (('x', 3), ('x_va', 7)):
        height, width = cv2.imread(str(tmp_path / f'new/{name}.jpg')).shape[:2]
        with open(tmp_path / f'new/{name}.jpg', 'rb') as file:
            assert file.read(2) == b'\xff\xd8'
        assert rows * 34 + 2 < height < rows * 34 + 2 + 120
        assert 7 * 34 + 2 < width < 7 * 34 + 2 + 120
    classifier = f'{CONFIGS}/ce/ce_r18_synthfaces.py'
    model = MODELS.build(
        dict(
            Config.fromfile(classifier).model,
            data_preprocessor=Config.fromfile(classifier).data_preprocessor,
        )
    )
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'y.pth')
    with pytest.raises(ValueError, match='is not a joint-distribution GAN'):
        call(
            monkeypatch,
            load_tool('analysis_tools/gan_samples.py'),
            classifier,
            tmp_path / 'y.pth',
        )
