"""Score tables are made with the weights that checkpoints contain."""

import csv
import json

import numpy as np
import pytest
import torch
from helpers import tiny_config, train
from mmengine.dataset import default_collate
from mmengine.device import get_device

from mmfer.engine.scoring import saved_weights
from mmfer.registry import MODELS


@pytest.mark.parametrize('ema', ['EMAHook', 'mmengine.EMAHook'])
def test_scores_are_those_of_the_checkpoint(ema, tmp_path):
    """``noise_score`` is one minus the given label's probability by them."""
    cfg = tiny_config(
        tmp_path,
        'ce/ce_r18_synthfaces',
        custom_hooks=[dict(type=ema, momentum=0.1)],
        train_cfg__max_epochs=1,
        train_dataloader__dataset__num_samples=64,
        val_dataloader__dataset__num_samples=14,
        default_hooks__sample_scores__interval=1,
    )
    runner = train(cfg)
    with open(tmp_path / 'sample_scores.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    saved = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    model.to(get_device()).eval()
    model.load_state_dict(saved['state_dict'])
    dataset = runner.train_dataloader.dataset
    dataset.pipeline = runner.val_dataloader.dataset.pipeline
    with torch.no_grad():
        scores = torch.stack(
            [
                s.pred_score
                for s in model.val_step(
                    default_collate([dataset[i] for i in range(len(dataset))])
                )
            ]
        )
    labels = np.array([int(row['given_label']) for row in rows])
    scores = scores.cpu()
    given = scores.numpy()[np.arange(len(rows)), labels]
    # A GPU multiplies in TF32, and differently for another batch size. The
    # weights that are not saved differ ten times as much.
    np.testing.assert_allclose(
        [float(row['noise_score']) for row in rows],
        1 - given,
        atol=2e-6 if get_device() == 'cpu' else 1e-3,
    )
    (entry,) = json.loads((tmp_path / 'history.json').read_text())
    assert entry['training']['training/given_accuracy'] == pytest.approx(
        100 * np.mean(scores.numpy().argmax(axis=1) == labels)
    )
    # The training itself continued with its own weights.
    for name, value in runner.model.named_parameters():
        average = saved['ema_state_dict'][f'module.{name}']
        assert torch.equal(value.cpu(), average.cpu())
    # They are restored after an error, too.
    weight = runner.model.head.fc.weight
    before = weight.clone()
    with pytest.raises(KeyError), saved_weights(runner):
        assert not torch.equal(weight, before)
        raise KeyError
    assert torch.equal(weight, before)
