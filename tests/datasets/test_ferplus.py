import os.path as osp
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mmfer.datasets import FERPlus
from mmfer.datasets.batches import fer_collate
from mmfer.datasets.ferplus import argmax_labels, majority_labels, read_votes

ROOT = osp.dirname(osp.dirname(osp.dirname(osp.abspath(__file__))))
DATA = osp.join(ROOT, 'data', 'ferplus')
HEADER = (
    'Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,'
    'fear,contempt,unknown,NF'
)
NEUTRAL, HAPPINESS, SURPRISE, SADNESS, ANGER = range(5)
# Each case: votes, label by arg-max, label by majority.
CASES = [
    # A clear majority.
    ([0, 9, 1, 0, 0, 0, 0, 0, 0, 0], HAPPINESS, HAPPINESS),
    ([0, 0, 0, 0, 0, 0, 0, 10, 0, 0], 7, 7),
    # A tie of two emotions: arg-max takes the first; there is no majority.
    ([0, 0, 5, 5, 0, 0, 0, 0, 0, 0], SURPRISE, -1),
    # A plurality without a majority.
    ([4, 0, 3, 3, 0, 0, 0, 0, 0, 0], NEUTRAL, -1),
    # Half is not more than half.
    ([0, 0, 0, 0, 5, 2, 3, 0, 0, 0], ANGER, -1),
    # Single votes do not count against a majority: 4 of 8, but 4 of 4 + 2.
    ([0, 0, 0, 4, 1, 0, 2, 1, 0, 0], SADNESS, SADNESS),
    # Single votes do not count for a majority: none of them are left.
    ([1, 0, 0, 1, 1, 0, 0, 1, 0, 0], NEUTRAL, -1),
    # Unknown or not-a-face has more votes, as many, or fewer.
    ([3, 0, 0, 0, 0, 0, 0, 0, 7, 0], -1, -1),
    ([3, 0, 0, 0, 0, 0, 0, 0, 0, 7], -1, -1),
    ([5, 0, 0, 0, 0, 0, 0, 0, 5, 0], -1, -1),
    ([0, 5, 0, 0, 0, 0, 0, 0, 0, 5], -1, -1),
    ([0, 6, 0, 0, 0, 0, 0, 0, 4, 0], HAPPINESS, HAPPINESS),
    # Each of the two is compared with the best emotion, not their sum.
    ([0, 4, 0, 0, 0, 0, 0, 0, 3, 3], HAPPINESS, -1),
    ([0, 0, 0, 0, 0, 0, 0, 0, 0, 10], -1, -1),
]
VOTES = np.array([case[0] for case in CASES])


@pytest.fixture
def make(tmp_path, write_image):
    """Return a function that writes rows (usage, name, votes) and images."""

    def make(rows, header=HEADER):
        folders = dict(
            Training='FER2013Train',
            PublicTest='FER2013Valid',
            PrivateTest='FER2013Test',
        )
        for folder in folders.values():
            (tmp_path / folder).mkdir(exist_ok=True)
        lines = [header]
        for usage, name, votes in rows:
            lines.append(','.join([usage, name, *map(str, votes)]))
            if name:
                write_image(tmp_path / folders[usage] / name, size=8)
        (tmp_path / 'fer2013new.csv').write_text('\n'.join(lines) + '\n')
        return str(tmp_path)

    return make


@pytest.fixture
def root(make):
    return make(
        [('Training', f'fer{i:07d}.png', votes) for i, votes in enumerate(VOTES)]
    )


def test_protocols():
    assert argmax_labels(VOTES).tolist() == [case[1] for case in CASES]
    assert majority_labels(VOTES).tolist() == [case[2] for case in CASES]


@pytest.mark.parametrize('protocol, column', [('argmax', 1), ('majority', 2)])
def test_data_set_by_protocol(root, protocol, column):
    kept = [i for i, case in enumerate(CASES) if case[column] >= 0]
    dataset = FERPlus(root, protocol=protocol)
    assert dataset.get_gt_labels().tolist() == [CASES[i][column] for i in kept]
    names = [
        osp.basename(dataset.get_data_info(i)['img_path']) for i in range(len(dataset))
    ]
    assert names == [f'fer{i:07d}.png' for i in kept]
    # sample_id and the votes count the kept rows only.
    assert dataset.sample_ids.tolist() == list(range(len(kept)))
    np.testing.assert_array_equal(dataset.votes, VOTES[kept])
    assert dataset.CLASSES[NEUTRAL] == 'neutral' and len(dataset.CLASSES) == 8


def test_default_is_argmax(root):
    assert len(FERPlus(root)) == sum(case[1] >= 0 for case in CASES)


def test_splits(make):
    root = make(
        [
            ('Training', 'a.png', VOTES[0]),
            ('PublicTest', 'b.png', VOTES[1]),
            ('PrivateTest', 'c.png', VOTES[5]),
            ('PrivateTest', 'd.png', VOTES[0]),
        ]
    )
    sizes = dict(train=1, valid=1, test=2)
    for split, size in sizes.items():
        dataset = FERPlus(root, split=split)
        assert len(dataset) == size
        assert dataset.test_mode == (split != 'train')
    path = FERPlus(root, split='valid').get_data_info(0)['img_path']
    assert path == osp.join(root, 'FER2013Valid', 'b.png')
    assert FERPlus(root, test_mode=True).test_mode


def test_missing_split(make, tmp_path):
    root = make([('Training', 'a.png', VOTES[0]), ('PublicTest', 'b.png', VOTES[1])])
    way_out = (
        r'Here are train, valid\. .*or choose another split, as with --cfg-options '
        r'val_dataloader\.dataset\.split=valid\.'
    )
    no_row = r"split='test' is missing: \S*fer2013new\.csv has no row .*PrivateTest\)"
    with pytest.raises(FileNotFoundError, match=rf'{no_row}\. {way_out}'):
        FERPlus(root, split='test')
    (tmp_path / 'FER2013Test').rmdir()
    with pytest.raises(FileNotFoundError, match=f'{no_row} and there is no folder'):
        FERPlus(root, split='test')
    make([('Training', 'a.png', VOTES[0]), ('PrivateTest', '', VOTES[1])])
    with pytest.raises(FileNotFoundError, match='names its images. Here are train,'):
        FERPlus(root, split='test')
    make([('Training', 'a.png', VOTES[0]), ('PrivateTest', 'c.png', VOTES[1])])
    (tmp_path / 'FER2013Test/c.png').unlink()
    (tmp_path / 'FER2013Test').rmdir()
    with pytest.raises(FileNotFoundError, match='missing: there is no folder'):
        FERPlus(root, split='test')


def test_row_without_image_name_is_left_out(make):
    root = make([('Training', '', VOTES[0]), ('Training', 'a.png', VOTES[1])])
    dataset = FERPlus(root)
    assert dataset.get_gt_labels().tolist() == [7]
    np.testing.assert_array_equal(dataset.votes, VOTES[[1]])


def test_image_in_two_rows_is_two_samples(make):
    root = make(
        [
            ('Training', 'a.png', VOTES[0]),
            ('Training', 'b.png', VOTES[1]),
            ('Training', 'a.png', VOTES[5]),
        ]
    )
    dataset = FERPlus(root)
    assert dataset.get_gt_labels().tolist() == [HAPPINESS, 7, SADNESS]
    dataset.set_labels([2], [ANGER])
    assert dataset.get_gt_labels().tolist() == [HAPPINESS, 7, ANGER]


def test_soft_labels(root):
    dataset = FERPlus(
        root,
        soft_labels=True,
        pipeline=[dict(type='LoadFERImage'), dict(type='PackFERInputs')],
    )
    for i in range(len(dataset)):
        sample = dataset[i]['data_samples']
        assert sample.gt_score.shape == (8,)
        assert float(sample.gt_score.sum()) == pytest.approx(1)
        assert float(sample.gt_score[sample.gt_label]) == float(sample.gt_score.max())
    batch = fer_collate(dataset.__getitems__([1, 0]))['data_samples']
    for i, scores in zip((1, 0), batch.gt_score, strict=True):
        assert torch.equal(scores, dataset[i]['data_samples'].gt_score)
    # Shares are of the votes for emotions only: 6 of 6, not 6 of 10.
    row = [i for i, case in enumerate(CASES) if case[1] >= 0].index(11)
    assert dataset.get_data_info(row)['gt_score'][HAPPINESS] == 1
    assert 'gt_score' not in FERPlus(root).get_data_info(0)


def test_soft_labels_with_noise_are_refused(root):
    noise = dict(type='SymmetricNoise', rate=0.3)
    with pytest.raises(ValueError, match='undoes label_noise'):
        FERPlus(root, soft_labels=True, label_noise=noise)
    with pytest.raises(ValueError, match='measure the noise'):
        FERPlus(root, split='valid', label_noise=noise)
    assert FERPlus(root, label_noise=noise).noise_manifest()


def test_unknown_names(root):
    with pytest.raises(ValueError, match="no split 'val'.*train, valid, test"):
        FERPlus(root, split='val')
    with pytest.raises(ValueError, match="'argmax' or 'majority', got 'soft'"):
        FERPlus(root, protocol='soft')


def test_missing_root(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        FERPlus(str(tmp_path / 'nowhere'))
    message = str(caught.value)
    for part in (
        'fer2013new.csv',
        'FER2013Train',
        'FERPlus page',
        'data_root',
        'synthfaces',
    ):
        assert part in message


def test_malformed_row(make, tmp_path):
    root = make([('Training', 'a.png', VOTES[0])] * 2)
    path = tmp_path / 'fer2013new.csv'
    good = path.read_text()
    for bad in (
        'Training,b.png,1,2',
        'Training,b.png' + ',1' * 11,
        'Training,b.png,x' + ',1' * 9,
        'Training,b.png,-1' + ',1' * 9,
        'Training,b.png,0.5' + ',1' * 9,
        # Sums of such counts would not fit into int64.
        f'Training,b.png,{10**30}' + ',1' * 9,
        f'Training,b.png,{2**62}' + ',1' * 9,
    ):
        path.write_text(good + bad + '\n')
        with pytest.raises(ValueError, match='line 4: .*b.png'):
            FERPlus(root)
    path.write_text(good + '\n')  # An empty line is nothing.
    assert len(FERPlus(root)) == 2


@pytest.fixture
def said(monkeypatch):
    """Return the list of logged texts."""
    texts = []
    monkeypatch.setattr(
        'mmfer.datasets.ferplus.print_log', lambda text, *_, **__: texts.append(text)
    )
    return texts


def save_columns(root, order, **kwargs):
    """Write the table with its columns in another order."""
    path = Path(root, 'fer2013new.csv')
    table = pd.read_csv(path, keep_default_na=False)
    table[order].to_csv(path, index=kwargs.pop('index', False), **kwargs)


@pytest.mark.parametrize(
    'kwargs',
    [
        {},
        dict(sep=';', encoding='utf-8-sig'),
        dict(index=True),
        dict(sep='\t', encoding='utf-16', lineterminator='\r\n'),
    ],
)
def test_columns_go_by_the_header(root, kwargs):
    before = FERPlus(root)
    save_columns(root, HEADER.split(',')[::-1], **kwargs)
    dataset = FERPlus(root)
    np.testing.assert_array_equal(dataset.votes, before.votes)
    assert dataset.get_gt_labels().tolist() == before.get_gt_labels().tolist()


def test_written_table_is_that_of_the_publisher(root, tmp_path, monkeypatch):
    dataset = FERPlus(root)
    ids = dataset.sample_ids
    path = tmp_path / 'new.csv'
    dataset.write_list(str(path), ids, dataset.given_labels)
    assert path.read_bytes() == (tmp_path / 'fer2013new.csv').read_bytes()
    monkeypatch.setenv('HOME', str(tmp_path))
    again = FERPlus(root, table='~/new.csv')
    assert again.get_gt_labels().tolist() == dataset.given_labels.tolist()
    save_columns(root, HEADER.split(',')[::-1], sep=';')
    expected = path.read_bytes()
    FERPlus(root).write_list(str(path), ids, dataset.given_labels)
    assert path.read_bytes() == expected


@pytest.mark.parametrize(
    'change, message',
    [
        (
            lambda text: text.replace('disgust', 'disgusted', 1),
            'line 1: .*no column disgust',
        ),
        (
            lambda text: text.replace('NF', 'NF,age', 1).replace('0\n', '0,3\n'),
            "line 1: .*column 'age' is unknown",
        ),
        (lambda text: text.replace('fear', 'anger', 1), "'anger'.*number 7"),
        (
            lambda text: text.replace('Training', 'Train'),
            "line 2: .*usage 'Train' is none of Training, PublicTest",
        ),
        (lambda text: text.replace(',9,', ',1_0,', 1), "line 2: .*'1_0'"),
        (lambda text: text.replace(',9,', ',\u0669,', 1), 'line 2: .*no whole'),
        (lambda text: text.replace(',9,', ',-9,', 1), 'line 2: .*-9 votes'),
        (lambda text: text.replace(',9,', ',,', 1), "line 2: .*''"),
    ],
)
def test_tables_of_another_kind(root, change, message):
    path = Path(root, 'fer2013new.csv')
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=message):
        FERPlus(root)


def test_usage_in_other_letters(make):
    root = make(
        [
            ('Training', 'a.png', VOTES[0]),
            ('Training', 'b.png', VOTES[1]),
            ('PublicTest', 'c.png', VOTES[1]),
        ]
    )
    path = Path(root, 'fer2013new.csv')
    path.write_text(
        path.read_text()
        .replace('Training,a', 'TRAINING ,a')
        .replace('Training,b', 'training,b')
        .replace('PublicTest', 'Public Test')
        .replace('9', '9.0')
    )
    assert FERPlus(root).get_gt_labels().tolist() == [HAPPINESS, 7]
    assert len(FERPlus(root, split='valid')) == 1


def test_what_is_left_out_or_double_is_said(make, said):
    root = make(
        [
            ('Training', '', VOTES[0]),
            ('Training', 'a.png', VOTES[1]),
            ('PublicTest', 'a.png', VOTES[1]),
            ('Training', 'b.png', VOTES[1]),
            ('Training', '', VOTES[0]),
            ('Training', 'a.png', VOTES[5]),
        ]
    )
    assert len(FERPlus(root)) == 3
    nameless, double = said
    for part in ('2 Training row(s)', 'line 2.', 'name no image'):
        assert part in nameless
    for part in ('1 image(s)', 'a.png', 'lines 3 and 7', 'All rows are used'):
        assert part in double
    said.clear()
    assert len(FERPlus(root, split='valid')) == 1 and not said


def test_file_without_header_does_not_lose_its_first_row(make, tmp_path):
    root = make([('Training', 'a.png', VOTES[0])] * 2)
    path = tmp_path / 'fer2013new.csv'
    path.write_text(path.read_text().split('\n', 1)[1])
    with pytest.raises(ValueError, match='header'):
        FERPlus(root)
    path.write_text('')
    with pytest.raises(ValueError, match='header'):
        FERPlus(root)


@pytest.mark.skipif(not osp.isdir(DATA), reason='FERPlus is not here')
def test_published_counts():
    table = osp.join(DATA, 'fer2013new.csv')
    for usage, argmax, majority in (
        ('Training', 28153, 25060),
        ('PublicTest', 3524, 3199),
    ):
        names, votes = read_votes(table, usage)
        assert (argmax_labels(votes) >= 0).sum() == argmax
        assert (majority_labels(votes) >= 0).sum() == majority
    dataset = FERPlus(DATA, split='valid')
    assert len(dataset) == 3524
    assert len(FERPlus(DATA, split='valid', protocol='majority')) == 3199
