"""Figures show what the predictions say."""

import csv
import json
import shlex
import shutil
from unittest import mock

import mmengine
import numpy as np
import pytest
from helpers import call_tool, tiny_config, train
from matplotlib.figure import Figure

from mmfer.analysis import figures
from mmfer.analysis.predictions import Predictions, read_predictions
from mmfer.analysis.runs import open_run, open_runs, read_json, read_named_config
from mmfer.analysis.tables import summary_table
from mmfer.evaluation.functional import (
    expected_calibration_error,
    rejection_accuracy,
    rejection_threshold,
)


def make_predictions(count=200, classes=4, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(classes), count)
    labels = rng.integers(0, classes, count)
    uncertainty = rng.integers(0, 5, count) / 5 if ties else rng.random(count)
    return Predictions(scores, labels, uncertainty, [''] * count, np.arange(count))


@pytest.mark.parametrize('ties', [False, True])
def test_rejection_is_that_of_the_metric(ties):
    run = make_predictions(ties=ties)
    rates = np.linspace(0, 0.5, 11)
    found = figures.accuracy_after_rejection(run.correct, run.uncertainty, rates)
    np.testing.assert_allclose(
        found,
        [rejection_accuracy(run.correct, run.uncertainty, rate) for rate in rates],
    )


def test_lines_of_the_rejection_figure():
    """Dashed by confidence; a model without an uncertainty has one line."""
    run = make_predictions()
    plain = run._replace(uncertainty=1 - run.confidence)
    (axes,) = figures.rejection_figure(dict(a=run, b=plain)).axes
    names = [line.get_label() for line in axes.lines]
    assert names == ['a, by uncertainty', 'a, by confidence', 'b, by confidence']
    np.testing.assert_allclose(
        axes.lines[0].get_ydata()[[0, 20]],
        [
            100 * run.correct.mean(),
            rejection_accuracy(run.correct, run.uncertainty, 0.2),
        ],
    )
    np.testing.assert_allclose(axes.lines[1].get_ydata(), axes.lines[2].get_ydata())


def test_confusion_in_per_cent_of_rows():
    run = make_predictions(classes=3)._replace(labels=np.repeat([0, 2], 100))
    axes = figures.confusion_figure(run, ['a', 'b', 'c']).axes[0]
    image = axes.images[0].get_array()
    np.testing.assert_allclose(image.sum(axis=1), [100, 0, 100])
    expected = np.mean(run.predicted[:100] == 2) * 100
    assert image[0, 2] == pytest.approx(expected)
    texts = [text.get_text() for text in axes.texts]
    assert texts[2] == f'{expected:.0f}'
    assert [t.get_text() for t in axes.get_yticklabels()] == [
        'a (100)',
        'b (0)',
        'c (100)',
    ]


def test_calibration_error_by_hand():
    # One bin of two, one of one; the third is empty.
    error, mean, accuracy, share = expected_calibration_error(
        [0.5, 0.6, 0.9], [True, False, True], 3
    )
    np.testing.assert_allclose(mean, [np.nan, 0.55, 0.9])
    np.testing.assert_allclose(accuracy, [np.nan, 0.5, 1])
    np.testing.assert_allclose(share, [0, 2 / 3, 1 / 3])
    assert error == pytest.approx((2 * 0.05 + 0.1) / 3)
    # Limits belong to the bin below.
    assert expected_calibration_error([1.0, 1 / 3], [True, True], 3)[3].tolist() == [
        0.5,
        0,
        0.5,
    ]


@pytest.mark.parametrize('target', [0.0, 0.1, 0.3, 0.99])
@pytest.mark.parametrize('ties', [False, True])
def test_rejection_threshold(target, ties):
    """The largest of all thresholds that keep the promise."""
    run = make_predictions(60, ties=ties)
    correct = run.uncertainty + np.random.default_rng(1).random(60) < 1
    threshold, kept = rejection_threshold(correct, run.uncertainty, target)
    good = [
        t for t in run.uncertainty if (~correct[run.uncertainty <= t]).mean() <= target
    ]
    assert threshold == max(good, default=-np.inf)
    assert kept == (run.uncertainty <= threshold).mean()


def test_nothing_can_be_kept():
    assert rejection_threshold([False, True], [0.1, 0.2], 0.1) == (-np.inf, 0)


@pytest.fixture(scope='module')
def work_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    cfg = tiny_config(folder, train_cfg__max_epochs=2)
    train(cfg)
    (config,) = folder.glob('*.py')
    *_, checkpoint = sorted(folder.glob('*.pth'))
    call_tool(
        'test.py',
        config,
        checkpoint,
        '--work-dir',
        folder / 'test',
        '--out',
        folder / 'predictions.npz',
    )
    return folder


def test_predictions_are_read_back(work_dir):
    run = open_run(str(work_dir))
    assert run.name == work_dir.name
    assert run.classes[0] == 'surprise' and len(run.classes) == 7
    found = run.predictions
    np.testing.assert_allclose(found.scores.sum(axis=1), 1, rtol=1e-4)
    summary = read_json(str(work_dir), 'summary.json')
    assert 100 * found.correct.mean() == pytest.approx(
        summary['metrics']['accuracy/top1']['last'], abs=1e-3
    )
    images = run.images([0, 5])
    assert set(images) == {0, 5} and images[0].ndim == 2
    both = open_runs([str(work_dir), str(work_dir / 'predictions.npz')])
    assert list(both) == [run.name, f'{run.name} (2)']
    # The file alone has the names of the classes, and no config is run for it.
    alone = both[f'{run.name} (2)']
    assert alone.config is None and alone.classes == run.classes


@pytest.mark.parametrize('tool', ['tsne', 'noise_mixture', 'epoch_agreements'])
def test_tools_on_checkpoints(work_dir, tmp_path, tool):
    (config,) = work_dir.glob('*.py')
    *_, checkpoint = sorted(work_dir.glob('*.pth'))
    out = tmp_path / f'{tool}.png'
    said = call_tool(f'analysis_tools/{tool}.py', config, checkpoint, '--out', out)
    assert str(out) in said and out.stat().st_size > 5000


def test_features_of_several_models(work_dir, tmp_path):
    (config,) = work_dir.glob('*.py')
    first, *_, last = sorted(work_dir.glob('*.pth'))
    out = tmp_path / 'tsne.png'
    models = (config, first, config, last)
    call = ('analysis_tools/tsne.py', *models, '--count', 30, '--out', out)
    with mock.patch('mmfer.analysis.features.Figure', wraps=Figure) as drawn:
        call_tool(*call, '--names', 'early', 'late')
        assert drawn.call_args.kwargs['figsize'][0] > 8
    assert out.stat().st_size > 5000
    for wrong in (models[:3], (*models, '--names', 'one')):
        with pytest.raises(AssertionError, match='^2'):
            call_tool('analysis_tools/tsne.py', *wrong)
    other = tmp_path / 'other.py'
    text = f'_base_ = {str(config)!r}\ntest_dataloader = dict(dataset=dict(seed=7))\n'
    other.write_text(text)
    said = call_tool('analysis_tools/tsne.py', *models[:2], other, last, code=1)
    assert 'other test images' in said


def test_two_runs_side_by_side(work_dir, tmp_path):
    path = work_dir / 'predictions.npz'
    out = tmp_path / 'compared.png'
    call_tool(
        'analysis_tools/uncertain_images.py',
        work_dir,
        path,
        '--out',
        out,
        '--names',
        'ALUM',
        'RUL',
        '--count',
        10,
    )
    assert out.stat().st_size > 5000


def test_browse_dataset(work_dir, tmp_path):
    (config,) = work_dir.glob('*.py')
    out = tmp_path / 'images.png'
    call_tool(
        'analysis_tools/browse_dataset.py',
        config,
        '--out',
        out,
        '--count',
        3,
        '--times',
        2,
    )
    assert out.stat().st_size > 5000


def test_table_says_how_many_epochs_it_averages():
    """The configs on CIFAR average ten."""

    def summary(last_k, value):
        return dict(
            metrics={
                'accuracy/top1': {
                    'last': 1.0,
                    'best': 99.0,
                    f'last{last_k}_mean': value,
                }
            }
        )

    runs = dict(cifar=summary(10, 60.0))
    assert summary_table(runs, ['accuracy/top1']).splitlines() == [
        '| training | runs | accuracy/top1 |',
        '|---|---|---|',
        '| cifar | 1 | 60.00 |',
    ]
    runs['faces'] = summary(5, 50.0)
    assert summary_table(runs, ['accuracy/top1']).splitlines() == [
        '| training | runs | mean of the last | accuracy/top1 |',
        '|---|---|---|---|',
        '| cifar | 1 | 10 | 60.00 |',
        '| faces | 1 | 5 | 50.00 |',
    ]
    assert '| cifar | 1 | 1.00 |' in summary_table(runs, ['accuracy/top1'], 'last')
    with pytest.raises(ValueError, match="cifar has no 'last5_mean'.*last10"):
        summary_table(runs, ['accuracy/top1'], 'last5_mean')
    runs['cifar_seed1'] = summary(5, 60.0)
    with pytest.raises(ValueError, match='cifar: .* 5 and 10 epochs'):
        summary_table(runs, ['accuracy/top1'])


def test_table_over_seeds(tmp_path):
    for name, value in (('a_seed0', 50.0), ('a_seed1', 52.0), ('b', 40.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'summary.json').write_text(
            json.dumps(
                dict(
                    metrics={
                        'accuracy/top1': dict(
                            last=value, last5_mean=value - 1, best=99.0
                        )
                    }
                )
            )
        )
    said = call_tool(
        'analysis_tools/summarize.py',
        *sorted(tmp_path.iterdir()),
        '--metrics',
        'accuracy/top1',
        '--out',
        tmp_path / 'table.md',
    )
    # The n - 1 deviation of 49 and 51.
    assert '| a | 2 | 50.00 ± 1.41 |' in said
    assert '| b | 1 | 39.00 |' in said
    assert (tmp_path / 'table.md').read_text() in said
    for folder in 'cd':
        shutil.copytree(tmp_path / 'b', tmp_path / folder / 'alum')
    said = call_tool(
        'analysis_tools/summarize.py',
        tmp_path / 'c/alum',
        tmp_path / 'd/alum',
        '--metrics',
        'accuracy/top1',
    )
    assert '| alum | 2 | 39.00 ± 0.00 |' in said
    said = call_tool(
        'analysis_tools/summarize.py',
        tmp_path / 'b',
        '--metrics',
        'accuracy/none',
        code=1,
    )
    assert "b has no 'accuracy/none'" in said and 'accuracy/top1' in said


def test_learning_curves_of_the_training_images(tmp_path):
    """Given and clean labels are told apart, as planted."""
    cfg = tiny_config(
        tmp_path,
        'ce/ce_r18_synthfaces_noise30',
        train_cfg__max_epochs=2,
        default_hooks__sample_scores__interval=2,
    )
    train(cfg)
    first, second = read_json(str(tmp_path), 'history.json')
    assert 'training' not in first
    noted = second['training']
    with open(tmp_path / 'sample_scores.csv') as file:
        rows = list(csv.DictReader(file))
    for name, column in (('given', 'given_label'), ('clean', 'clean_label')):
        right = np.mean([r['suggested_label'] == r[column] for r in rows])
        assert noted[f'training/{name}_accuracy'] == pytest.approx(100 * right)
    figure = figures.learning_figure(
        dict(run=[first, second]), ['accuracy/top1', 'training/given_accuracy']
    )
    with pytest.raises(
        ValueError,
        match='no run has accuracy/top2. history.json has accuracy/mean_class',
    ):
        figures.learning_figure(dict(run=[first]), ['accuracy/top2'])
    game = dict(epoch=3, losses=dict(loss_ce=1.5), figures=dict(g_loss=2, mixture=[1]))
    curves = figures.learning_figure(
        dict(run=[dict(game, figures=None), game]), ['g_loss', 'loss_ce', 'mixture']
    )
    assert [list(line.get_ydata()) for line in curves.axes[0].lines] == [[2], [1.5] * 2]
    validated, trained = figure.axes[0].lines
    assert list(trained.get_ydata()) == [noted['training/given_accuracy']]
    assert len(validated.get_ydata()) == 2


@pytest.mark.parametrize(
    'tool',
    [
        'rejection_curve',
        'confusion_matrix',
        'reliability',
        'uncertain_images',
        'learning_curves',
    ],
)
def test_tools(work_dir, tmp_path, tool):
    out = tmp_path / 'new' / f'{tool}.png'
    said = call_tool(f'analysis_tools/{tool}.py', work_dir, '--out', out)
    assert str(out) in said and out.stat().st_size > 5000


def test_names_of_configs(tmp_path, monkeypatch):
    """Tools take the names that `mmfer train` takes, from any folder."""
    monkeypatch.chdir(tmp_path)
    cfg = read_named_config('ce_r18_synthfaces_noise30')
    assert cfg.train_dataloader.dataset.label_noise.rate == 0.3
    with pytest.raises(FileNotFoundError, match='^ce_r18_synthface: this config does'):
        read_named_config('ce_r18_synthface')


def test_what_is_missing_is_said(work_dir, tmp_path):
    (tmp_path / 'config.py').write_text('')
    said = call_tool('analysis_tools/confusion_matrix.py', tmp_path, code=1)
    assert said.startswith(str(tmp_path)) and 'mmfer test' in said
    assert 'config.py CHECKPOINT --out' in said
    spaced = tmp_path / 'meine Köpfe'
    spaced.mkdir()
    (spaced / 'config.py').write_text('')
    said = call_tool('analysis_tools/confusion_matrix.py', spaced, code=1)
    # The command can be pasted into a shell.
    command = said.partition('To write it, run: ')[2].strip()
    assert shlex.split(command) == [
        *('mmfer', 'test', str(spaced / 'config.py'), 'CHECKPOINT'),
        *('--out', str(spaced / 'predictions.npz')),
    ]
    mmengine.dump([1, 2], tmp_path / 'predictions.pkl')
    with pytest.raises(ValueError, match='can run code when it is read.*--out'):
        read_predictions(str(tmp_path / 'predictions.pkl'))
    said = call_tool('analysis_tools/reliability.py', tmp_path, code=1)
    assert 'predictions.pkl is not read' in said and 'predictions.npz' in said
    with pytest.raises(FileNotFoundError, match='history.json'):
        read_json(str(tmp_path), 'history.json')
    run = open_run(str(work_dir / 'predictions.npz'))
    unnamed = run._replace(predictions=run.predictions._replace(classes=()))
    assert unnamed.classes == list('0123456')
    with pytest.raises(ValueError, match='Name a work dir'):
        run.images([0])


def test_names_of_classes_in_a_file(work_dir, tmp_path):
    run = open_run(str(work_dir))
    run = run._replace(predictions=run.predictions._replace(classes=()))
    names = tmp_path / 'classes.txt'
    names.write_text('\n'.join('abcdefg'))
    run.config.test_dataloader.dataset.classes = str(names)
    assert run.classes == list('abcdefg')
    # Seven letters are not seven names.
    run.config.test_dataloader.dataset.classes = 'cls.txt'
    assert run.classes == list('0123456')


def test_highest_rejection(work_dir, tmp_path):
    said = call_tool(
        'analysis_tools/rejection_curve.py',
        work_dir,
        '--highest',
        100,
        '--out',
        tmp_path / 'x.png',
        code=1,
    )
    assert '--highest must lie' in said
