"""Whole trainings of the joint-distribution GAN, which take seconds."""

import itertools
import json
from types import SimpleNamespace
from unittest import mock

import cv2
import numpy as np
import pytest
import torch
from helpers import (
    CONFIGS,
    DETERMINISTIC,
    STEPS,
    CopyAt,
    assert_same_state,
    call_tool,
    copy_work_dir,
    results,
    train,
)
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MessageHub

from mmfer.methods.gaave.models import SubsetModels
from mmfer.methods.jointgan import JointGAN, JointGANTrainLoop
from mmfer.methods.jointgan.generation import recompute_bn_stats, sample_grids
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


def short(work_dir, name=NAME, **options):
    """One epoch, and all of it is the game."""
    epochs = dict(train_cfg__max_epochs=1, train_cfg__warmup_epochs=0)
    return tiny(work_dir, name, **dict(epochs, **options))


def optimizer_states(runner):
    return {
        f'{name}.{index}.{key}': torch.as_tensor(value)
        for name, wrapper in runner.optim_wrapper.items()
        for index, entry in wrapper.optimizer.state_dict()['state'].items()
        for key, value in entry.items()
    }


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


EVERYONE = {'encoder', 'decoder', 'discriminator'}
KILLED = [('before_train_epoch', 1), ('before_train_epoch', 2), ('before_val_epoch', 2)]
PICTURES = dict(type='JointGANPicturesHook', interval=2, rows=3)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """A run with pictures, its phases, and its work dir at all kill points."""
    folder = tmp_path_factory.mktemp('gan')
    phases = Phases()
    copies = [
        CopyAt(point, epoch, folder / f'{point}_{epoch}') for point, epoch in KILLED
    ]
    # The copies are made after checkpoint and history are written.
    runner = train(tiny(folder / 'whole', custom_hooks=[PICTURES]), phases, *copies)
    return folder, runner, phases


@pytest.mark.parametrize('point, epoch', KILLED)
def test_resume_is_identical(whole, tmp_path, point, epoch):
    """Both optimizers and the vectors of spectral norms are resumed, too."""
    folder, runner, _ = whole
    copy_work_dir(folder / f'{point}_{epoch}', tmp_path)
    phases = Phases()
    resumed = train(tiny(tmp_path, custom_hooks=[PICTURES], resume=True), phases)
    assert phases.seen == [EVERYONE] * (3 - epoch)
    state = runner.model.state_dict()
    assert any(name.endswith('._u') for name in state)
    assert_same_state(state, resumed.model.state_dict())
    assert_same_state(optimizer_states(runner), optimizer_states(resumed))
    assert results(folder / 'whole') == results(tmp_path)


class StopInGame(Hook):
    """Stop the training after an iteration, as a kill does."""

    priority = 'LOWEST'

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == 11:
            raise KeyboardInterrupt


def test_resume_inside_an_epoch(whole, tmp_path):
    """The third of four batches of the last epoch; the game's figures, too."""
    folder, runner, _ = whole
    options = dict(custom_hooks=[PICTURES], default_hooks__checkpoint__save_iters=5)
    with pytest.raises(KeyboardInterrupt):
        train(tiny(tmp_path, **options), StopInGame())
    assert (tmp_path / 'iter_10.pth').exists()
    resumed = train(tiny(tmp_path, resume=True, **options))
    assert resumed.model.game_steps == runner.model.game_steps == 4
    assert_same_state(runner.model.state_dict(), resumed.model.state_dict())
    assert_same_state(optimizer_states(runner), optimizer_states(resumed))
    assert results(folder / 'whole') == results(tmp_path)


def test_phases(whole):
    folder, _, phases = whole
    assert phases.seen == [{'encoder'}, EVERYONE, EVERYONE]
    history = json.loads((folder / 'whole/history.json').read_text())
    assert len(history) == 3
    for entry in history:
        played = entry['epoch'] > 1
        assert ('d_joint' in entry.get('figures', {})) == played
        assert set(entry['losses']) == {'loss_ce', 'loss_va'}
        assert {'va/ccc', 'va/mse_valence', 'accuracy/top1'} <= set(entry['metrics'])


def test_no_warmup(tmp_path):
    phases = Phases()
    train(short(tmp_path, custom_hooks=[]), phases)
    assert phases.seen == [EVERYONE]


def test_warmup_without_end(tmp_path):
    with pytest.raises(ValueError, match='warmup_epochs=3 leaves'):
        train(tiny(tmp_path, train_cfg__warmup_epochs=3))


def test_loop_is_for_the_game(tmp_path):
    cfg = tiny(tmp_path, 'ce/ce_vgg16_synthfaces')
    cfg.train_cfg = dict(type='JointGANTrainLoop', max_epochs=2)
    with pytest.raises(TypeError, match='FERClassifier'):
        train(cfg)


def fake_step(d_loss, d_joint):
    """Losses of a discriminator; scores with factor 0 add a constant 2."""

    def step(self, real, generated, optim_wrapper, complete=None):
        parts = torch.full_like(self.score_weights, d_loss)
        parts[-1] = d_joint
        parts = torch.where(self.score_weights == 0, 2.0, parts)
        return dict(d_loss=parts.mean(), d_joint=parts[-1])

    return step


def test_collapse_is_told_in_a_training(tmp_path, monkeypatch):
    monkeypatch.setattr(JointGAN, 'step_discriminator', fake_step(0.01, 0.01))
    train(tiny(tmp_path, custom_hooks=[]))
    (log,) = tmp_path.glob('*/*.log')
    (text,) = [
        x for x in log.read_text().splitlines() if 'distinguishes all tuples' in x
    ]
    assert 'WARNING' in text and 'discriminator_steps' in text


@pytest.mark.parametrize(
    'weights', [{}, dict(joint=0), dict(image=0, latent=0, labels=0)]
)
@pytest.mark.parametrize('d_loss, d_joint', [(0.01, 0.01), (0.2, 0.2), (0.2, 0.01)])
def test_collapse_is_told(weights, d_loss, d_joint):
    """A warning of all scores, a note of the joint one; once, after two epochs."""
    # Scores with factor 0 do not count.
    all_low = d_joint < 0.05 if weights.get('image') == 0 else d_loss < 0.05
    joint_low = d_joint < 0.05 and weights.get('joint') != 0
    names = ['image', 'latent', 'labels', 'labels', 'joint']
    model = SimpleNamespace(
        game_steps=4,
        score_weights=torch.tensor([float(weights.get(name, 1)) for name in names]),
    )
    hub = MessageHub(f'test_collapse_{next(_COUNTER)}')
    logger = mock.Mock()
    # A loop without the data and the training of one.
    loop = JointGANTrainLoop.__new__(JointGANTrainLoop)
    loop._runner = SimpleNamespace(model=model, message_hub=hub, logger=logger)
    loop.collapse_loss, loop._collapsed, loop._joint_collapsed = 0.05, 0, 0
    warnings, notes = [], []
    for epoch in range(1, 5):
        loop._epoch = epoch
        step = fake_step(1.0, 1.0) if epoch == 2 else fake_step(d_loss, d_joint)
        losses = step(model, None, None, None)
        for _ in range(4):
            hub.update_scalars({f'train/{name}': x for name, x in losses.items()})
        loop._check_game()
        warnings.append(logger.warning.call_count)
        notes.append(logger.info.call_count)
    # The second epoch is between.
    assert warnings == [0, 0, 0, int(all_low)]
    assert notes == [0, 0, 0, int(joint_low and not all_low)]
    for call in logger.info.call_args_list:
        assert '(d_loss) was 0.162' in call.args[0]
        assert '(d_joint) was 0.01' in call.args[0]


class NoValues(Hook):
    """Nobody has valence and arousal."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        for sample in data_batch['data_samples']:
            sample.gt_va = np.full(2, np.nan, np.float32)


def test_no_game_is_told(tmp_path):
    with pytest.raises(ValueError, match='there was no game'):
        train(short(tmp_path), NoValues())


def test_one_optimizer_is_refused(tmp_path):
    cfg = short(tmp_path)
    del cfg.optim_wrapper.constructor
    del cfg.optim_wrapper.discriminator
    with pytest.raises(TypeError, match='JointGANOptimWrapperConstructor'):
        train(cfg)


def test_values_alone(tmp_path):
    """A summary, but no table of labels; no class is asked for."""
    cfg = short(tmp_path)
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
    assert (tmp_path / 'pictures/va_epoch_1.png').exists()
    assert not (tmp_path / 'pictures/epoch_1.png').exists()


def test_wrapped_data_set(tmp_path):
    cfg = short(tmp_path, train_dataloader__dataset__num_samples=32)
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=cfg.train_dataloader.dataset
    )
    train(cfg)
    assert (tmp_path / 'pictures/epoch_1.png').exists()


def test_cleaned_before(tmp_path, monkeypatch):
    """GAAVE's models have the encoder's backbone and one optimizer."""
    seen = []

    def attack(self, model, view):
        seen.append(model.backbone)
        return view.sample_ids, view.sample_ids % 10, np.ones(len(view))

    monkeypatch.setattr(SubsetModels, 'attack_view', attack)
    cfg = short(tmp_path)
    cfg.custom_hooks = [
        {
            **STEPS,
            'type': 'GAAVEHook',
            'tau': 0,
            'fit': 'full',
            'split': False,
            'annotate': False,
        }
    ]
    runner = train(cfg)
    assert [type(backbone).__name__ for backbone in seen] == ['PlainVGG16']
    assert len(runner.train_dataloader.dataset) == 57


def test_pictures_change_nothing(whole, tmp_path):
    folder, with_pictures, _ = whole
    without = train(tiny(tmp_path, custom_hooks=[]))
    assert_same_state(with_pictures.model.state_dict(), without.model.state_dict())
    folder = folder / 'whole/pictures'
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
    options = dict(custom_hooks=hooks, train_cfg__warmup_epochs=0)
    options['train_cfg__max_epochs'] = 2
    train(
        tiny(tmp_path / 'whole', **options),
        CopyAt('before_train_epoch', 1, tmp_path / 'parts'),
    )
    train(tiny(tmp_path / 'parts', resume=True, **options))
    whole, parts = (
        torch.load(tmp_path / name / 'epoch_2.pth') for name in ('whole', 'parts')
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
    cfg = short(tmp_path, optim_wrapper__optimizer__lr=1e30)
    with pytest.raises(FloatingPointError, match='the loss is'):
        train(cfg)


def test_any_backbone(tmp_path):
    """The encoder's, by one override."""
    cfg = short(tmp_path, custom_hooks=[PICTURES])
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


def test_exported_encoder_tests_like_the_model(whole, tmp_path):
    folder, runner, _ = whole
    expected = runner.val_loop.run()
    target = tmp_path / 'encoder.pth'
    tiny(tmp_path / 'test', 'ce/ce_vgg16_synthfaces').dump(tmp_path / 'ce.py')
    checkpoint = folder / 'whole/epoch_3.pth'
    call_tool(
        'model_converters/export_network.py', checkpoint, target, '--network', 'encoder'
    )
    call_tool(
        'test.py',
        tmp_path / 'ce.py',
        target,
        f'--work-dir={tmp_path}/test',
        f'--out={tmp_path}/metrics.json',
        '--out-item=metrics',
    )
    tested = json.loads((tmp_path / 'metrics.json').read_text())
    for name in ('accuracy/top1', 'va/ccc', 'va/mse_arousal'):
        assert tested[name] == pytest.approx(expected[name], abs=1e-5)
