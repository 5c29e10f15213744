"""The tools as a user runs them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from helpers import DETERMINISTIC, ROOT, environment, load_tool
from mmengine.config import Config
from mmpretrain import get_model

from mmfer.cli import finish_config, run_training_tool
from mmfer.engine.variants import parse_noise
from mmfer.registry import DATASETS
from mmfer.utils.safe_pickle import read_arrays

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
    # The beginning of the log, which is in the file, is not on the console.
    assert 'Epoch 1/2  loss' in output and 'ETA 0:' in output
    assert 'Epoch 2/2  loss' in output and output.count('\n') <= 25, output
    table = output[output.rindex('alum_r18_synthfaces_noise30: 2 epochs') :]
    for text in (
        'last-2 mean',
        'best',
        'accuracy',
        'mean-class accuracy',
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
        tmp_path / 'pred.npz',
        '--cfg-options',
        *SMALL,
    )
    predictions = read_arrays(str(tmp_path / 'pred.npz'))
    cfg = Config.fromfile(next(work_dir.glob('*.py')))
    model = get_model(cfg, pretrained=str(work_dir / 'epoch_2.pth')).eval()
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    assert len(predictions['gt_label']) == len(dataset) == 50
    for index in (0, 20, 49):
        image = dataset[index]['inputs'][None]
        with torch.no_grad():
            views = [
                model.test_step(dict(inputs=view))[0]
                for view in (image, image.flip(-1))
            ]
        for name in ('pred_score', 'uncertainty'):
            mean = (views[0].get(name) + views[1].get(name)) / 2
            found = torch.tensor(predictions[name][index])
            assert torch.allclose(found, mean, rtol=1e-3)
        assert (
            predictions['pred_label'][index]
            == predictions['pred_score'][index].argmax()
        )


@pytest.mark.parametrize(
    'out, item, better',
    [
        ('pred.pkl', 'pred', '--out pred.npz'),
        ('pred.json', 'pred', '--out pred.npz'),
        ('metrics.pkl', 'metrics', '--out metrics.json'),
    ],
)
def test_results_are_no_pickles(out, item, better):
    """The refusal comes before any image is read."""
    line = ['test.py', CONFIG, 'no.pth', '--out', out, '--out-item', item]
    with mock.patch.object(sys, 'argv', line), pytest.raises(SystemExit) as error:
        run_training_tool(load_tool('test.py').main)
    assert better in str(error.value)
    assert ('run code' in str(error.value)) == out.endswith('.pkl')


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


@pytest.fixture
def tool():
    return load_tool('train.py')


def merged(tool, monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['train.py', *arguments])
    monkeypatch.chdir(ROOT)
    return tool.merge_args(tool.parse_args())


def test_noise_and_cleaning_are_in_the_name_of_the_run(tool, monkeypatch):
    cfg = merged(
        tool,
        monkeypatch,
        'configs/ce/ce_r18_rafdb.py',
        '--noise',
        'symmetric:0.2:seed1',
        '--clean',
        'gaave',
        # Applied last.
        '--cfg-options',
        'custom_hooks.0.tau=0',
        'train_dataloader.dataset.label_noise.seed=2',
    )
    assert cfg.work_dir == 'work_dirs/gaave_ce_r18_rafdb_noise20seed1'
    # SummaryHook and the copy of the config take the name from here.
    assert Path(cfg.filename).name == 'gaave_ce_r18_rafdb_noise20seed1.py'
    assert cfg.custom_hooks == [dict(type='GAAVEHook', tau=0)]
    assert cfg.train_dataloader.dataset.label_noise == dict(
        type='SymmetricNoise', rate=0.2, seed=2
    )
    own = merged(
        tool,
        monkeypatch,
        'configs/ce/ce_r18_rafdb.py',
        '--noise',
        'pair:0.2',
        '--work-dir',
        'mine',
    )
    assert own.work_dir == 'mine'


@pytest.mark.parametrize(
    'config, flags, text',
    [
        ('ce/ce_r18_rafdb', ['--noise', 'symmetric:20'], 'symmetric:20: the rate 20'),
        ('ce/ce_vgg16_cifar10_multinoise', ['--noise', 'pair:.1'], 'annotators'),
        (
            'gaave/gaave_ce_r18_rafdb_pair30',
            [],
            'mmfer train configs/ce/ce_r18_rafdb.py --noise pair:0.3 --clean gaave\n',
        ),
    ],
)
def test_what_cannot_be_done_is_said(tool, monkeypatch, config, flags, text):
    with pytest.raises(SystemExit) as error:
        merged(tool, monkeypatch, f'configs/{config}.py', *flags)
    assert text in str(error.value)


def test_run_with_planted_noise(tmp_path):
    """The name of the run is in its summary and in the log."""
    result = run(
        'tools/train.py',
        'configs/ce/ce_r18_synthfaces.py',
        '--noise',
        'pair:0.25:seed3',
        '--work-dir',
        tmp_path,
        '--cfg-options',
        *SMALL,
        'train_cfg.max_epochs=1',
    )
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['config'] == 'ce_r18_synthfaces_pair25seed3'
    assert (tmp_path / 'ce_r18_synthfaces_pair25seed3.py').is_file()
    assert 'ce_r18_synthfaces_pair25seed3: 1 epoch' in result.stdout + result.stderr
    manifest = json.loads((tmp_path / 'label_noise.json').read_text())
    assert (manifest['generator'], manifest['seed']) == ('PairNoise', 3)
    assert manifest['requested_rate'] == 0.25


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
    assert 'Traceback' not in result.stderr
    for text in (*texts, f'{tmp_path}/none'):
        assert text in result.stderr, text


def test_only_errors_of_mmfer_lose_their_traceback():
    def refused():
        parse_noise('symmetric:30')

    def failing():
        torch.zeros(2).view(3)

    with pytest.raises(SystemExit, match='the rate 30 is not in'):
        run_training_tool(refused)
    with pytest.raises(RuntimeError):
        run_training_tool(failing)
    # A bug in mmfer raises no message that tells what to do.
    with pytest.raises(AttributeError):
        run_training_tool(lambda: parse_noise(None.text))
    with pytest.raises(TypeError):
        run_training_tool(lambda: parse_noise(3))


@pytest.mark.parametrize('tool', ['tools/train.py', 'tools/test.py'])
def test_missing_checkpoint(tool, monkeypatch):
    flags = ['--resume'] if tool == 'tools/train.py' else []
    monkeypatch.setattr(sys, 'argv', [tool, CONFIG, *flags, 'none.pth'])
    with pytest.raises(SystemExit, match='none.pth: this checkpoint does not exist'):
        load_tool(tool.removeprefix('tools/')).main()


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


def test_signal_outside_of_a_training(capsys):
    def main():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    with pytest.raises(SystemExit) as error:
        run_training_tool(main)
    assert error.value.code == 130
    assert 'SIGINT: ended.' in capsys.readouterr().err


def test_sigterm_to_the_whole_job(tmp_path):
    """A cluster sends SIGTERM to all processes of a job, workers included."""
    args = ['tools/train.py', CONFIG, '--resume', 'auto', '--work-dir', str(tmp_path)]
    args += ['--cfg-options', *SMALL, 'train_cfg.max_epochs=400']
    args += ['train_dataloader.num_workers=2', 'train_dataloader.batch_size=8']
    process = subprocess.Popen(
        [sys.executable, *args],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.time() + 120
    while not (tmp_path / 'last_checkpoint').exists():
        assert time.time() < deadline and process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert 'SIGTERM' in said and '--resume' in said
    assert 'Traceback' not in said, said
    # It goes on from there; the last epoch is the one after it.
    saved = (tmp_path / 'last_checkpoint').read_text()
    done = torch.load(tmp_path / os.path.basename(saved), weights_only=True)['meta']
    said = run(*args, f'train_cfg.max_epochs={done["epoch"] + 1}')
    assert (tmp_path / 'summary.json').exists()
    inside = done['iter'] % 12
    words = f'its first {inside} batches' if inside else f'epoch: {done["epoch"]}'
    assert words in said.stdout + said.stderr


@pytest.mark.parametrize(
    'options, expected',
    [
        ({}, 'fer_collate'),
        ({'model.data_preprocessor.type': 'ClsDataPreprocessor'}, 'default_collate'),
        ({'model.type': 'ImageClassifier'}, 'default_collate'),
        (
            {
                'model.data_preprocessor.type': 'ClsDataPreprocessor',
                'train_dataloader.collate_fn.type': 'pseudo_collate',
            },
            'pseudo_collate',
        ),
    ],
)
def test_options_of_the_model_choose_the_collate_function(options, expected):
    """Otherwise images would reach a model that cannot augment them."""
    cfg = Config.fromfile(os.path.join(ROOT, CONFIG))
    if 'model.type' in options:
        # The model then chooses its data preprocessor.
        del cfg.data_preprocessor.type
    args = SimpleNamespace(no_pin_memory=False, cfg_options=options)
    found = finish_config(cfg, args).train_dataloader.collate_fn
    assert found == dict(type=expected)
