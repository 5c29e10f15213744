"""Tables and curves of any configs against the last of them."""
import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT, environment, load_tool, tiny_config

tool = load_tool('benchmarks/compare.py')


def summary(**metrics):
    return dict(
        metrics={
            name.replace('__', '/'): dict(last5_mean=value, last=-1, best=99)
            for name, value in metrics.items()
        })


def test_differences_are_paired_by_seed():
    table = tool.markdown(
        dict(
            gan={
                0: summary(accuracy__top1=60., va__ccc=.70),
                1: summary(accuracy__top1=64., va__ccc=.80),
                # No baseline: takes no part in the difference.
                2: summary(accuracy__top1=10., va__ccc=.10),
            },
            vgg={
                0: summary(accuracy__top1=50., va__ccc=.60),
                1: summary(accuracy__top1=58., va__ccc=.65),
            }), ['accuracy/top1', 'va/ccc'], 'vgg', digits=3)
    head, _, gan, vgg = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in table.splitlines()
    ]
    gan, vgg = dict(zip(head, gan)), dict(zip(head, vgg))
    assert gan['seeds'] == '0, 1, 2'
    assert gan['accuracy/top1, ahead by'] == '8.000 ± 2.828'
    assert gan['va/ccc, ahead by'] == '0.125 ± 0.035'
    assert vgg['accuracy/top1'] == '54.000 ± 5.657'
    assert vgg['accuracy/top1, ahead by'] == ''


def test_one_config_has_no_differences():
    table = tool.markdown(dict(vgg={0: summary(a=1.)}), ['a'])
    assert 'ahead' not in table and '| vgg | 0 | 1.00 |' in table


@pytest.mark.parametrize('name, value', [
    ('losses.loss_ce*', 2.), ('losses.loss_ce1', 1.), ('train_loss', 7.),
    ('metrics.va/ccc', .5), ('figures.d_loss', None), ('nothing', None)])
def test_values_of_an_epoch(name, value):
    epoch = dict(
        train_loss=7., losses=dict(loss_ce1=1., loss_ce2=3., loss_va=9.),
        metrics={'va/ccc': .5})
    assert tool.value_of(epoch, name) == value


def test_noise_gets_a_seed_where_the_config_names_none(tmp_path):
    config = tmp_path / 'mine.py'
    config.write_text('train_dataloader = dict(dataset=dict(label_noise=dict('
                      'type="SymmetricNoise", rate=.3), va_noise=None))')
    run = tool.Run('row', str(config), 7, [])
    assert run.arguments[2:] == [
        'randomness.seed=7', 'train_dataloader.dataset.label_noise.seed=7']


def test_noise_has_the_seed_of_the_run():
    """Each noise that has one; the annotators of CIFAR-10 keep theirs."""
    def seeds(config):
        run = tool.Run('row', f'{ROOT}/configs/{config}.py', 7, ['a=1'])
        return run.arguments[2:]

    dataset = 'train_dataloader.dataset'
    assert seeds('jointgan/jointgan_vgg16_synthfaces_noise30') == [
        'randomness.seed=7', 'a=1', f'{dataset}.label_noise.seed=7',
        f'{dataset}.va_noise.seed=7']
    assert seeds('ce/ce_vgg16_cifar10_multinoise') == [
        'randomness.seed=7', 'a=1']
    assert seeds('ce/ce_vgg16_synthfaces') == ['randomness.seed=7', 'a=1']


def test_trains_and_compares(tmp_path):
    """Two configs as a user has them, then again from what is there."""
    configs = []
    for name, lr in (('fast', .01), ('slow', .001)):
        cfg = tiny_config(
            tmp_path / 'unused', 'ce/ce_r18_synthfaces_noise30',
            optim_wrapper__optimizer__lr=lr)
        cfg.pop('work_dir'), cfg.pop('experiment_name')
        configs.append(str(tmp_path / f'{name}.py'))
        cfg.dump(configs[-1])
    command = [
        sys.executable, 'tools/benchmarks/compare.py', *configs, '--seeds',
        '0', '--root', str(tmp_path / 'runs'), '--curves', 'train_loss',
        '--figure', str(tmp_path / 'loss.png')
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment(),
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(
        (tmp_path / 'runs/fast_seed0/summary.json').read_text())
    accuracy = found['metrics']['accuracy/top1']['last5_mean']
    assert f'| fast | 0 | {accuracy:.2f} |' in done.stdout
    assert (tmp_path / 'loss.png').stat().st_size
    again = subprocess.run(
        [*command, '--table-only'], cwd=ROOT, env=environment(),
        capture_output=True, text=True)
    assert again.stdout.splitlines() == done.stdout.splitlines()[-4:]


def test_another_row_is_no_baseline(tmp_path):
    """While the last config has no result, there are no differences."""
    for name in ('a', 'b'):
        folder = tmp_path / f'{name}_seed0'
        folder.mkdir()
        (folder / 'summary.json').write_text(
            json.dumps(summary(accuracy__top1=50.)))
        (folder / 'history.json').write_text('[]')
    done = subprocess.run(
        [sys.executable, 'tools/benchmarks/compare.py', 'a.py', 'b.py',
         'c.py', '--table-only', '--root', str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'baseline c is' in done.stdout and 'ahead' not in done.stdout


def test_refusals(tmp_path):
    def said(*arguments):
        done = subprocess.run(
            [sys.executable, 'tools/benchmarks/compare.py', *arguments,
             '--table-only', '--root', str(tmp_path)],
            cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 1
        return done.stderr

    assert 'the same name' in said('a/x.py', 'b/x.py')
    assert 'no run in' in said(str(Path('a/x.py')))
