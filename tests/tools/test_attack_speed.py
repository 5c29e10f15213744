"""The benchmark of the attack: both loops agree, and the bound is right."""

import json
import sys

import numpy as np
import pytest
import torch
from helpers import load_tool, tiny_config, train

from mmfer.analysis.benchmarks.attack_speed import loop_costs, plain_steps
from mmfer.methods.gaave.attack import PGD

tool = load_tool('benchmarks/attack_speed.py')


def test_benchmark(tmp_path, monkeypatch, capsys):
    cfg = tiny_config(
        tmp_path,
        'ce/ce_r18_synthfaces_noise30',
        train_dataloader__batch_size=8,
        optim_wrapper__optimizer__lr=5e-3,
    )
    train(cfg)
    path = tmp_path / 'tiny.py'
    cfg.dump(path)
    monkeypatch.setattr(
        sys,
        'argv',
        [
            'attack_speed.py',
            str(path),
            str(tmp_path / 'epoch_3.pth'),
            '--samples',
            '90',
            '--chunks',
            '3',
            '--batch-size',
            '8',
            '--epsilon',
            '.05',
        ],
    )
    capsys.readouterr()
    tool.main()
    found = json.loads(capsys.readouterr().out)
    assert found['differing'] == 0 and found['samples'] == 90
    counts = np.array(found['k'])
    assert counts.sum() == 90 and (counts > 0).sum() > 2
    # Passes of an image: one more than the steps that it survives. The last of nine
    # predictions needs no gradient.
    share = found['forward_share']
    assert 0 < share < 1
    passes = (counts * [1, 2, 3, 4, 5, 6, 7, 8, 8 + share, 8 + share]).sum()
    assert found['bound'] == pytest.approx(90 * (8 + share) / passes, rel=2e-3)
    assert found['bound_of_any_loop'] >= found['bound']
    assert found['share_of_bound'] == pytest.approx(
        found['speedup'] / found['bound'], abs=2e-3
    )
    assert min(found['images_per_second'].values()) > 0


def test_plain_loop_takes_all_steps():
    """k by hand: a step moves the logit difference by step_size."""
    attack = PGD(epsilon=0.4, step_size=0.1)
    images = torch.tensor([0.04, 0.14, 0.27, 0.95]).reshape(4, 1, 1, 1)
    calls = []

    def predict(images):
        calls.append(len(images))
        x = images.flatten(1)
        return torch.cat([x, 0.3 - x], dim=1)

    # Label 1 until x exceeds .15; a step is .1.
    steps = plain_steps(predict, images, torch.tensor([1, 1, 0, 0]), attack)
    assert calls == [4] * 5
    assert steps.tolist() == [2, 1, 2, 5]


def test_costs_by_hand():
    """Two steps; a gradient takes three times as long as a prediction."""
    costs = loop_costs(np.array([0, 1, 2, 3]), steps=2, forward_share=0.25)
    assert costs == dict(
        # Three predictions and two gradients.
        plain=3 * 0.25 + 2 * 0.75,
        # Predictions 1, 2, 3, 3; gradients 1, 2, 2, 2.
        compact=(9 * 0.25 + 7 * 0.75) / 4,
        # The last prediction of an image needs none: 0, 1, 2, 2.
        least=(9 * 0.25 + 5 * 0.75) / 4,
    )


def test_too_few_samples(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['attack_speed.py', 'a', 'b', '--samples', '100'])
    with pytest.raises(SystemExit):
        tool.parse_args()
