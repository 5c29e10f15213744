"""The examples of docs/extending.md do what the page says."""

import csv
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT, tiny_config, train
from mmengine.config import Config
from PIL import Image

from mmfer.datasets import SyntheticFaces
from mmfer.datasets.batches import fer_collate

EXAMPLE = Path(ROOT) / 'projects/example'
CONFIG = '../projects/example/bootstrapping_r18_synthfaces_noise30'


@pytest.fixture
def example(monkeypatch):
    """Module of the example, imported as its config does."""
    monkeypatch.syspath_prepend(ROOT)
    from projects.example import bootstrapping

    return bootstrapping


def test_is_short():
    assert len((EXAMPLE / 'bootstrapping.py').read_text().splitlines()) < 60


def test_loss_is_that_of_a_loop(example):
    logits = torch.randn(5, 3, dtype=torch.float64)
    labels = torch.tensor([0, 2, 1, 1, 0])
    expected = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        total = sum(math.exp(x) for x in row)
        for k, x in enumerate(row):
            q = math.exp(x) / total
            expected -= (0.8 * (k == label) + 0.2 * q) * math.log(q) / 5
    loss = example.bootstrapping_loss(logits, labels, beta=0.8)
    assert loss.item() == pytest.approx(expected, abs=1e-12)


def test_trains(example, tmp_path):
    cfg = tiny_config(tmp_path, CONFIG, train_cfg__max_epochs=1)
    runner = train(cfg)
    assert type(runner.model.head) is example.BootstrappingHead
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert {'accuracy/top1', 'rejection/uncertainty_10'} <= set(summary['metrics'])
    with open(tmp_path / 'sample_scores.csv') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 96 and all(0 <= float(r['noise_score']) <= 1 for r in rows)


@pytest.fixture(scope='module')
def page():
    """What the Python blocks of the page define, by name."""
    text = (Path(ROOT) / 'docs/extending.md').read_text()
    names: dict = {}
    for block in re.findall(r'^```python\n(.*?)^```', text, re.MULTILINE | re.DOTALL):
        if '--8<--' not in block:
            exec(block, names)
    return names


def test_one_equation(page, tmp_path, monkeypatch):
    """The two files that the page shows train, and the new rule is in use."""
    text = (Path(ROOT) / 'docs/extending.md').read_text()
    part = text.partition('## Change one equation')[2]
    module, config = re.findall(r'^```python\n(.*?)^```', part, re.M | re.S)[:2]
    # The page has registered the class already.
    (tmp_path / 'precision_alum.py').write_text('')
    assert 'PrecisionALUMHead(ALUMHead)' in module
    (tmp_path / 'own.py').write_text(config)
    monkeypatch.syspath_prepend(tmp_path)
    cfg = tiny_config(
        tmp_path / 'run', train_cfg__max_epochs=1, model__head__type='CEHead'
    )
    own = Config.fromfile(tmp_path / 'own.py')
    # The small data of the one, the model of the other.
    cfg.model = own.model
    head = train(cfg).model.head
    assert type(head) is page['PrecisionALUMHead']
    log_var = torch.tensor([0.0, 1.0])[:, None, None]
    weights = head.mixing_weights(log_var).flatten().tolist()
    e = math.e
    assert weights == pytest.approx([e / (1 + e), 1 / (1 + e)], abs=1e-6)


def test_noise_score(page, tmp_path):
    cfg = tiny_config(
        tmp_path,
        'ce/ce_r18_synthfaces',
        model__head__type='GapHead',
        train_cfg__max_epochs=1,
    )
    assert type(train(cfg).model.head) is page['GapHead']
    with open(tmp_path / 'sample_scores.csv') as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        score = 1 - math.exp(-float(row['gap']))
        assert float(row['noise_score']) == pytest.approx(score, abs=1e-5)
    assert {row['decision'] for row in rows} <= {'keep', 'relabel'}


def test_value_for_each_sample(page, tmp_path):
    cfg = tiny_config(
        tmp_path,
        'ce/ce_r18_synthfaces',
        model__head__type='AverageHead',
        train_cfg__max_epochs=2,
    )
    head = train(cfg).model.head
    assert type(head) is page['AverageHead']
    # Two epochs of predictions that sum to one.
    average = head.table('average')
    assert average.sum(dim=1).numpy() == pytest.approx(1 - 0.7**2, abs=1e-5)
    with open(tmp_path / 'sample_scores.csv') as file:
        for row in csv.DictReader(file):
            given = float(average[int(row['sample_id']), int(row['given_label'])])
            assert float(row['noise_score']) == pytest.approx(1 - given, abs=1e-5)


def test_data_set(page, tmp_path):
    for name in ('a', 'b'):
        Image.fromarray(np.full((8, 8), 100, np.uint8)).save(tmp_path / f'{name}.png')
    (tmp_path / 'list.txt').write_text('a.png 1\nb.png 0\n')
    dataset = page['TwoMoods'](data_root=str(tmp_path), ann_file='list.txt')
    assert len(dataset) == 2 and dataset.CLASSES == ('calm', 'glad')
    assert [dataset.get_data_info(i)['gt_label'] for i in range(2)] == [1, 0]


def test_noise(page):
    given = np.arange(100) % 5
    noise = page['AttractorNoise'](rate=0.5, target=2, seed=1)
    noisy = noise(given, 5)
    # Half of all labels, of which a fifth had this class before.
    assert 35 <= (noisy != given).sum() <= 45
    assert (noisy[noisy != given] == 2).all()
    assert (noise(given, 5) == noisy).all()
    assert noise.manifest(given, noisy)['parameters'] == dict(rate=0.5, target=2)


def test_random_step(page):
    """The step inverts half of the images, in whole batches."""
    load, pack = (
        dict(type='LoadFERImage', color_type='grayscale'),
        dict(type='PackFERInputs'),
    )
    batches = []
    for steps in ([load, pack], [load, dict(type='RandomInvert'), pack]):
        dataset = SyntheticFaces(num_samples=40, size=16, pipeline=steps)
        dataset.set_random_state(0, 0)
        assert dataset.slow_reason is None
        batches.append(fer_collate(dataset.__getitems__(range(40)))['inputs'])
    images, found = batches[0], batches[1].apply()
    same, inverted = (
        (found == wanted).flatten(1).all(dim=1) for wanted in (images, 255 - images)
    )
    assert (same ^ inverted).all()
    assert 8 < inverted.sum() < 32
