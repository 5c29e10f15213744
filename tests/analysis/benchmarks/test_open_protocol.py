"""Plans, tables and curves of the comparison, from made results."""

import csv
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers import CONFIGS, ROOT
from mmengine.config import Config, DictAction

from mmfer.analysis.benchmarks import curves, training_runs
from mmfer.analysis.benchmarks import open_protocol as tool
from mmfer.analysis.benchmarks.training_runs import read_runs

PROTOCOL = tool.Protocol(Path(CONFIGS))


def test_plan(monkeypatch):
    monkeypatch.chdir(ROOT)
    ladders = list(PROTOCOL.ladders)
    runs = PROTOCOL.plan(['ce', 'resup'], [0, 1], ladders, ['a=1'])
    names = [run.name for run in runs]
    assert len(set(names)) == len(names)
    assert names[:4] == ['ce_seed0', 'resup_seed0', 'ce_seed1', 'resup_seed1']
    assert {run.seed for run in runs[4:]} == {0}
    for run in runs:
        config = Path(ROOT) / run.config
        assert config.is_file()
        if run.row.endswith('_estimated'):
            assert Config.fromfile(config).model.noise_rate is None
        assert run.options[-1] == 'a=1'
        assert f'randomness.seed={run.seed}' in run.arguments
        assert (
            f'train_dataloader.dataset.label_noise.seed={run.seed}'
        ) in run.arguments


@pytest.mark.parametrize('method', ['alum', 'resup'])
def test_rows_of_a_ladder_differ_and_build(method):
    """Each row is another model, and none of its options is a typo."""
    from mmfer.registry import MODELS

    texts = set()
    for run in PROTOCOL.plan([], [0], [method], []):
        cfg = Config.fromfile(Path(ROOT) / run.config)
        options = dict(option.split('=', 1) for option in run.options)
        cfg.merge_from_dict(
            {key: DictAction._parse_iterable(value) for key, value in options.items()}
        )
        texts.add(json.dumps(cfg.model.to_dict(), sort_keys=True))
        MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    assert len(texts) == len(PROTOCOL.ladders[method])


def test_methods_are_found():
    """A folder with a config of this network is enough, and no list names it."""
    assert PROTOCOL.methods[0] == 'ce'
    assert set(PROTOCOL.methods) == {
        path.parent.name
        for path in Path(CONFIGS).glob('*/*_r18_ferplus.py')
        # GAAVE's config names its host, too.
        if path.stem == f'{path.parent.name}_r18_ferplus'
    }
    assert 'ce_onecycle' in PROTOCOL.rows and 'jocor_estimated' in PROTOCOL.rows


def test_other_noise_is_planted_by_flags(monkeypatch):
    monkeypatch.chdir(ROOT)
    protocol = tool.Protocol(Path(CONFIGS), 'pair20')
    (run,) = protocol.plan(['coteaching'], [4], [], [])
    assert run.arguments == [
        'configs/coteaching/coteaching_r18_ferplus.py',
        '--noise',
        'pair:0.2',
        '--cfg-options',
        'randomness.seed=4',
        'train_dataloader.dataset.label_noise.seed=4',
    ]
    assert run.settings.train_dataloader.dataset.label_noise == dict(
        type='PairNoise', rate=0.2, seed=4
    )
    assert run.settings.model.noise_rate == 0.2
    (clean,) = tool.Protocol(Path(CONFIGS), '').plan(['ce'], [4], [], [])
    assert clean.arguments == [
        'configs/ce/ce_r18_ferplus.py',
        '--cfg-options',
        'randomness.seed=4',
    ]


def write_run(root, row, seed, accuracy, weights=None, last_k=5):
    folder = root / f'{row}_seed{seed}'
    folder.mkdir(parents=True)
    metrics = {
        name: {'last': accuracy, 'best': accuracy + 10, f'last{last_k}_mean': accuracy}
        for name in tool.COLUMNS
    }
    figures = None if weights is None else dict(weight_auroc=weights)
    (folder / 'summary.json').write_text(
        json.dumps(dict(metrics=metrics, noise_auroc=0.8, figures=figures))
    )
    (folder / 'history.json').write_text(
        json.dumps(
            [
                dict(
                    epoch=e,
                    metrics={'accuracy/top1': accuracy + e},
                    **({} if weights is None or e == 1 else dict(figures=figures)),
                )
                for e in (1, 2, 3)
            ]
        )
    )


def test_published_record_names_configs_that_give_its_results():
    """The methods were not told the noise rate in these runs."""
    record = json.loads(
        (Path(ROOT) / 'docs/results/open_protocol_noise30.json').read_text()
    )
    assert set(record) <= set(PROTOCOL.rows)
    for row, runs in record.items():
        for run in runs.values():
            name = run['summary']['config']
            config = Path(ROOT) / f'configs/{name.split("_")[0]}/{name}.py'
            model = Config.fromfile(config).model
            assert model.get('noise_rate') is None
            assert row.endswith('_estimated') == ('noise_rate' in model)


def test_published_table_is_that_of_its_record(tmp_path):
    results = Path(ROOT) / 'docs/results'
    record = tmp_path / 'record.json'
    shutil.copy(results / 'open_protocol_third.json', record)
    summaries, _ = tool.update_record(record, tmp_path, PROTOCOL)
    assert record.read_bytes() == (results / 'open_protocol_third.json').read_bytes()
    tool.write_csv(tmp_path / 'table.csv', summaries, PROTOCOL, ['ce'])
    table = (results / 'open_protocol_third.csv').read_text()
    assert (tmp_path / 'table.csv').read_text() == table
    # All runs had the same labels.
    runs = [run for row in summaries.values() for run in row.values()]
    assert len({run['labels_sha256'] for run in runs}) == 1


def test_table(tmp_path):
    for seed, (ce, resup) in enumerate([(50.0, 70.0), (54.0, 70.0), (52.0, 76.0)]):
        write_run(tmp_path, 'resup', seed, resup, 0.9)
        write_run(tmp_path, 'ce', seed, ce)
    lines = tool.markdown(PROTOCOL.in_order(read_runs(tmp_path, 'summary.json')))
    head, _, ce, resup = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in lines.splitlines()
    ]
    assert (ce[0], resup[0]) == ('ce', 'resup')
    ce, resup = dict(zip(head, ce)), dict(zip(head, resup))
    assert resup['seeds'] == '0, 1, 2'
    assert resup['accuracy'] == '72.00 ± 3.46'
    # Paired: 20, 16 and 24.
    assert resup['minus ce'] == '20.00 ± 4.00'
    assert resup['weight AUROC'] == '0.900' and ce['weight AUROC'] == ''
    assert ce['best epoch'] == '62.00 ± 2.00' and ce['minus ce'] == ''
    runs = read_runs(tmp_path, 'summary.json')
    assert 'weight AUROC' not in tool.markdown(PROTOCOL.in_order(runs, ['ce']))
    assert '1 - p AUROC' not in tool.markdown(runs)
    # A run of this version beside older ones.
    runs['ce'][1]['probability_auroc'] = 0.75
    head, _, *rows = tool.markdown(PROTOCOL.in_order(runs)).splitlines()
    place = head.split('|').index(' 1 - p AUROC ')
    assert [row.split('|')[place] for row in rows] == [' 0.750 ', '  ']
    assert list(PROTOCOL.in_order(runs, ['resup', 'nothing'])) == ['resup']


def test_csv(tmp_path):
    for seed, (ce, resup) in enumerate([(50.0, 70.0), (54.0, 70.0), (52.0, 76.0)]):
        write_run(tmp_path, 'ce', seed, ce)
        write_run(tmp_path, 'resup', seed, resup, 0.9)
    write_run(tmp_path, 'alum_lc', 0, 60.0)
    runs = PROTOCOL.in_order(read_runs(tmp_path, 'summary.json'))
    runs['ce'][0]['probability_auroc'] = 0.7
    tool.write_csv(tmp_path / 'a.csv', runs, PROTOCOL, ['ce'])
    ce, resup, compensated = csv.DictReader((tmp_path / 'a.csv').open())
    assert (ce['label'], resup['label']) == ('Cross-entropy', 'ReSup')
    assert (compensated['label'], compensated['folder']) == ('alum_lc', 'alum')
    assert resup['seeds'] == '0, 1, 2' and compensated['seeds'] == '0'
    assert (resup['accuracy'], resup['accuracy_std']) == ('72.00', '3.46')
    assert (resup['minus_ce'], resup['minus_ce_std']) == ('20.00', '4.00')
    assert (ce['minus_ce'], ce['best_epoch'], ce['u_10']) == ('', '62.00', '52.00')
    assert (compensated['accuracy'], compensated['accuracy_std']) == ('60.00', '')
    assert (resup['weight_auroc'], resup['noise_auroc']) == ('0.900', '0.800')
    with pytest.raises(ValueError, match='no finished run, so .* was not written'):
        tool.write_csv(tmp_path / 'b.csv', {}, PROTOCOL, ['ce'])
    # Not all runs of a row have it.
    assert ce['probability_auroc'] == compensated['weight_auroc'] == ''


def test_runs_that_average_other_epochs(tmp_path):
    write_run(tmp_path, 'ce', 0, 50.0)
    write_run(tmp_path, 'resup', 0, 70.0, last_k=10)
    lines = tool.markdown(PROTOCOL.in_order(read_runs(tmp_path, 'summary.json')))
    head, _, ce, resup = [
        dict(enumerate(cell.strip() for cell in line.strip('|').split('|')))
        for line in lines.splitlines()
    ]
    assert head[2] == 'mean of the last'
    assert (ce[2], ce[3], resup[2], resup[3]) == ('5', '50.00', '10', '70.00')
    # No difference between the two.
    assert '20.00' not in lines


def test_record_grows(tmp_path):
    """A table of runs of two places is that of one place with them all."""
    record = tmp_path / 'docs/record.json'
    write_run(tmp_path / 'a', 'ce', 1, 50.123456789)
    write_run(tmp_path / 'a', 'resup', 0, 70.0, 0.9)
    tool.update_record(record, tmp_path / 'a', PROTOCOL)
    write_run(tmp_path / 'b', 'ce', 0, 60.0)
    # Run again: the new result counts.
    write_run(tmp_path / 'b', 'resup', 0, 75.0, 0.9)
    # Not done yet.
    write_run(tmp_path / 'b', 'alum', 0, 75.0)
    (tmp_path / 'b/alum_seed0/summary.json').unlink()
    before = record.read_text().splitlines()
    summaries, histories = tool.update_record(record, tmp_path / 'b', PROTOCOL)
    after = record.read_text().splitlines()
    # The other run's line stays.
    assert [line for line in before if line.startswith('"1"')][0] in after
    assert list(summaries) == ['ce', 'resup'] == list(histories)
    assert list(summaries['ce']) == [0, 1]
    write_run(tmp_path / 'b', 'ce', 1, 50.123456789)
    both = read_runs(tmp_path / 'b', 'summary.json')
    assert tool.markdown(summaries) == tool.markdown(PROTOCOL.in_order(both))
    assert histories['ce'][0][2]['metrics']['accuracy/top1'] == 63
    assert set(histories['resup'][0][2]) == {'epoch', 'metrics', 'figures'}
    assert 'rejection' not in str(histories)
    again = tool.update_record(record, tmp_path / 'nothing', PROTOCOL)
    assert again == (summaries, histories)


@pytest.mark.parametrize('value, rows', [('accuracy', 2), ('weight_auroc', 1)])
def test_curves(tmp_path, monkeypatch, value, rows):
    for seed in range(2):
        write_run(tmp_path, 'ce', seed, 50.0 + seed)
        write_run(tmp_path, 'resup', seed, 70.0 + seed, 0.9)
    from matplotlib import pyplot as plt

    out = tmp_path / 'curves.png'
    curves.plot(
        PROTOCOL.in_order(read_runs(tmp_path, 'history.json')),
        getattr(curves, value),
        'y',
        out,
    )
    axes = plt.gcf().axes[0]
    assert out.is_file() and len(axes.lines) == rows
    if value == 'accuracy':
        assert axes.lines[0].get_ydata() == pytest.approx([51.5, 52.5, 53.5])
    else:
        assert axes.lines[0].get_xdata().tolist() == [2, 3]
    plt.close('all')


@pytest.mark.parametrize('given, jobs, threads', [(None, 2, '4'), ('1', 1, '1')])
def test_threads_of_a_run(given, jobs, threads, tmp_path, monkeypatch):
    """Runs share the cores, unless the user has said how many threads they get."""
    monkeypatch.setattr(os, 'cpu_count', lambda: 8)
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    if given:
        monkeypatch.setenv('OMP_NUM_THREADS', given)
    seen = []
    monkeypatch.setattr(
        subprocess, 'call', lambda *_, env, **__: seen.append(env['OMP_NUM_THREADS'])
    )
    runs = PROTOCOL.plan(['ce'], [0, 1], [], [])
    training_runs.execute_all(runs, tmp_path, jobs)
    assert seen == [threads] * 2
