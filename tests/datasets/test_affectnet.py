from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import CONFIGS
from made_data import AFFECTNET_COLUMNS, make_affectnet, write_annotation
from mmengine.config import Config
from mmengine.runner import Runner

from mmfer.datasets import AffectNet
from mmfer.registry import DATASETS, MODELS

PIPELINE = [
    dict(type='LoadFERImage'),
    dict(type='PackFERInputs', algorithm_keys=('gt_va',)),
]
TABLES = 'Manually_Annotated_file_lists'
RELEASES = ('csv', 'npy')
# Rows of the made training split that have an expression, by release.
ROWS = dict(csv=[i for i in range(22) if i % 11 < 8], npy=list(range(22)))
LABELS = dict(csv=[i % 11 for i in ROWS['csv']], npy=[i % 8 for i in ROWS['npy']])


@pytest.fixture(params=RELEASES)
def release(request):
    return request.param


@pytest.fixture
def root(release, tmp_path):
    return make_affectnet(tmp_path, release)


@pytest.fixture
def csv_root(tmp_path):
    return make_affectnet(tmp_path, 'csv')


def names_of(dataset):
    return [
        Path(dataset.get_data_info(i)['img_path']).name for i in range(len(dataset))
    ]


def va_of(dataset):
    return [dataset.get_data_info(i)['gt_va'].tolist() for i in range(len(dataset))]


def edit_table(root, change, name='training'):
    """Replace the lines of a table below its header."""
    path = root / TABLES / f'{name}.csv'
    header, *rows = path.read_text().splitlines()
    path.write_text('\n'.join([header, *change(rows)]) + '\n')
    return str(path)


def edit_row(root, number, **fields):
    """Change fields of one row of the training table."""

    def change(rows):
        row = dict(zip(AFFECTNET_COLUMNS.split(','), rows[number].split(',')))
        rows[number] = ','.join({**row, **fields}.values())
        return rows

    return edit_table(root, change)


# -- both releases -----------------------------------------------------------
def test_labels_and_values(root, release):
    dataset = AffectNet(str(root), pipeline=PIPELINE)
    assert dataset.get_gt_labels().tolist() == LABELS[release]
    names = [
        f'training{i}.jpg' if release == 'csv' else f'{i}.jpg' for i in ROWS[release]
    ]
    assert names_of(dataset) == names
    np.testing.assert_allclose(
        va_of(dataset), [[i / 100, -i / 100] for i in ROWS[release]]
    )
    assert dataset.CLASSES == (
        'neutral',
        'happy',
        'sad',
        'surprise',
        'fear',
        'disgust',
        'anger',
        'contempt',
    )
    assert not dataset.test_mode and dataset.clean_labels is None

    sample = dataset[9]['data_samples']
    assert sample.gt_va.dtype == np.float32
    assert sample.gt_va.tolist() == va_of(dataset)[9]
    assert sample.sample_id == 9
    assert int(sample.gt_label) == LABELS[release][9]


def test_validation_split(root, release):
    dataset = AffectNet(str(root), split='val')
    assert dataset.test_mode
    wanted = (
        [i % 8 for i in range(16)]
        if release == 'npy'
        else [i % 11 for i in range(16) if i % 11 < 8]
    )
    assert dataset.get_gt_labels().tolist() == wanted
    assert all('valid' in name or release == 'npy' for name in names_of(dataset))
    with pytest.raises(ValueError, match='label_noise=.* for an evaluation'):
        AffectNet(
            str(root), split='val', label_noise=dict(type='SymmetricNoise', rate=0.3)
        )


def test_seven_classes_have_no_contempt(root, release):
    dataset = AffectNet(str(root), num_classes=7)
    assert dataset.num_classes == 7 and 'contempt' not in dataset.CLASSES
    kept = [(i, y) for i, y in zip(ROWS[release], LABELS[release]) if y < 7]
    assert dataset.get_gt_labels().tolist() == [y for _, y in kept]
    # The values belong to the images that are left.
    np.testing.assert_allclose(va_of(dataset), [[i / 100, -i / 100] for i, _ in kept])
    assert dataset.sample_ids.tolist() == list(range(len(kept)))


def test_subset_labels_and_relabelling(root, release):
    full = AffectNet(str(root))
    part = full.get_subset([9, 2])
    assert part.sample_ids.tolist() == [9, 2]
    np.testing.assert_array_equal(
        part.get_data_info(0)['gt_va'], full.get_data_info(9)['gt_va']
    )
    part.set_labels([9], [7])
    assert full.get_data_info(9)['gt_label'] == 7
    assert full.given_labels.tolist() == LABELS[release]


def test_planted_noise(root, release):
    dataset = AffectNet(
        str(root), label_noise=dict(type='SymmetricNoise', rate=0.5, seed=0)
    )
    assert dataset.clean_labels.tolist() == LABELS[release]
    wrong = dataset.given_labels != dataset.clean_labels
    assert wrong.sum() == round(len(dataset) * 0.5)


def test_missing_image(root, release):
    next(
        root.rglob('training4.jpg' if release == 'csv' else 'train_set/images/4.jpg')
    ).unlink()
    with pytest.raises(FileNotFoundError, match='1 of .*4.jpg'):
        AffectNet(str(root))


def test_class_without_a_sample_is_named(root, release, said):
    """Training goes on, with a warning."""
    keep = {i for i, y in zip(ROWS[release], LABELS[release]) if y not in (2, 5)}
    if release == 'csv':
        edit_table(root, lambda rows: [rows[i] for i in sorted(keep)])
    else:
        for i in set(range(22)) - keep:
            for path in (root / 'train_set/annotations').glob(f'{i}_*.npy'):
                path.unlink()
    dataset = AffectNet(str(root))
    assert len(dataset) == len(keep)
    warnings = [text for text in said if 'no sample' in text]
    assert len(warnings) == 1
    assert str(root) in warnings[0] and 'of sad, disgust.' in warnings[0]


def test_complete_split_warns_of_nothing(root, said):
    AffectNet(str(root))
    AffectNet(str(root), num_classes=7)
    assert not [text for text in said if 'no sample' in text]


# -- the tables --------------------------------------------------------------
def test_rows_are_joined_by_name(csv_root):
    before = AffectNet(str(csv_root))
    labels = dict(zip(names_of(before), before.get_gt_labels().tolist()))
    values = dict(zip(names_of(before), va_of(before)))
    edit_table(csv_root, lambda rows: rows[::-1])
    after = AffectNet(str(csv_root))
    assert names_of(after) == names_of(before)[::-1]
    assert dict(zip(names_of(after), after.get_gt_labels())) == labels
    assert dict(zip(names_of(after), va_of(after))) == values


def test_table_without_header(tmp_path):
    root = make_affectnet(tmp_path, header=False)
    assert AffectNet(str(root)).get_gt_labels().tolist() == LABELS['csv']


def test_columns_are_found_by_the_header(csv_root):
    path = csv_root / TABLES / 'training.csv'
    rows = [line.split(',') for line in path.read_text().splitlines()]
    path.write_text('\n'.join(','.join(row[::-1]) for row in rows))
    dataset = AffectNet(str(csv_root))
    assert dataset.get_gt_labels().tolist() == LABELS['csv']
    assert dataset.get_data_info(3)['gt_va'].tolist() == pytest.approx([0.03, -0.03])
    # Columns that are not read may be missing, and there may be others.
    wanted = [
        i
        for i, name in enumerate(rows[0])
        if 'face' not in name and 'facial' not in name
    ]
    path.write_text(
        '\n'.join(','.join([*(row[i] for i in wanted), 'more']) for row in rows)
    )
    assert len(wanted) == 4
    assert AffectNet(str(csv_root)).get_gt_labels().tolist() == LABELS['csv']


@pytest.mark.parametrize(
    'change',
    [
        lambda text: text.replace(';', '|').replace(',', ';').encode('utf-8-sig'),
        lambda text: text.replace(',', '\t').encode('utf-16'),
        lambda text: text.replace('\n', '\r').encode(),
        lambda text: ''.join(
            f'{i - 1 if i else ""},{line}\n' for i, line in enumerate(text.splitlines())
        ).encode(),
        lambda text: (text + ',,,,,,,,\n').encode(),
        lambda text: text.replace('1/training', '1\\training').encode(),
        lambda text: (
            text.split('\n', 1)[1].replace(';', '|').replace(',', ';').encode()
        ),
    ],
)
def test_tables_of_spreadsheets(csv_root, change):
    path = csv_root / TABLES / 'training.csv'
    before = AffectNet(str(csv_root))
    path.write_bytes(change(path.read_text()))
    dataset = AffectNet(str(csv_root))
    assert dataset.get_gt_labels().tolist() == LABELS['csv']
    assert va_of(dataset) == va_of(before)
    assert names_of(dataset) == names_of(before)


def test_decimal_commas(csv_root):
    path = csv_root / TABLES / 'training.csv'
    text = path.read_text().replace(';', '|').replace(',', ';')
    path.write_text(text.replace('0.0', '0,0'))
    assert AffectNet(str(csv_root)).get_data_info(3)['gt_va'].tolist() == pytest.approx(
        [0.03, -0.03]
    )


@pytest.mark.parametrize(
    'again', ['1/training0.jpg', './1/training0.jpg', '2\\..\\1\\training0.jpg']
)
def test_image_twice(csv_root, said, again):
    row = f'{again},1,2,15,16,1.5;2.5,{{}},0.5,0.5'
    edit_table(csv_root, lambda rows: [*rows, row.format(0), row.format(0)])
    assert len(AffectNet(str(csv_root))) == len(ROWS['csv']) + 2
    (text,) = [text for text in said if 'repeat' in text]
    for part in ('2 of ', 'training0.jpg', 'line 2 ', 'line 24', 'All are'):
        assert part in text
    path = edit_table(csv_root, lambda rows: [*rows[:-1], row.format(3)])
    with pytest.raises(
        ValueError, match=f'{path}, line 25: .*expression 3, and 0 at {path}, line 2'
    ):
        AffectNet(str(csv_root))


def test_table_in_the_home_folder(csv_root, tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    dataset = AffectNet(str(csv_root))
    dataset.write_list(str(tmp_path / 'new.csv'), [0, 3], [1, 2])
    again = AffectNet(str(csv_root), table='~/new.csv')
    assert again.get_gt_labels().tolist() == [1, 2]


def test_decisions_on_an_image_that_is_there_twice(csv_root, said, tmp_path):
    """Samples keep their own labels, also in a written table."""
    row = '1/training0.jpg,1,2,15,16,1.5;2.5,0,0.5,0.5'
    edit_table(csv_root, lambda rows: [*rows, row])
    dataset = AffectNet(str(csv_root))
    labels = dataset.given_labels.copy()
    labels[-1] = 5
    path = str(tmp_path / 'new.csv')
    dataset.write_list(path, dataset.sample_ids, labels)
    said.clear()
    again = AffectNet(str(csv_root), table=path)
    assert again.get_gt_labels().tolist() == labels.tolist()
    assert '1 of them with another expression' in said[0]
    # Without repeats the table has no sample_id.
    dataset.write_list(path, dataset.sample_ids[:-1], labels[:-1])
    assert Path(path).read_text().splitlines()[0] == (
        'subDirectory_filePath,expression,valence,arousal'
    )


def test_tables_beside_the_images(csv_root):
    for path in (csv_root / TABLES).iterdir():
        path.rename(csv_root / path.name)
    (csv_root / TABLES).rmdir()
    assert AffectNet(str(csv_root)).get_gt_labels().tolist() == LABELS['csv']


def test_images_of_no_expression_are_left_out(csv_root):
    names = names_of(AffectNet(str(csv_root)))
    assert not {f'training{i}.jpg' for i in (8, 9, 10, 19, 20, 21)} & set(names)


@pytest.mark.parametrize(
    'expression', ['11', '-1', '2.5', 'happy', '', 'nan', '1e0', '0_1', '\u0663']
)
def test_expression_out_of_range(csv_root, expression):
    path = edit_row(csv_root, 3, expression=expression)
    with pytest.raises(ValueError) as caught:
        AffectNet(str(csv_root))
    # The header is line 1.
    assert f'{path}, line 5' in str(caught.value)
    assert 'training3.jpg' in str(caught.value)
    assert repr(expression) in str(caught.value)


def test_missing_valence_and_arousal_are_nan(csv_root):
    edit_row(csv_root, 2, valence='-2', arousal='-2')
    edit_row(csv_root, 3, arousal='-2.0')
    edit_row(csv_root, 4, valence='-1', arousal='1.000')
    dataset = AffectNet(str(csv_root), pipeline=PIPELINE)
    assert len(dataset) == len(ROWS['csv'])
    assert np.isnan(dataset.get_data_info(2)['gt_va']).all()
    assert np.isnan(dataset[2]['data_samples'].gt_va).all()
    valence, arousal = dataset.get_data_info(3)['gt_va']
    assert valence == np.float32(0.03) and np.isnan(arousal)
    assert dataset.get_data_info(4)['gt_va'].tolist() == [-1, 1]


@pytest.mark.parametrize(
    'value', ['1.01', '-1.5', '-3', 'inf', 'nan', '', '0_1', '\u0660']
)
@pytest.mark.parametrize('name', ['valence', 'arousal'])
def test_valence_or_arousal_out_of_range(csv_root, name, value):
    path = edit_row(csv_root, 1, **{name: value})
    with pytest.raises(ValueError) as caught:
        AffectNet(str(csv_root))
    for part in (
        f'{path}, line 3',
        f'the {name} of',
        'training1.jpg',
        repr(value),
        '-2 for missing',
    ):
        assert part in str(caught.value)


def test_values_of_left_out_images_are_not_looked_at(csv_root):
    edit_row(csv_root, 8, valence='-7')
    edit_row(csv_root, 7, arousal='7')
    assert len(AffectNet(str(csv_root), num_classes=7)) == 14
    with pytest.raises(ValueError, match='the arousal of'):
        AffectNet(str(csv_root))


def test_table_of_another_kind(csv_root):
    path = csv_root / TABLES / 'training.csv'
    path.write_text('a.jpg,3\n')
    with pytest.raises(ValueError, match='line 1.*the header has no column'):
        AffectNet(str(csv_root))
    path.write_text('subDirectory_filePath,expression,valence\na.jpg,3,0\n')
    with pytest.raises(ValueError, match='line 1.*the header has no column'):
        AffectNet(str(csv_root))
    path.write_text('')
    with pytest.raises(ValueError, match='the file is empty'):
        AffectNet(str(csv_root))


def test_truncated_table(csv_root):
    path = edit_table(csv_root, lambda rows: [*rows[:3], rows[3][:20]])
    with pytest.raises(ValueError) as caught:
        AffectNet(str(csv_root))
    assert f'{path}, line 5' in str(caught.value)
    assert 'fields instead of 9' in str(caught.value)


# -- the per-image release ---------------------------------------------------
@pytest.fixture
def notes(tmp_path):
    """Folder with the annotations of a per-image release."""
    return make_affectnet(tmp_path, 'npy') / 'train_set/annotations'


def load_from(notes, **kwargs):
    return AffectNet(str(notes.parent.parent), **kwargs)


def test_ids_need_not_be_consecutive(notes):
    for path in [*notes.glob('3_*'), *notes.glob('10_*')]:
        path.unlink()
    dataset = load_from(notes)
    kept = [i for i in range(22) if i not in (3, 10)]
    assert names_of(dataset) == [f'{i}.jpg' for i in kept]
    assert dataset.get_gt_labels().tolist() == [i % 8 for i in kept]


def test_scalars_may_be_numbers(notes):
    np.save(notes / '1_exp.npy', np.int64(6))
    np.save(notes / '1_val.npy', np.array([0.25]))
    np.save(notes / '1_aro.npy', np.float32(-2))
    info = load_from(notes).get_data_info(1)
    assert info['gt_label'] == 6
    assert info['gt_va'][0] == 0.25 and np.isnan(info['gt_va'][1])


@pytest.mark.parametrize(
    'values, part',
    [
        (('11', '0', '0'), 'the expression'),
        (('1', '-1.2', '0'), 'the valence'),
        (('1', '0', '3'), 'the arousal'),
    ],
)
def test_annotation_out_of_range(notes, values, part):
    write_annotation(notes, 5, *values)
    with pytest.raises(ValueError) as caught:
        load_from(notes)
    assert f'{notes}/5_*.npy: {part}' in str(caught.value)


def test_annotation_that_is_no_number(notes):
    for content in (np.array(['1', '2']), np.array(None, dtype=object)):
        np.save(notes / '5_val.npy', content, allow_pickle=True)
        with pytest.raises(ValueError, match='5_val.npy does not hold a sing'):
            load_from(notes)
    good = (notes / '5_exp.npy').read_bytes()
    for damaged in (
        good.replace(b"'fortran_order'", b"'fortra\0\0\0\0\0\0\0\0\0"),
        good.replace(b'3', b'3\0').replace(b'<U1', b'<U9'),
        good.replace(b'()', b'(9999999999999999,)'),
        b'PK\3\4' + good,
        good + bytes(20_000),
    ):
        (notes / '5_val.npy').write_bytes(damaged)
        with pytest.raises(ValueError, match='5_val.npy does not hold a single'):
            load_from(notes)
    (notes / '5_val.npy').write_bytes(b'')
    with pytest.raises(ValueError, match='5_val.npy does not hold a single'):
        load_from(notes)
    (notes / '5_val.npy').unlink()
    with pytest.raises(FileNotFoundError, match='5_val.npy is missing'):
        load_from(notes)


# -- arguments and configs ---------------------------------------------------
def test_missing_root(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        AffectNet(str(tmp_path / 'nowhere'))
    for part in (
        'Manually_Annotated_file_lists/training.csv',
        'nowhere/training.csv',
        'Manually_Annotated_Images',
        'train_set/images',
        'train_set/annotations',
        '(missing)',
        'mohammadmahoor.com',
        'free for research',
        'data_root',
    ):
        assert part in str(caught.value)
    make_affectnet(tmp_path)
    (tmp_path / 'Manually_Annotated_Images').rename(tmp_path / 'Images')
    with pytest.raises(FileNotFoundError) as caught:
        AffectNet(str(tmp_path))
    assert 'training.csv (found)' in str(caught.value)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="no split 'test', only train, val"):
        AffectNet(split='test')
    with pytest.raises(ValueError, match='num_classes must be 7 or 8, got 10'):
        AffectNet(num_classes=10)


def test_too_few_class_names_lose_no_sample(csv_root):
    with pytest.raises(ValueError, match=r'outside \[0, 2\)'):
        AffectNet(str(csv_root), classes=['glad', 'sad'])


@pytest.mark.parametrize('num_classes', [7, 8])
def test_base_config(num_classes, root):
    cfg = Config.fromfile(f'{CONFIGS}/_base_/datasets/affectnet{num_classes}.py')
    assert cfg.train_dataloader.batch_size == 96
    assert cfg.val_dataloader == cfg.test_dataloader
    preprocessor = MODELS.build(cfg.data_preprocessor)
    assert preprocessor.num_classes == num_classes
    for key in ('train_dataloader', 'val_dataloader'):
        cfg[key].dataset.data_root = str(root)
        dataset = DATASETS.build(cfg[key].dataset)
        assert dataset.num_classes == num_classes
        assert dataset.test_mode == (key == 'val_dataloader')
        batch = preprocessor(
            dict(
                inputs=[dataset[0]['inputs']], data_samples=[dataset[0]['data_samples']]
            )
        )
        assert batch['inputs'].shape == (1, 3, 224, 224)
        assert torch.isfinite(batch['inputs']).all()


def test_oversampling_by_one_option(root):
    cfg = Config.fromfile(f'{CONFIGS}/_base_/datasets/affectnet8.py')
    cfg.merge_from_dict(
        {
            'train_dataloader.sampler.type': 'BalancedSampler',
            'train_dataloader.dataset.data_root': str(root),
            'train_dataloader.dataset.indices': [0, 1, 2, 3, 8],
            'train_dataloader.dataset.pipeline': PIPELINE,
            'train_dataloader.batch_size': 1,
            'train_dataloader.num_workers': 0,
        }
    )
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    labels = [int(batch['data_samples'][0].gt_label) for batch in loader]
    assert sorted(set(labels)) == sorted(set(loader.dataset.get_gt_labels().tolist()))
    assert len(labels) == 5
    assert np.ptp(np.unique(labels, return_counts=True)[1]) <= 1
