"""cleanlab's tables come in, and ours go out."""

import csv
import io
from argparse import Namespace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import load_tool, tiny_config, train
from mmengine.registry import init_default_scope

from mmfer.analysis.label_issues import from_label_issues, to_label_issues
from mmfer.registry import DATASETS
from mmfer.score_table import write_score_table


@pytest.fixture
def dataset():
    init_default_scope('mmfer')
    dataset = DATASETS.build(
        dict(
            type='SyntheticFaces',
            num_samples=300,
            size=16,
            label_noise=dict(type='SymmetricNoise', rate=0.3, seed=0),
        )
    )
    dataset.full_init()
    return dataset


def predictions(dataset, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.full(7, 0.3), len(dataset))
    scores[np.arange(len(dataset)), dataset.clean_labels] += 9
    return scores / scores.sum(axis=1, keepdims=True)


def test_table_of_cleanlab(dataset, tmp_path):
    """What cleanlab finds is what is dropped, and the data set takes it."""
    CleanLearning = pytest.importorskip('cleanlab.classification').CleanLearning
    scores = predictions(dataset)
    issues = CleanLearning().find_label_issues(
        labels=dataset.given_labels, pred_probs=scores
    )
    path = tmp_path / 'issues.csv'
    issues.to_csv(path)
    rows = from_label_issues(str(path), dataset)
    found = rows['decision'] == 'drop'
    assert found.tolist() == issues['is_label_issue'].tolist()
    assert 40 < found.sum() < 120
    # As precise as cleanlab wrote it: the digits are cut in our file only.
    np.testing.assert_allclose(
        rows['noise_score'], 1 - issues['label_quality'], rtol=1e-12
    )
    relabelled = from_label_issues(str(path), dataset, 'relabel')
    assert (relabelled['decision'] == 'relabel').tolist() == issues[
        'is_label_issue'
    ].tolist()
    assert relabelled['suggested_label'].tolist() == issues['predicted_label'].tolist()

    table = tmp_path / 'sample_scores.csv'
    write_score_table(str(table), rows, dataset.CLASSES)
    cleaned = DATASETS.build(
        dict(
            type='SyntheticFaces',
            num_samples=300,
            size=16,
            label_noise=dict(type='SymmetricNoise', rate=0.3, seed=0),
            decisions=str(table),
        )
    )
    cleaned.full_init()
    assert len(cleaned) == 300 - found.sum()


def test_round_trip(dataset, tmp_path):
    odd = np.arange(300) % 2
    table = dict(
        sample_id=np.arange(300),
        given_label=dataset.given_labels,
        noise_score=np.full(300, 0.25),
        suggested_label=(dataset.given_labels + odd) % 7,
        decision=np.where(odd, 'relabel', 'keep'),
    )
    path = tmp_path / 'issues.csv'
    path.write_bytes(to_label_issues({k: v[::-1] for k, v in table.items()}))
    issues = pd.read_csv(path, index_col=0)
    assert issues.is_label_issue.tolist() == [False, True] * 150
    assert (issues.label_score == 0.75).all()
    back = from_label_issues(str(path), dataset, 'relabel')
    for name, column in table.items():
        assert back[name].tolist() == column.tolist()


def test_export_of_a_spreadsheets_table(tmp_path, monkeypatch):
    table, out = tmp_path / 'scores.csv', tmp_path / 'issues.csv'
    table.write_bytes(
        'Sample_id;image;given_label;noise_score;suggested_label;decision\r\n'
        '1.0;b.png;3;0,25;4;Drop \r\n0.0;a.png;2;0,5;2;KEEP\r\n;;;;;\r\n'.encode(
            'utf-16'
        )
    )
    tool = load_tool('analysis_tools/cleanlab_tables.py')
    monkeypatch.setattr('sys.argv', ['x', 'export', str(table), '--out', str(out)])
    tool.main()
    issues = pd.read_csv(out, index_col=0)
    assert issues.is_label_issue.tolist() == [False, True]
    assert issues.label_score.tolist() == [0.5, 0.75]
    assert issues.predicted_label.tolist() == [2, 4]
    table.write_text('sample_id,image\n0,a\n')
    with pytest.raises(ValueError, match='line 1.*no column given_label'):
        tool.export(Namespace(table=str(table), out=str(out)))


def test_names_of_classes(dataset, tmp_path):
    names = dataset.metainfo['classes']
    path = tmp_path / 'issues.csv'
    with open(path, 'w') as file:
        writer = csv.writer(file)
        writer.writerow(
            ['', 'is_label_issue', 'label_score', 'given_label', 'predicted_label']
        )
        for i, label in enumerate(dataset.given_labels):
            writer.writerow([i, False, 0.5, names[label], names[0]])
    rows = from_label_issues(str(path), dataset)
    assert rows['given_label'].tolist() == dataset.given_labels.tolist()
    assert set(rows['suggested_label'].tolist()) == {0}


def issues_of(dataset, **columns):
    """A table of cleanlab's in which the first five samples are issues."""
    labels = dataset.given_labels
    return pd.DataFrame(
        {
            **dict(
                is_label_issue=[i < 5 for i in range(len(labels))],
                label_score=0.25,
                given_label=labels,
                predicted_label=(labels + 1) % 7,
            ),
            **columns,
        }
    )


def decisions_of(path, dataset):
    return from_label_issues(str(path), dataset)['decision'].tolist()


WANTED = ['drop'] * 5 + ['keep'] * 295


@pytest.mark.parametrize(
    'yes, no',
    [('True', 'False'), ('TRUE', 'false '), ('1', '0'), ('1.0', '0.0'), ('yes', 'No')],
)
def test_words_for_issues(dataset, tmp_path, yes, no):
    path = tmp_path / 'issues.csv'
    issues_of(dataset, is_label_issue=[yes] * 5 + [no] * 295).to_csv(path)
    assert decisions_of(path, dataset) == WANTED


@pytest.mark.parametrize('word', ['WAHR', '', 'nan', '2', '0.5', 'x'])
def test_other_words_for_issues(dataset, tmp_path, word):
    path = tmp_path / 'issues.csv'
    flags = ['True'] * 3 + [word] + ['False'] * 296
    issues_of(dataset, is_label_issue=flags).to_csv(path)
    with pytest.raises(
        ValueError,
        match=f'line 5: .*is_label_issue is {word!r}.*neither true nor false',
    ):
        from_label_issues(str(path), dataset)


@pytest.mark.parametrize(
    'save',
    [
        lambda table, path: table.to_csv(path),
        lambda table, path: table.to_csv(path, index=False),
        lambda table, path: table.to_csv(path, sep=';', decimal=','),
        lambda table, path: table.to_csv(path, sep='\t', encoding='utf-16'),
        lambda table, path: table.to_csv(
            path, encoding='utf-8-sig', lineterminator='\r\n'
        ),
        lambda table, path: table.astype(dict(given_label=float)).to_csv(path),
        # The index tells which sample a row is of.
        lambda table, path: table[::-1].to_csv(path),
        lambda table, path: table.sort_values('given_label').to_csv(path),
        # Within a class no label would tell that rows have moved.
        lambda table, path: (
            table[::-1]
            .sort_values('given_label', kind='stable')
            .rename_axis('id')
            .to_csv(path)
        ),
        lambda table, path: table.assign(note='x')[['note', *table.columns]].to_csv(
            path, index=False
        ),
    ],
)
def test_tables_as_saved(dataset, tmp_path, save):
    path = tmp_path / 'issues.csv'
    save(issues_of(dataset), path)
    assert decisions_of(path, dataset) == WANTED
    rows = from_label_issues(str(path), dataset)
    assert rows['sample_id'][7] == 7 and rows['noise_score'][7] == 0.75
    assert rows['suggested_label'][7] == (dataset.given_labels[7] + 1) % 7


@pytest.mark.parametrize(
    'index, message',
    [
        (range(1, 301), 'line 301: .*the index .300. is not a whole number below 300'),
        ([0, *range(299)], 'line 3: .*the index 0 is also in line 2'),
        ([f'{i}.png' for i in range(300)], "line 2: .*the index '0.png'"),
    ],
)
def test_wrong_index(dataset, tmp_path, index, message):
    path = tmp_path / 'issues.csv'
    issues_of(dataset).set_index(pd.Index(index)).to_csv(path)
    with pytest.raises(ValueError, match=message):
        from_label_issues(str(path), dataset)


@pytest.mark.parametrize(
    'names, written',
    [
        (list('1234567'), range(7)),
        (list('1234567'), list('1234567')),
        (list('0123456'), range(7)),
        (list('6543210'), range(7)),
        (list('6543210'), list('6543210')),
        (list('abcdefg'), list('abcdefg')),
    ],
)
def test_classes_called_by_numbers(dataset, tmp_path, names, written):
    """Numbers are indices if that fits the given labels, else names."""
    dataset._metainfo['classes'] = tuple(names)
    labels = dataset.given_labels
    path = tmp_path / 'issues.csv'
    issues_of(
        dataset,
        given_label=[written[i] for i in labels],
        predicted_label=[written[(i + 1) % 7] for i in labels],
    ).to_csv(path)
    rows = from_label_issues(str(path), dataset)
    assert rows['given_label'].tolist() == labels.tolist()
    assert rows['suggested_label'].tolist() == ((labels + 1) % 7).tolist()


@pytest.mark.parametrize('label', ['1e0', '\u0663', '2.5', 'nan', '', '-1'])
def test_labels_that_are_none(dataset, tmp_path, label):
    path = tmp_path / 'issues.csv'
    issues_of(dataset, predicted_label=[label] * 300).to_csv(path)
    with pytest.raises(ValueError, match='line 2: .*predicted_label'):
        from_label_issues(str(path), dataset)


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda t: t.drop(columns='given_label'), 'no column given_label'),
        (lambda t: t.drop(columns='label_score'), 'no column label_score'),
        (lambda t: t.iloc[:-1], '299 rows, but the data set has 300'),
        (
            lambda t: t.assign(given_label=(t.given_label + 1) % 7),
            'line 2: .*the given label',
        ),
        (lambda t: t.assign(predicted_label=9), "line 2: .*'9' is none of the 7"),
    ],
)
def test_another_table_is_refused(dataset, tmp_path, change, message):
    rows = dict(
        sample_id=np.arange(300),
        given_label=dataset.given_labels,
        suggested_label=dataset.given_labels,
        noise_score=np.full(300, 0.1),
        decision=np.full(300, 'keep'),
    )
    table = pd.read_csv(io.BytesIO(to_label_issues(rows)), index_col=0)
    change(table).to_csv(tmp_path / 'issues.csv')
    with pytest.raises(ValueError, match=message):
        from_label_issues(str(tmp_path / 'issues.csv'), dataset)


def test_pred_probs(tmp_path, monkeypatch):
    """They are the model's, in order, with the labels given."""
    cfg = tiny_config(tmp_path, 'ce/ce_r18_synthfaces_noise30', train_cfg__max_epochs=1)
    runner = train(cfg)
    (config,) = tmp_path.glob('*.py')
    *_, checkpoint = sorted(tmp_path.glob('*.pth'))
    out = tmp_path / 'probs.npz'
    tool = load_tool('analysis_tools/cleanlab_tables.py')
    monkeypatch.setattr(
        'sys.argv', ['x', 'pred-probs', str(config), str(checkpoint), '--out', str(out)]
    )
    tool.main()
    found = np.load(out)
    dataset = runner.train_dataloader.dataset
    assert found['sample_id'].tolist() == sorted(dataset.sample_ids.tolist())
    np.testing.assert_array_equal(found['labels'], dataset.given_labels)
    with open(tmp_path / 'sample_scores.csv') as file:
        noise = [float(row['noise_score']) for row in csv.DictReader(file)]
    given = torch.from_numpy(found['pred_probs']).gather(
        1, torch.from_numpy(found['labels'])[:, None]
    )[:, 0]
    np.testing.assert_allclose(1 - given, noise, atol=1e-5)
