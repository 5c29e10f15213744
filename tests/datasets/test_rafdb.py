import hashlib

import numpy as np
import pytest

from mmfer.datasets import RAFDB
from mmfer.datasets.noise import labels_sha256

PIPELINE = [dict(type='LoadFERImage'), dict(type='PackFERInputs')]
TRAIN = [f'train_{i:05d}' for i in range(1, 11)]
TEST = [f'test_{i:04d}' for i in range(1, 5)]
# RAF-DB's labels count from 1.
CLEAN = [5, 5, 4, 1, 7, 2, 3, 6, 4, 7]
CLEAN_TEST = [4, 7, 1, 5]
NOISY = [5, 1, 4, 1, 7, 6, 3, 6, 4, 2]
NOISY_TEST = [1, 7, 2, 5]


def rows(names, labels, end='\n'):
    return ''.join(f'{n} {y}{end}' for n, y in zip(names, labels, strict=True))


def jpg(names):
    return [f'{name}.jpg' for name in names]


def scn_rows(end='\n'):
    paths = [f'/home/someone/aligned/{n}_aligned.jpg' for n in TRAIN]
    return rows(paths, [y - 1 for y in NOISY], end)


BOTH = rows(jpg(TRAIN) + jpg(TEST), NOISY + NOISY_TEST)
# Each case: file name, text, detected format, first label.
NOISY_LISTS = dict(
    resup=('0.3noise_train.txt', BOTH, 'resup', 1),
    resup_crlf=('list.txt', BOTH.replace('\n', '\r\n'), 'resup', 1),
    jointgan=('list_label_AffectnetModel.txt', BOTH, 'jointgan', 1),
    eac=('noise01.txt', rows(jpg(TRAIN), NOISY).rstrip(), 'eac', 1),
    eac_reversed=('noise02.txt', rows(jpg(TRAIN)[::-1], NOISY[::-1]), 'eac', 1),
    scn=('noise_scn.txt', scn_rows('\r\n'), 'scn', 0),
    plain=(
        'mine.csv',
        'image,label\n'
        + ''.join(f'{n}.jpg,{y - 1}\n' for n, y in zip(TRAIN, NOISY, strict=True)),
        'plain',
        0,
    ),
)


@pytest.fixture(params=['Image/aligned', 'aligned'])
def root(request, tmp_path, write_image):
    root = tmp_path / 'rafdb'
    for i, name in enumerate(TRAIN + TEST):
        write_image(root / request.param / f'{name}_aligned.jpg', i, size=8)
    (root / 'EmoLabel').mkdir()
    (root / 'EmoLabel/list_patition_label.txt').write_text(
        rows(jpg(TRAIN) + jpg(TEST), CLEAN + CLEAN_TEST)
    )
    return root


@pytest.fixture
def noisy_list(tmp_path):

    def noisy_list(name):
        file_name, text, *_ = NOISY_LISTS[name]
        path = tmp_path / file_name
        path.write_bytes(text.encode())
        return str(path)

    return noisy_list


def one_based(labels):
    return (np.asarray(labels) + 1).tolist()


def test_both_layouts(root):
    train = RAFDB(str(root), pipeline=PIPELINE)
    assert one_based(train.get_gt_labels()) == CLEAN
    assert train.clean_labels is None and train.noise_manifest() is None
    sample = train[2]['data_samples']
    assert sample.img_path.endswith('aligned/train_00003_aligned.jpg')
    assert sample.sample_id == 2
    assert train.CLASSES == (
        'surprise',
        'fear',
        'disgust',
        'happiness',
        'sadness',
        'anger',
        'neutral',
    )
    test = RAFDB(str(root), split='test', pipeline=PIPELINE)
    assert test.test_mode and not train.test_mode
    assert one_based(test.get_gt_labels()) == CLEAN_TEST
    assert test[0]['data_samples'].img_path.endswith('test_0001_aligned.jpg')


def test_list_spelt_correctly(root):
    path = root / 'EmoLabel/list_patition_label.txt'
    path.rename(path.with_name('list_partition_label.txt'))
    assert len(RAFDB(str(root))) == len(TRAIN)


@pytest.mark.parametrize('name', NOISY_LISTS)
def test_noisy_list_of_every_format(root, noisy_list, name):
    path = noisy_list(name)
    dataset = RAFDB(str(root), noisy_list=path, pipeline=PIPELINE)
    assert one_based(dataset.get_gt_labels()) == NOISY
    assert one_based(dataset.given_labels) == NOISY
    assert one_based(dataset.clean_labels) == CLEAN
    samples = [dataset[i]['data_samples'] for i in range(len(dataset))]
    assert [int(s.gt_label) + 1 for s in samples] == NOISY
    for sample in samples:
        assert set(sample.all_keys()) == {'gt_label', 'sample_id', 'img_path'}
    for i in range(len(dataset)):
        assert 'clean_label' not in dataset.get_data_info(i)

    manifest = dataset.noise_manifest()
    file_name, text, format, base = NOISY_LISTS[name]
    assert manifest == dict(
        noisy_list=file_name,
        format=format,
        label_base=base,
        list_sha256=hashlib.sha256(text.encode()).hexdigest(),
        num_samples=10,
        num_changed=3,
        changed_share=0.3,
        noisy_sha256=labels_sha256(np.array(NOISY) - 1),
        given_sha256=labels_sha256(np.array(CLEAN) - 1),
    )


def test_manifest_tells_what_was_read(root, noisy_list):
    path = noisy_list('eac')
    dataset = RAFDB(str(root), noisy_list=path)
    before = dataset.noise_manifest()
    dataset.set_labels(dataset.sample_ids, dataset.clean_labels)
    with open(path, 'w') as file:
        file.write('gone')
    assert dataset.noise_manifest() == before


def test_poisoned_sidecar_changes_no_sample(root, noisy_list):
    dataset = RAFDB(str(root), noisy_list=noisy_list('eac'))
    dataset._labels.clean[:] = 0
    assert one_based(dataset.get_gt_labels()) == NOISY
    assert [dataset.get_data_info(i)['gt_label'] + 1 for i in range(10)] == NOISY


def test_generated_noise(root):
    dataset = RAFDB(
        str(root), label_noise=dict(type='SymmetricNoise', rate=0.3, seed=0)
    )
    assert one_based(dataset.clean_labels) == CLEAN
    assert (dataset.given_labels != dataset.clean_labels).sum() == 3
    assert dataset.noise_manifest()['generator'] == 'SymmetricNoise'


def test_test_split_never_takes_a_noisy_list(root, noisy_list):
    path = noisy_list('resup')
    for settings in (dict(split='test'), dict(split='train', test_mode=True)):
        with pytest.raises(ValueError, match='wrong test labels'):
            RAFDB(str(root), noisy_list=path, **settings)
    # A noisy list in the place of RAF-DB's own list is refused, too.
    own = root / 'EmoLabel/list_patition_label.txt'
    many = [f'train_{i:05d}.jpg' for i in range(1, 301)]
    own.write_text(rows([*many, *jpg(TEST)], [2] * 300 + NOISY_TEST))
    for split in ('train', 'test'):
        with pytest.raises(ValueError, match="not RAF-DB's own labels"):
            RAFDB(str(root), split=split)


def test_noisy_list_and_label_noise_exclude_each_other(root, noisy_list):
    with pytest.raises(ValueError, match='choose one'):
        RAFDB(
            str(root),
            noisy_list=noisy_list('eac'),
            label_noise=dict(type='SymmetricNoise', rate=0.3),
        )


def test_noisy_list_for_other_images(root, tmp_path):
    path = tmp_path / 'part.txt'
    path.write_text(rows(jpg(TRAIN)[:-1], NOISY[:-1]))
    with pytest.raises(ValueError, match='no label for 1 of 10.*train_00010'):
        RAFDB(str(root), noisy_list=str(path))
    with pytest.raises(FileNotFoundError, match='gone.txt'):
        RAFDB(str(root), noisy_list=str(tmp_path / 'gone.txt'))


def test_own_list_without_test_rows(root):
    own = root / 'EmoLabel/list_patition_label.txt'
    own.write_text(rows(jpg(TRAIN), CLEAN))
    assert len(RAFDB(str(root))) == 10
    with pytest.raises(ValueError, match='no test rows'):
        RAFDB(str(root), split='test')


def test_own_list_counts_from_one(root):
    own = root / 'EmoLabel/list_patition_label.txt'
    own.write_text(rows(jpg(TRAIN + TEST), [y - 1 for y in CLEAN + CLEAN_TEST]))
    with pytest.raises(ValueError, match='label 0 is outside 1..7'):
        RAFDB(str(root))


def test_unknown_split(root):
    with pytest.raises(ValueError, match="no split 'val', only train, test"):
        RAFDB(str(root), split='val')


def test_missing_root(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        RAFDB(str(tmp_path / 'nowhere'))
    message = str(caught.value)
    for part in (
        'EmoLabel/list_patition_label.txt',
        'Image/aligned',
        'nowhere/aligned',
        'whdeng.cn',
        'free for research',
        'data_root',
        'synthfaces',
    ):
        assert part in message


def test_half_of_the_root_is_missing(root):
    (root / 'EmoLabel/list_patition_label.txt').unlink()
    with pytest.raises(FileNotFoundError) as caught:
        RAFDB(str(root))
    lines = str(caught.value).split('\n')
    assert '(missing)' in lines[1] and 'EmoLabel' in lines[1]
    assert '(found)' in lines[2] and 'aligned' in lines[2]


def test_missing_image(root):
    next(root.rglob('train_00004_aligned.jpg')).unlink()
    with pytest.raises(FileNotFoundError, match='1 of 10.*train_00004_alig'):
        RAFDB(str(root))
    assert len(RAFDB(str(root), split='test')) == 4
