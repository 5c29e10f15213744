"""Checks of a data set: unreadable and missing files, labels, classes."""

import numpy as np
import pytest
from dataset_helpers import NOISE, PIPELINE, ids_of, truncate
from torch._utils import ExceptionWrapper

from mmfer import datasets
from mmfer.datasets import FERDataset, ImageList
from mmfer.datasets.images import UnreadableImageError


def damage(path, how):
    if how == 'empty':
        path.write_bytes(b'')
    elif how == 'text':
        path.write_text('<html>404</html>')
    else:
        truncate(path)


@pytest.mark.parametrize('stored', [False, True])
@pytest.mark.parametrize(
    'extension, how, what',
    [
        ('jpg', 'truncated', 'truncated JPEG'),
        ('png', 'truncated', 'truncated PNG'),
        ('png', 'empty', 'empty'),
        ('jpg', 'text', 'not a readable image'),
    ],
)
def test_bad_image_stops(image_list, tmp_path, extension, how, what, stored):
    args = dict(image_list(extension=extension), pipeline=PIPELINE)
    bad = [tmp_path / f'images/{i:03d}.{extension}' for i in (4, 8, 9)]
    for path in bad:
        damage(path, how)
    with pytest.raises(UnreadableImageError, match=what) as caught:
        dataset = ImageList(**args)
        if stored:
            dataset.prepare_images()
        dataset[4]
    message = str(caught.value)
    assert str(bad[0]) in message
    assert 'ImageList: 3 of 12 image files' in message
    assert 'train_dataloader.dataset.on_bad_image=skip' in message


def test_bad_image_of_an_evaluation_split(image_list, tmp_path):
    args = image_list()
    truncate(tmp_path / 'images/001.png')
    dataset = ImageList(test_mode=True, pipeline=PIPELINE, **args)
    with pytest.raises(UnreadableImageError) as caught:
        dataset[1]
    assert '1 of 12' in str(caught.value)
    assert 'val_dataloader.dataset.on_bad_image=skip' in str(caught.value)


def test_bad_image_in_a_worker(image_list, tmp_path):
    args = image_list()
    truncate(tmp_path / 'images/001.png')
    dataset = ImageList(pipeline=PIPELINE, **args)
    try:
        dataset[1]
    except UnreadableImageError:
        # A DataLoader passes errors on like this; real workers take 5 s to end.
        carried = ExceptionWrapper(where='in DataLoader worker process 0')
    with pytest.raises(UnreadableImageError, match=r'001\.png.*1 of 12'):
        carried.reraise()


def test_skip_leaves_bad_images_out_and_says_so(image_list, tmp_path, said):
    args = dict(image_list(), pipeline=PIPELINE, label_noise=NOISE)
    reference = ImageList(**args)
    damage(tmp_path / 'images/003.png', 'empty')
    damage(tmp_path / 'images/007.png', 'text')
    damage(tmp_path / 'images/011.png', 'truncated')
    dataset = ImageList(on_bad_image='skip', **args)
    assert len(dataset) == 9
    assert ids_of(dataset) == [0, 1, 2, 4, 5, 6, 8, 9, 10]
    assert len(dataset.skipped) == 3
    for name, text in zip(('003', '007', '011'), dataset.skipped, strict=True):
        assert f'{name}.png' in text
    assert '3 unreadable' in dataset.skipped_report()
    assert dataset.skipped_report() in said
    # Labels belong to rows, so the noise of the other images is unchanged.
    np.testing.assert_array_equal(
        dataset.get_gt_labels(), reference.given_labels[dataset.sample_ids]
    )
    for i in range(9):
        dataset[i]


def test_class_emptied_by_bad_images_is_said(image_list, tmp_path, said):
    args = dict(image_list(), pipeline=PIPELINE)
    labels = ImageList(**args).given_labels
    gone = np.flatnonzero(labels == 1)
    for i in gone[1:]:
        damage(tmp_path / f'images/{i:03d}.png', 'empty')
    ImageList(on_bad_image='skip', **args)
    assert not [text for text in said if 'no sample of' in text]
    damage(tmp_path / f'images/{gone[0]:03d}.png', 'empty')
    ImageList(on_bad_image='skip', **args)
    (text,) = [text for text in said if 'no sample of' in text]
    assert "on_bad_image='skip'" in text
    assert f'{12 - len(gone)} samples of 12' in text


def test_skip_logs_through_the_real_logger(image_list, tmp_path):
    args = image_list()
    damage(tmp_path / 'images/003.png', 'empty')
    assert len(ImageList(on_bad_image='skip', **args).skipped) == 1


def test_skip_with_nothing_left(image_list, tmp_path):
    args = image_list(3)
    for path in (tmp_path / 'images').iterdir():
        damage(path, 'empty')
    with pytest.raises(ValueError, match='not one of 3 images'):
        ImageList(on_bad_image='skip', **args)


def test_on_bad_image_is_checked(image_list):
    with pytest.raises(ValueError, match='on_bad_image'):
        ImageList(on_bad_image='ignore', **image_list())


def test_missing_images(image_list, tmp_path):
    args = image_list()
    (tmp_path / 'images/005.png').unlink()
    (tmp_path / 'images/008.png').unlink()
    with pytest.raises(FileNotFoundError, match='2 of 12.*005.png'):
        ImageList(**args)
    assert len(ImageList(check_files=False, **args)) == 12


def test_missing_image_folder(image_list):
    args = dict(image_list(), data_prefix='elsewhere')
    with pytest.raises(FileNotFoundError, match='12 of 12'):
        ImageList(**args)


class NoSamples(FERDataset):
    METAINFO = dict(classes=('a', 'b'))

    def load_samples(self):
        return []


def test_empty_split_says_where_it_looked():
    with pytest.raises(ValueError, match="NoSamples: the split is empty.*'some/root'"):
        NoSamples(data_root='some/root')


class OneBased(ImageList):
    def load_samples(self):
        samples = super().load_samples()
        for sample in samples:
            sample['gt_label'] += 1
        return samples


def test_labels_out_of_range(image_list):
    with pytest.raises(ValueError) as caught:
        OneBased(**image_list())
    assert '4 label(s) outside [0, 3), e.g. 3 in row 2' in str(caught.value)
    assert 'count from 1' in str(caught.value)


@pytest.mark.parametrize(
    'classes, named',
    [
        (3, None),
        (5, 'no sample of c3, c4. The'),
        (15, 'no sample of c3, c4, c5, c6, c7, c8, c9, c10, c11, c12 and 2 more'),
    ],
)
def test_classes_without_a_sample_are_named(image_list, said, classes, named):
    """Labels are counted before noise, which may fill an empty class."""
    options = image_list()
    dataset = ImageList(
        **dict(options, classes=[f'c{i}' for i in range(classes)], label_noise=NOISE)
    )
    assert len(dataset)
    texts = [text for text in said if 'no sample of' in text]
    if named is None:
        assert not texts
    else:
        (text,) = texts
        assert named in text and repr(dataset.data_root) in text


# -- splits ------------------------------------------------------------------
class WithSplits(FERDataset):
    METAINFO = dict(classes=('a', 'b'))
    splits = ('train', 'val', 'test')

    def load_samples(self):
        return [dict(img_path=f'{i}.png', gt_label=i) for i in range(2)]


def test_first_split_is_for_training_the_others_for_evaluation():
    options = dict(check_files=False)
    assert not WithSplits(split='train', **options).test_mode
    assert WithSplits(split='train', test_mode=True, **options).test_mode
    for split in ('val', 'test'):
        dataset = WithSplits(split=split, **options)
        assert dataset.split == split and dataset.test_mode
        # A config cannot make an evaluation split a training set.
        assert WithSplits(split=split, test_mode=False, **options).test_mode
        for name in ('label_noise', 'va_noise'):
            with pytest.raises(ValueError, match=f'{name}=.*measure the noise'):
                WithSplits(split=split, **{name: NOISE}, **options)
        with pytest.raises(ValueError, match="decisions='a.csv' for an evaluation"):
            WithSplits(split=split, decisions='a.csv', **options)


def test_splits_that_do_not_exist(image_list):
    for split in ('valid', '', None):
        with pytest.raises(ValueError, match=f'no split {split!r}, only train, val'):
            WithSplits(split=split)
    with pytest.raises(ValueError, match='has no splits.*test_mode=True'):
        ImageList(split='train', **image_list())


@pytest.mark.parametrize('name', sorted(datasets.__all__))
def test_no_data_set_decides_by_itself_what_an_evaluation_is(name):
    """The base class turns the split into test_mode for all data sets."""
    cls = getattr(datasets, name)
    if isinstance(cls, type) and issubclass(cls, FERDataset) and cls.splits:
        assert cls.splits[0] == 'train' and len(cls.splits) > 1
        with pytest.raises(ValueError, match=f'{name} has no split .none., only train'):
            cls(split='none')
        for split in cls.splits:
            dataset = cls(split=split, lazy_init=True)
            assert dataset.test_mode == (split != 'train')


def test_misspelt_option(image_list):
    """mmengine's own message names a base class only."""
    with pytest.raises(
        TypeError, match="has no option 'num_sampels'. Did you mean num"
    ):
        datasets.SyntheticFaces(num_sampels=3)
    with pytest.raises(
        TypeError, match='ImageList has no option .xyz.. The options are'
    ):
        ImageList('list.txt', num_classes=2, xyz=1)
    # One of mmengine's base class.
    assert len(datasets.SyntheticFaces(num_samples=8, max_refetch=3)) == 8
