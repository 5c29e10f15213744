"""Tables and curves of any configs against the last of them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT, call_tool, environment, load_tool, tiny_config

from mmfer.analysis.benchmarks.training_runs import (
    PlannedRun,
    exit_reason,
    named_config,
    of_seeds,
)
from mmfer.engine.variants import find_variant

tool = load_tool('benchmarks/compare.py')


def summary(last_k=5, **metrics):
    return dict(
        metrics={
            name.replace('__', '/'): {
                f'last{last_k}_mean': value,
                'last': -1,
                'best': 99,
            }
            for name, value in metrics.items()
        }
    )


def test_differences_are_paired_by_seed():
    table = tool.markdown(
        dict(
            gan={
                0: summary(accuracy__top1=60.0, va__ccc=0.70),
                1: summary(accuracy__top1=64.0, va__ccc=0.80),
                # No baseline: takes no part in the difference.
                2: summary(accuracy__top1=10.0, va__ccc=0.10),
            },
            vgg={
                0: summary(accuracy__top1=50.0, va__ccc=0.60),
                1: summary(accuracy__top1=58.0, va__ccc=0.65),
            },
        ),
        ['accuracy/top1', 'va/ccc'],
        'vgg',
        digits=3,
    )
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
    table = tool.markdown(dict(vgg={0: summary(a=1.0)}), ['a'])
    assert 'ahead' not in table and '| vgg | 0 | 1.00 |' in table


def cells_of(table):
    head, _, *rows = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in table.splitlines()
    ]
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


def test_mean_over_as_many_epochs_as_the_runs_say():
    """The configs on CIFAR average ten epochs."""
    rows = dict(a={0: summary(10, acc=3.0)}, b={0: summary(10, acc=1.0)})
    table = tool.markdown(rows, ['acc'], 'b')
    assert cells_of(table) == dict(
        a={'config': 'a', 'seeds': '0', 'acc': '3.00', 'acc, ahead by': '2.00'},
        b={'config': 'b', 'seeds': '0', 'acc': '1.00', 'acc, ahead by': ''},
    )
    # Means of different numbers of epochs stand apart.
    rows['b'] = {0: summary(5, acc=1.0)}
    found = cells_of(tool.markdown(rows, ['acc'], 'b'))
    assert [found[row]['mean of the last'] for row in 'ab'] == ['10', '5']
    assert found['a']['acc'] == '3.00'
    assert found['a']['acc, ahead by'] == ''
    rows['b'][1] = summary(10, acc=1.0)
    with pytest.raises(ValueError, match='b: .* 5 and 10 epochs .*last_k'):
        tool.markdown(rows, ['acc'], 'b')


def test_run_without_a_metric_has_an_empty_cell():
    rows = dict(a={0: summary(acc=3.0)}, b={0: summary(other=1.0)})
    found = cells_of(tool.markdown(rows, ['acc'], 'b'))
    assert (found['a']['acc'], found['b']['acc']) == ('3.00', '')
    assert found['a']['acc, ahead by'] == ''


def problems_of(
    tmp_path, *configs, metrics=('accuracy/top1',), options=(), seeds=(0,), done=None
):
    runs = [
        PlannedRun(
            Path(config).stem, f'{ROOT}/configs/{config}.py', seed, list(options)
        )
        for config in configs
        for seed in seeds
    ]
    return tool.problems(runs, tmp_path, metrics, done)


CIFAR, FACES = 'ce/ce_cnn7_cifar10', 'ce/ce_r18_synthfaces'


def test_nothing_wrong_is_found_in_what_fits(tmp_path):
    assert problems_of(tmp_path, CIFAR, 'jocor/jocor_cnn7_cifar10') == []
    assert (
        problems_of(
            tmp_path,
            CIFAR,
            FACES,
            seeds=(0, 1),
            options=['default_hooks.summary.last_k=7'],
        )
        == []
    )
    assert (
        problems_of(
            tmp_path,
            'jointgan/jointgan_vgg16_synthfaces_noise30',
            metrics=[
                'accuracy/mean_class',
                'rejection/uncertainty_20',
                'va/ccc',
                'va/mse_arousal',
                'rejection/confidence_auroc',
            ],
        )
        == []
    )
    assert problems_of(tmp_path, CIFAR, done=dict(old={0: summary(10, a=1.0)})) == []


@pytest.mark.parametrize(
    'configs, options, text',
    [
        (
            [CIFAR, FACES],
            dict(),
            '5 in ce_r18_synthfaces; 10 in ce_cnn7_cifar10.*last_k=10',
        ),
        (
            [FACES],
            dict(done=dict(old={3: summary(10, a=1.0)})),
            '5 in ce_r18_synthfaces; 10 in old_seed3',
        ),
        (
            [FACES],
            dict(metrics=['accuracy/top1', 'va/ccc']),
            "no metric 'va/ccc'. Choose from accuracy/mean_class, accuracy/top1, re",
        ),
        ([FACES], dict(metrics=['accuracy/top2']), "no metric 'accuracy/top2'"),
        ([FACES], dict(seeds=(1, 1)), 'ce_r18_synthfaces_seed1 .*twice'),
        (['ce/none'], dict(), 'there is no config .*ce/none.py'),
        ([FACES], dict(options=['val_evaluator=None']), 'does not validate'),
        ([FACES], dict(options=['default_hooks.summary=None']), 'no SummaryHook'),
        ([FACES], dict(options=['train_pipeline.99.type=X']), 'cannot be read'),
    ],
)
def test_what_would_fail_after_the_runs_is_said_before(
    tmp_path, configs, options, text
):
    (found,) = problems_of(tmp_path, *configs, **options)
    assert re.search(text, found), found


def test_nothing_is_trained_where_something_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(tool, 'execute_all', None)
    monkeypatch.setattr(
        sys,
        'argv',
        [
            'compare.py',
            str(tmp_path / 'none.py'),
            '--root',
            str(tmp_path),
            '--figure',
            'curves.txt',
            '--curves',
            'accuracy',
        ],
    )
    with pytest.raises(
        SystemExit,
        match="(?s)no config.*'txt' is not a known "
        'image.*--curves accuracy.*Nothing was trained',
    ):
        tool.main()


def test_folder_of_another_run_is_found_before_the_first(tmp_path):
    folder = tmp_path / 'ce_r18_synthfaces_seed0'
    folder.mkdir()
    (folder / 'arguments.json').write_text('["other"]')
    # That run was refused, so it left nothing, and the folder is free.
    assert problems_of(tmp_path, FACES) == []
    (folder / 'iter_2.pth').write_bytes(b'')
    (found,) = problems_of(tmp_path, FACES)
    assert 'holds a run with other, and' in found and '--root' in found


def test_options_are_checked_before_the_first_run(tmp_path, monkeypatch):
    """A name that is misspelt, and a value out of range, for each config once."""
    monkeypatch.setattr(tool, 'execute_all', None)
    line = ['benchmarks/compare.py', 'ce_r18_synthfaces', 'rul_r18_synthfaces']
    rest = ['--root', tmp_path, '--cfg-options']
    said = call_tool(*line, *rest, 'train_cfg.max_epoch=2', code=1)
    assert said.count("has no option 'max_epoch'. Did you mean max_epochs?") == 2
    assert 'rul_r18_synthfaces: ' in said and 'Nothing was trained' in said
    said = call_tool(*line, *rest, 'model.head.num_images=1', code=1)
    assert 'num_images' in said and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'code, log, expected',
    [
        (-9, '', 'killed by SIGKILL .*memory.*The same command continues'),
        (-15, '', 'it was killed by SIGTERM. The same command continues it'),
        (1, 'a\n the reason \n\n', '^the reason .see .*log'),
        (3, '', 'exit code 3'),
    ],
)
def test_why_a_run_has_ended(tmp_path, code, log, expected):
    (tmp_path / 'output.log').write_text(log)
    assert re.search(expected, exit_reason(code, tmp_path / 'output.log'))


def test_table_of_some_seeds(tmp_path):
    runs = dict(a={0: 'x', 1: 'y'}, b={1: 'z'})
    assert of_seeds(runs, None) == runs
    assert of_seeds(runs, [0]) == dict(a={0: 'x'})


@pytest.mark.parametrize(
    'name, value',
    [
        ('losses.loss_ce*', 2.0),
        ('losses.loss_ce1', 1.0),
        ('train_loss', 7.0),
        ('metrics.va/ccc', 0.5),
        ('figures.d_loss', None),
        ('nothing', None),
    ],
)
def test_values_of_an_epoch(name, value):
    epoch = dict(
        train_loss=7.0,
        losses=dict(loss_ce1=1.0, loss_ce2=3.0, loss_va=9.0),
        metrics={'va/ccc': 0.5},
    )
    assert tool.value_of(epoch, name) == value


def test_noise_gets_a_seed_where_the_config_names_none(tmp_path):
    config = tmp_path / 'mine.py'
    config.write_text(
        'train_dataloader = dict(dataset=dict(label_noise=dict('
        'type="SymmetricNoise", rate=.3), va_noise=None))'
    )
    run = PlannedRun('row', str(config), 7, [])
    assert run.arguments[2:] == [
        'randomness.seed=7',
        'train_dataloader.dataset.label_noise.seed=7',
    ]


def test_noise_has_the_seed_of_the_run():
    """Each noise that has one; the annotators of CIFAR-10 keep theirs."""

    def seeds(config):
        run = PlannedRun('row', f'{ROOT}/configs/{config}.py', 7, ['a=1'])
        return run.arguments[2:]

    dataset = 'train_dataloader.dataset'
    assert seeds('jointgan/jointgan_vgg16_synthfaces_noise30') == [
        'randomness.seed=7',
        'a=1',
        f'{dataset}.label_noise.seed=7',
        f'{dataset}.va_noise.seed=7',
    ]
    assert seeds('ce/ce_vgg16_cifar10_multinoise') == ['randomness.seed=7', 'a=1']
    assert seeds('ce/ce_vgg16_synthfaces') == ['randomness.seed=7', 'a=1']


def test_trains_and_compares(tmp_path):
    """Two configs as a user has them, then again from what is there."""
    configs = []
    for name, lr in (('fast', 0.01), ('slow', 0.001)):
        cfg = tiny_config(
            tmp_path / 'unused',
            'ce/ce_r18_synthfaces_noise30',
            optim_wrapper__optimizer__lr=lr,
        )
        cfg.pop('work_dir'), cfg.pop('experiment_name')
        configs.append(str(tmp_path / f'{name}.py'))
        cfg.dump(configs[-1])
    command = [
        sys.executable,
        str(Path(ROOT, 'tools/benchmarks/compare.py')),
        *configs,
        '--seeds',
        '0',
        '--root',
        str(tmp_path / 'runs'),
        '--curves',
        'train_loss',
        '--figure',
        str(tmp_path / 'loss.png'),
    ]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / 'runs/fast_seed0/summary.json').read_text())
    accuracy = found['metrics']['accuracy/top1']['last5_mean']
    assert f'| fast | 0 | {accuracy:.2f} |' in done.stdout
    assert (tmp_path / 'loss.png').stat().st_size
    again = subprocess.run(
        [*command, '--table-only'],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert again.stdout.splitlines() == done.stdout.splitlines()[-4:]


def test_another_row_is_no_baseline(tmp_path, monkeypatch, capsys):
    """While the last config has no result, there are no differences."""
    for name in ('a', 'b'):
        folder = tmp_path / f'{name}_seed0'
        folder.mkdir()
        (folder / 'summary.json').write_text(json.dumps(summary(accuracy__top1=50.0)))
        (folder / 'history.json').write_text('[]')
    line = ['compare.py', 'a.py', 'b.py', 'c.py', '--table-only', '--root']
    monkeypatch.setattr(sys, 'argv', [*line, str(tmp_path)])
    with pytest.raises(SystemExit, match='False'):
        tool.main()
    said = capsys.readouterr().out
    assert 'baseline c is' in said and 'ahead' not in said


def test_names_of_shipped_configs(tmp_path, monkeypatch):
    """A name is found from any folder, also one that stands for flags."""
    monkeypatch.chdir(tmp_path)
    assert Path(named_config('ce_r18_rafdb')).is_file()
    file, flags = find_variant(named_config('gaave_ce_r18_rafdb_pair20.py'))
    assert Path(file).stem == 'ce_r18_rafdb'
    assert flags == ['--noise', 'pair:0.2', '--clean', 'gaave']
    assert named_config('none') == 'none'
    Path('ce_r18_rafdb.py').write_text('')
    assert named_config('ce_r18_rafdb.py') == 'ce_r18_rafdb.py'


def test_refusals(tmp_path):
    def said(*arguments):
        return call_tool(
            'benchmarks/compare.py',
            *arguments,
            '--table-only',
            '--root',
            tmp_path,
            code=1,
        )

    assert 'the same name' in said('a/x.py', 'b/x.py')
    assert 'no run in' in said(str(Path('a/x.py')))
