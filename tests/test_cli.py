"""The tools as a user runs them."""

import json
import os
import signal
import subprocess
import sys
import time

import mmengine
import pytest
import torch
from helpers import DETERMINISTIC, ROOT
from mmengine.config import Config
from mmpretrain import get_model

from mmfer.registry import DATASETS

SMALL = [
    'model.backbone.stem_channels=8',
    'model.backbone.base_channels=8',
    'train_dataloader.dataset.num_samples=96',
    'train_dataloader.batch_size=32',
    'val_dataloader.dataset.num_samples=50',
    'test_dataloader.dataset.num_samples=50',
    'train_cfg.max_epochs=2',
    'optim_wrapper.dtype=float32',
    f'randomness.deterministic={DETERMINISTIC}',
]
CONFIG = 'configs/alum/alum_r18_synthfaces_noise30.py'


def run(*args, check=True, **kwargs):
    result = subprocess.run(
        [sys.executable, *map(str, args)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        **kwargs,
    )
    if check:
        assert result.returncode == 0, result.stderr[-3000:]
    return result


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('cli')
    result = run(
        'tools/train.py', CONFIG, '--work-dir', work_dir, '--cfg-options', *SMALL
    )
    return work_dir, result.stdout + result.stderr


def test_train_prints_progress_and_table(trained):
    work_dir, output = trained
    assert 'eta:' in output
    table = output[output.rindex('alum_r18_synthfaces_noise30: 2 epochs') :]
    for text in (
        'last-5 mean',
        'best',
        'accuracy',
        'mean-class accuracy',
        '    0 %',
        '   10 %',
        '   20 %',
        '   30 %',
        'summary.json',
        'sample_scores.csv',
        str(work_dir),
    ):
        assert text in table, text


def test_test_agrees_with_training(trained, tmp_path):
    work_dir, _ = trained
    run(
        'tools/test.py',
        CONFIG,
        work_dir / 'epoch_2.pth',
        '--work-dir',
        tmp_path,
        '--out',
        tmp_path / 'metrics.json',
        '--out-item',
        'metrics',
        '--cfg-options',
        *SMALL,
    )
    tested = json.loads((tmp_path / 'metrics.json').read_text())
    summary = json.loads((work_dir / 'summary.json').read_text())
    for name, value in summary['metrics'].items():
        assert tested[name] == pytest.approx(value['last']), name


def test_tta_averages_an_image_and_its_mirror(trained, tmp_path):
    """Compare with the model, run on both images directly."""
    work_dir, _ = trained
    run(
        'tools/test.py',
        CONFIG,
        work_dir / 'epoch_2.pth',
        '--work-dir',
        tmp_path,
        '--tta',
        '--out',
        tmp_path / 'pred.pkl',
        '--cfg-options',
        *SMALL,
    )
    predictions = mmengine.load(tmp_path / 'pred.pkl')
    cfg = Config.fromfile(next(work_dir.glob('*.py')))
    model = get_model(cfg, pretrained=str(work_dir / 'epoch_2.pth')).eval()
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    assert len(predictions) == len(dataset) == 50
    for index in (0, 20, 49):
        image = dataset[index]['inputs'][None]
        with torch.no_grad():
            views = [
                model.test_step(dict(inputs=view))[0]
                for view in (image, image.flip(-1))
            ]
        for name in ('pred_score', 'uncertainty'):
            mean = (views[0].get(name) + views[1].get(name)) / 2
            assert torch.allclose(predictions[index][name], mean, rtol=1e-3)
        assert (
            predictions[index]['pred_label']
            == predictions[index]['pred_score'].argmax()
        )


def test_foreign_checkpoint_needs_trust(trained, tmp_path):
    work_dir, _ = trained
    foreign = tmp_path / 'foreign.pth'
    checkpoint = torch.load(work_dir / 'epoch_2.pth', weights_only=True)
    checkpoint['meta']['object'] = pytest.approx(1)
    torch.save(checkpoint, foreign)
    args = [
        'tools/test.py',
        CONFIG,
        foreign,
        '--work-dir',
        tmp_path,
        '--cfg-options',
        *SMALL,
    ]
    result = run(*args, check=False)
    assert result.returncode != 0
    assert '--trust-checkpoint' in result.stderr
    assert 'Traceback' not in result.stderr
    run(*args, '--trust-checkpoint')


def test_unknown_config():
    result = run('tools/train.py', 'configs/alum/none.py', check=False)
    assert result.returncode != 0
    assert 'configs/<method>/' in result.stderr
    assert 'Traceback' not in result.stderr


@pytest.mark.parametrize(
    'config, texts',
    [
        ('configs/ce/ce_r18_rafdb.py', ('EmoLabel', 'RAF-DB', 'synthfaces')),
        ('configs/ce/ce_r18_ferplus.py', ('fer2013new.csv', 'FERPlus', 'synthfaces')),
    ],
)
def test_missing_data(config, texts, tmp_path):
    result = run(
        'tools/train.py',
        config,
        '--work-dir',
        tmp_path,
        '--cfg-options',
        'model.backbone.init_cfg=None',
        f'train_dataloader.dataset.data_root={tmp_path}/none',
        f'val_dataloader.dataset.data_root={tmp_path}/none',
        check=False,
    )
    message = result.stderr[result.stderr.rindex('Error') :]
    for text in (*texts, f'{tmp_path}/none'):
        assert text in message, text


def test_resume_after_sigkill(tmp_path):
    """A run that is killed at any moment has the same summary when resumed."""
    args = ['tools/train.py', CONFIG, '--cfg-options', *SMALL, 'train_cfg.max_epochs=4']
    run(*args, '--work-dir', tmp_path / 'whole')
    killed = tmp_path / 'killed'
    process = subprocess.Popen(
        [sys.executable, *args, '--work-dir', str(killed)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.time() + 120
    while not (killed / 'last_checkpoint').exists():
        assert time.time() < deadline and process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / 'summary.json').exists()
    run(*args, '--work-dir', killed, '--resume')
    first, second = (
        json.loads((folder / 'summary.json').read_text())
        for folder in (tmp_path / 'whole', killed)
    )
    assert first['metrics'] == second['metrics']
    assert first['noise_auroc'] == second['noise_auroc']
