"""Whole trainings of the joint-distribution GAN, which take seconds."""

import csv
import itertools
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from helpers import (
    CONFIGS,
    DETERMINISTIC,
    ROOT,
    Stop,
    StopAt,
    assert_same_state,
    environment,
    results,
    train,
)
from mmengine.config import Config
from mmengine.hooks import Hook

from mmfer.methods.gaave.cleaning import Cleaning
from mmfer.methods.jointgan import JointGAN
from mmfer.methods.jointgan.samples import recompute_bn_stats, sample_grids
from mmfer.registry import MODELS

_COUNTER = itertools.count()
NAME = 'jointgan/jointgan_vgg16_synthfaces_noise30'


def tiny(work_dir, name=NAME, **options):
    cfg = Config.fromfile(f'{CONFIGS}/{name}.py')
    encoder = 'model.encoder' if 'encoder' in cfg.model else 'model'
    settings = {
        'work_dir': str(work_dir),
        'experiment_name': f'test_jointgan_{next(_COUNTER)}',
        f'{encoder}.backbone.base_channels': 4,
        f'{encoder}.head.hidden_dim': 16,
        'train_dataloader.dataset.num_samples': 64,
        'train_dataloader.batch_size': 16,
        'val_dataloader.dataset.num_samples': 50,
        'train_cfg.max_epochs': 3,
        'optim_wrapper.dtype': 'float32',
        'optim_wrapper.optimizer.lr': 1e-3,
        'randomness.deterministic': DETERMINISTIC,
    }
    if 'encoder' in cfg.model:
        settings.update(
            {
                'model.decoder.base_channels': 4,
                'model.discriminator.base_channels': 4,
                'model.latent_dim': 5,
                'train_cfg.warmup_epochs': 1,
            }
        )
    cfg.merge_from_dict(settings)
    for loader in ('train_dataloader', 'val_dataloader'):
        cfg[loader].collate_fn = dict(type='default_collate')
    cfg.merge_from_dict(
        {key.replace('__', '.'): value for key, value in options.items()}
    )
    cfg.test_dataloader = cfg.val_dataloader
    return cfg


def optimizer_states(runner):
    return {
        f'{name}.{index}.{key}': torch.as_tensor(value)
        for name, wrapper in runner.optim_wrapper.items()
        for index, entry in wrapper.optimizer.state_dict()['state'].items()
        for key, value in entry.items()
    }


@pytest.mark.parametrize(
    'point, epoch',
    [('before_train_epoch', 1), ('before_train_epoch', 2), ('before_val_epoch', 2)],
)
def test_resume_is_identical(tmp_path, point, epoch):
    """Both optimizers and the vectors of spectral norms included."""
    whole = train(tiny(tmp_path / 'whole'))
    with pytest.raises(Stop):
        train(tiny(tmp_path / 'parts'), StopAt(point, epoch))
    resumed = train(tiny(tmp_path / 'parts', resume=True))
    state = whole.model.state_dict()
    assert any(name.endswith('._u') for name in state)
    assert_same_state(state, resumed.model.state_dict())
    assert_same_state(optimizer_states(whole), optimizer_states(resumed))
    assert results(tmp_path / 'whole') == results(tmp_path / 'parts')


class Phases(Hook):
    """What was updated in each epoch."""

    def __init__(self):
        self.seen = []

    def before_train_epoch(self, runner):
        self.before = {k: v.clone() for k, v in runner.model.named_parameters()}

    def after_train_epoch(self, runner):
        self.seen.append(
            {
                name.split('.')[0]
                for name, value in runner.model.named_parameters()
                if not torch.equal(value, self.before[name])
            }
        )


@pytest.mark.parametrize('warmup', [0, 2])
def test_phases(tmp_path, warmup):
    phases = Phases()
    train(tiny(tmp_path, train_cfg__warmup_epochs=warmup), phases)
    everyone = {'encoder', 'decoder', 'discriminator'}
    assert phases.seen == [{'encoder'}] * warmup + [everyone] * (3 - warmup)
    history = json.loads((tmp_path / 'history.json').read_text())
    for entry in history:
        played = entry['epoch'] > warmup
        assert ('d_joint' in entry.get('figures', {})) == played
        assert set(entry['losses']) == {'loss_ce', 'loss_va'}
        assert {'va/ccc', 'va/mse_valence', 'accuracy/top1'} <= set(entry['metrics'])


def test_warmup_without_end(tmp_path):
    with pytest.raises(ValueError, match='warmup_epochs=3 leaves'):
        train(tiny(tmp_path, train_cfg__warmup_epochs=3))


def test_loop_is_for_the_game(tmp_path):
    cfg = tiny(tmp_path, 'ce/ce_vgg16_synthfaces')
    cfg.train_cfg = dict(type='JointGANTrainLoop', max_epochs=2)
    with pytest.raises(TypeError, match='FERClassifier'):
        train(cfg)


@pytest.mark.parametrize(
    'weights', [{}, dict(joint=0), dict(image=0, latent=0, labels=0)]
)
@pytest.mark.parametrize(
    'd_loss, d_joint, told', [(0.01, 0.01, True), (0.2, 0.2, False), (0.2, 0.01, True)]
)
def test_collapse_is_told(tmp_path, monkeypatch, weights, d_loss, d_joint, told):
    """Of the scores that play; the others add a constant 2 each."""
    if weights.get('joint') == 0:
        told = d_loss == 0.01

    def step(self, real, generated, optim_wrapper):
        parts = torch.full_like(self.score_weights, d_loss)
        parts[-1] = d_joint
        parts = torch.where(self.score_weights == 0, 2.0, parts)
        return dict(d_loss=parts.mean(), d_joint=parts[-1])

    monkeypatch.setattr(JointGAN, 'step_discriminator', step)
    train(tiny(tmp_path, model__score_weights=weights, custom_hooks=[]))
    (log,) = tmp_path.glob('*/*.log')
    warnings = log.read_text().count('tells all tuples apart')
    assert warnings == told
    assert not told or 'discriminator_steps' in log.read_text()


class NoValues(Hook):
    """Nobody has valence and arousal."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        for sample in data_batch['data_samples']:
            sample.gt_va = np.full(2, np.nan, np.float32)


def test_no_game_is_told(tmp_path):
    with pytest.raises(ValueError, match='there was no game'):
        train(tiny(tmp_path), NoValues())


def test_one_optimizer_is_refused(tmp_path):
    cfg = tiny(tmp_path)
    del cfg.optim_wrapper.constructor
    del cfg.optim_wrapper.discriminator
    with pytest.raises(TypeError, match='JointGANOptimWrapperConstructor'):
        train(cfg)


def test_values_alone(tmp_path):
    """A summary, but no table of labels; no class is asked for."""
    cfg = tiny(tmp_path, train_cfg__max_epochs=2)
    cfg.model.encoder.head.label_sets = ['va']
    cfg.val_evaluator = cfg.test_evaluator = [dict(type='ValenceArousal')]
    train(cfg)
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert set(summary['metrics']) == {
        f'va/{m}{d}' for m in ('ccc', 'mse') for d in ('', '_valence', '_arousal')
    }
    assert summary['metrics']['va/mse']['best'] == min(
        e['metrics']['va/mse']
        for e in json.loads((tmp_path / 'history.json').read_text())
    )
    assert not (tmp_path / 'sample_scores.csv').exists()
    assert (tmp_path / 'pictures/va_epoch_2.png').exists()
    assert not (tmp_path / 'pictures/epoch_2.png').exists()


def test_wrapped_data_set(tmp_path):
    cfg = tiny(tmp_path, train_cfg__max_epochs=2)
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=cfg.train_dataloader.dataset
    )
    train(cfg)
    assert (tmp_path / 'pictures/epoch_2.png').exists()


def test_cleaned_before(tmp_path, monkeypatch):
    """GAAVE's models have the encoder's backbone and one optimizer."""
    seen = []

    def attack(self, model, view):
        seen.append(model.backbone)
        return view.sample_ids, view.sample_ids % 10, np.ones(len(view))

    monkeypatch.setattr(Cleaning, 'attack_all', attack)
    cfg = tiny(tmp_path, train_cfg__max_epochs=2)
    cfg.custom_hooks = [
        dict(type='GAAVEHook', tau=0, fit='full', split=False, annotate=False)
    ]
    runner = train(cfg)
    assert [type(backbone).__name__ for backbone in seen] == ['PlainVGG16']
    assert len(runner.train_dataloader.dataset) == 57


def test_pictures_change_nothing(tmp_path):
    hooks = [dict(type='JointGANPicturesHook', interval=2, rows=3)]
    with_pictures = train(tiny(tmp_path / 'a', custom_hooks=hooks))
    without = train(tiny(tmp_path / 'b', custom_hooks=[]))
    assert_same_state(with_pictures.model.state_dict(), without.model.state_dict())
    folder = tmp_path / 'a/pictures'
    assert {p.name for p in folder.iterdir()} == {
        'epoch_2.png',
        'epoch_3.png',
        'va_epoch_2.png',
        'va_epoch_3.png',
        'scores.png',
    }
    # Two pixels for each of the grid, and words around.
    height, width = cv2.imread(str(folder / 'epoch_3.png')).shape[:2]
    assert 2 * (3 * 34 + 2) < height < 2 * (3 * 34 + 2) + 80
    assert 2 * (7 * 34 + 2) < width < 2 * (7 * 34 + 2) + 80
    # The first face of the second row is what the decoder makes of it.
    model = without.model.eval().cpu()
    dataset = without.train_dataloader.dataset
    grid = sample_grids(model, dataset, rows=3)['classes'][..., 0]
    assert grid.shape == (3 * 34 + 2, 7 * 34 + 2)
    latent = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    labels = np.array([i['gt_label'] for i in infos])
    values = np.stack([i['gt_va'] for i in infos])
    va = values[labels == 0].mean(0)
    image = model.generate(
        latent[1:2],
        (torch.tensor([0]), torch.tensor(va)[None].float()),
        recompute_bn_stats(model, labels, values, 0),
    )
    expected = (127.5 * (image[0, 0] + 1)).round().numpy()
    assert np.abs(grid[36:68, 2:34] - expected).max() <= 1


def test_average_of_weights_resumes(tmp_path):
    """mmengine's EMAHook goes with the game."""
    hooks = [dict(type='EMAHook', momentum=0.5)]
    train(tiny(tmp_path / 'whole', custom_hooks=hooks))
    with pytest.raises(Stop):
        train(
            tiny(tmp_path / 'parts', custom_hooks=hooks),
            StopAt('before_train_epoch', 2),
        )
    train(tiny(tmp_path / 'parts', custom_hooks=hooks, resume=True))
    whole, parts = (
        torch.load(tmp_path / name / 'epoch_3.pth') for name in ('whole', 'parts')
    )
    for key in ('state_dict', 'ema_state_dict'):
        assert_same_state(whole[key], parts[key])
    name = 'encoder.head.labels.weight'
    # mmengine moves one of them to the CPU.
    assert not torch.equal(
        whole['state_dict'][name].cpu(), whole['ema_state_dict'][f'module.{name}'].cpu()
    )
    assert results(tmp_path / 'whole') == results(tmp_path / 'parts')


def test_nan_is_told(tmp_path):
    cfg = tiny(tmp_path, optim_wrapper__optimizer__lr=1e30)
    with pytest.raises(FloatingPointError, match='the loss is'):
        train(cfg)


def test_any_backbone(tmp_path):
    """The encoder's, by one override."""
    cfg = tiny(tmp_path, train_cfg__max_epochs=2)
    # With fewer than 8 channels, channels last, oneDNN writes beyond the end
    # of its memory in strided 1 x 1 convolutions (torch 2.14, AVX2).
    cfg.model.encoder.backbone = dict(
        type='ResNetSmallStem', depth=18, stem_channels=8, base_channels=8
    )
    cfg.model.encoder.head.pool = True
    before = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    after = train(cfg).model.encoder.state_dict()
    assert after.keys() == before.encoder.state_dict().keys()
    assert 'backbone.layer4.1.conv2.weight' in after
    history = json.loads((tmp_path / 'history.json').read_text())
    assert 'g_joint' in history[-1]['figures']


def test_exported_encoder_tests_like_the_model(tmp_path):
    runner = train(tiny(tmp_path / 'gan', train_cfg__max_epochs=2))
    expected = runner.val_loop.run()
    target = tmp_path / 'encoder.pth'
    tiny(tmp_path / 'test', 'ce/ce_vgg16_synthfaces').dump(tmp_path / 'ce.py')
    for command in (
        [
            'tools/model_converters/export_network.py',
            tmp_path / 'gan/epoch_2.pth',
            target,
            '--network',
            'encoder',
        ],
        [
            'tools/test.py',
            tmp_path / 'ce.py',
            target,
            '--work-dir',
            tmp_path / 'test',
            '--out',
            tmp_path / 'metrics.json',
            '--out-item',
            'metrics',
        ],
    ):
        done = subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]
    tested = json.loads((tmp_path / 'metrics.json').read_text())
    for name in ('accuracy/top1', 'va/ccc', 'va/mse_arousal'):
        assert tested[name] == pytest.approx(expected[name], abs=1e-5)


def test_two_processes(tmp_path):
    """Train, stay together, score every sample, resume."""
    cfg = tiny(
        tmp_path,
        default_hooks__checkpoint__max_keep_ckpts=-1,
        train_dataloader__dataset__num_samples=63,
    )
    cfg.custom_hooks = [dict(type='EMAHook', momentum=0.5)]
    path = str(tmp_path / 'gan.py')
    cfg.dump(path)

    def launch(work_dir, *arguments):
        done = subprocess.run(
            [
                sys.executable,
                '-m',
                'torch.distributed.run',
                '--standalone',
                '--nproc-per-node=2',
                f'{ROOT}/tools/train.py',
                path,
                '--launcher=pytorch',
                f'--work-dir={work_dir}',
                *arguments,
            ],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment(CUDA_VISIBLE_DEVICES=''),
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return torch.load(work_dir / 'epoch_3.pth')

    whole = launch(tmp_path / 'whole')
    resumed = launch(tmp_path / 'resumed', f'--resume={tmp_path}/whole/epoch_2.pth')
    for key in ('state_dict', 'ema_state_dict'):
        assert_same_state(whole[key], resumed[key])
    rows = list(
        csv.DictReader((tmp_path / 'whole/sample_scores.csv').read_text().splitlines())
    )
    assert [int(row['sample_id']) for row in rows] == list(range(63))
    # A checkpoint of one process is one of two.
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    model.load_state_dict(whole['state_dict'])
