"""What --apply and --copy write, and that originals stay as they are."""

import csv
import os

import numpy as np
import pytest
from made_data import make_ferplus, make_rafdb, write_image

from mmfer.datasets import RAFDB, FERPlus, ImageFolders, ImageList
from mmfer.datasets.lists.list_rows import read_rows
from mmfer.scan.cleaned import (
    check_target,
    cleaned_paths,
    copy_images,
    count_decisions,
    folder_names,
    free_name,
    is_inside,
    list_text,
    open_conflicts,
    write_cleaned_list,
)

NAMES = ('a b/=1.png', "a b/#2 'x'.png", 'ü;,/3.png', 'ü;,/-4,5.png', 'c/6"q".png')


def make_dataset(root):
    for seed, name in enumerate(NAMES):
        write_image(root / name, 6, seed)
    dataset = ImageFolders(str(root), image_store=False)
    dataset.full_init()
    return dataset


def table_of(dataset, decision=None, suggested=None):
    count = len(dataset)
    return dict(
        sample_id=np.arange(count),
        image=np.array(dataset.image_names(), dtype=object),
        given_label=dataset.get_gt_labels(),
        suggested_label=np.zeros(count, np.int64) if suggested is None else suggested,
        decision=np.array(decision or ['keep'] * count),
    )


def contents(root):
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(root.rglob('*'))
        if path.is_file()
    }


def test_list_is_read_back_by_mmfer_and_by_csv(tmp_path):
    dataset = make_dataset(tmp_path / 'in')
    decision = ['keep', 'drop', 'keep', 'relabel', 'keep']
    suggested = np.array([0, 0, 0, 0, 0])
    table = table_of(dataset, decision, suggested)
    path, _ = write_cleaned_list(str(tmp_path), dataset, table, own_format=False)
    classes = str(tmp_path / 'classes.txt')
    found = ImageList(path, str(tmp_path), classes=classes, image_store=False)
    found.full_init()
    kept = [0, 2, 3, 4]
    expected = np.where(table['decision'] == 'relabel', suggested, table['given_label'])
    assert found.get_gt_labels().tolist() == expected[kept].tolist()
    assert [os.path.realpath(p) for p in found.image_paths] == [
        os.path.realpath(dataset.image_paths[row]) for row in kept
    ]
    with open(path, newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert [row['label'] for row in rows] == [
        dataset.CLASSES[x] for x in expected[kept]
    ]
    assert all(os.path.isfile(row['image']) for row in rows)
    assert len(read_rows(path).images) == 4


def test_names_that_a_list_cannot_hold():
    for name in ('a\nb.png', ' a.png', 'b.png '):
        with pytest.raises(ValueError, match='Rename it'):
            list_text([name], ['x'])


@pytest.mark.parametrize('kind', [FERPlus, RAFDB])
def test_own_formats(tmp_path, kind):
    make = make_ferplus if kind is FERPlus else make_rafdb
    dataset = kind(str(make(tmp_path / 'x')), image_store=False)
    dataset.full_init()
    table = table_of(dataset)
    table['decision'][1] = 'drop'
    path, settings = write_cleaned_list(str(tmp_path), dataset, table, own_format=True)
    found = kind(str(tmp_path / 'x'), image_store=False, **settings)
    found.full_init()
    rest = np.delete(table['given_label'], 1).tolist()
    assert found.get_gt_labels().tolist() == rest and os.path.isfile(path)


def test_lost_class_is_refused(tmp_path):
    dataset = make_dataset(tmp_path / 'in')
    table = table_of(dataset)
    table['decision'][table['given_label'] == 1] = 'drop'
    with pytest.raises(ValueError, match='No image of the class c is left'):
        write_cleaned_list(str(tmp_path), dataset, table, own_format=False)
    assert not (tmp_path / 'cleaned_list.csv').exists()


@pytest.mark.parametrize('link', [False, True])
def test_copies_are_equal_and_originals_untouched(tmp_path, link):
    dataset = make_dataset(tmp_path / 'in')
    before = contents(tmp_path / 'in')
    table = table_of(dataset)
    table['decision'][0] = 'drop'
    paths, classes = cleaned_paths(dataset, table)
    target = tmp_path / 'neu Ä'
    assert copy_images(str(target), paths, classes, link) == 0
    copied = contents(target)
    assert len(copied) == 4
    originals = sorted(
        data for name, (data, _) in before.items() if name != dataset.image_names()[0]
    )
    assert sorted(data for data, _ in copied.values()) == originals
    assert contents(tmp_path / 'in') == before
    if not link:
        # A change of a copy leaves the original as it is.
        for path in target.rglob('*.png'):
            path.write_bytes(b'changed')
        assert contents(tmp_path / 'in') == before


def test_equal_names_get_numbers(tmp_path):
    names = ('p/x.png', 'q/x.png', 'q/X.PNG', 'p/x (2).png')
    for seed, name in enumerate(names):
        write_image(tmp_path / name, 5, seed)
    paths = [str(tmp_path / name) for name in names]
    renamed = copy_images(str(tmp_path / 'out'), paths, ['k'] * 4)
    found = sorted(os.listdir(tmp_path / 'out/k'))
    assert (
        found == ['X (3).PNG', 'x (2) (2).png', 'x (2).png', 'x.png'] and renamed == 3
    )
    data = {(tmp_path / 'out/k' / name).read_bytes() for name in found}
    assert data == {(tmp_path / name).read_bytes() for name in names}


def test_names_of_folders_from_any_class():
    names = folder_names(['a/b', 'a\\b', '..', '.', 'A_B', 'fröhlich', 'x.'])
    assert len({name.casefold() for name in names.values()}) == 7
    assert names['fröhlich'] == 'fröhlich' and names['x.'] == 'x'
    for name in names.values():
        assert name and not set(name) & set('/\\') and name.strip('.')


def test_free_names_never_repeat():
    taken = set()
    found = [free_name('a.png', taken) for _ in range(50)]
    assert len(set(found)) == 50 and found[0] == 'a.png'


def test_targets_that_are_refused(tmp_path):
    source = tmp_path / 'faces'
    write_image(source / 'a/1.png', 4, 0)
    check_target(str(tmp_path / 'new'), str(source))
    (tmp_path / 'empty').mkdir()
    check_target(str(tmp_path / 'empty'), str(source))
    for target in (source, tmp_path):
        # No message may say that this folder can be deleted.
        with pytest.raises(ValueError, match='has your own images') as error:
            check_target(str(target), str(source))
        assert 'delete' not in str(error.value)
    write_image(tmp_path / 'used/1.png', 4, 0)
    with pytest.raises(ValueError, match='not empty'):
        check_target(str(tmp_path / 'used'), str(source))
    with pytest.raises(ValueError, match='inside of'):
        check_target(str(source / 'clean'), str(source))
    file = tmp_path / 'file'
    file.write_text('x')
    with pytest.raises(ValueError):
        check_target(str(file), str(source))


def test_inside_follows_links(tmp_path):
    (tmp_path / 'a/b').mkdir(parents=True)
    os.symlink(tmp_path / 'a', tmp_path / 'link')
    assert is_inside(str(tmp_path / 'link/b/new'), str(tmp_path / 'a'))
    assert is_inside(str(tmp_path / 'a'), str(tmp_path / 'a'))
    assert not is_inside(str(tmp_path / 'ab'), str(tmp_path / 'a'))


def test_images_in_memory_cannot_be_copied():
    from mmfer.datasets import SyntheticFaces

    dataset = SyntheticFaces(num_samples=20)
    dataset.full_init()
    with pytest.raises(ValueError, match='are no files'):
        cleaned_paths(dataset, table_of(dataset))


def test_counts_tell_unreadable_images_from_dropped_ones():
    decision = np.array(['keep', 'drop', 'drop', 'relabel'])
    table = dict(decision=decision, readable=np.array([1, 1, 0, 1]))
    assert count_decisions(table) == (
        '1 kept, 1 with a new label, 1 dropped, 1 unreadable'
    )
    assert count_decisions(dict(decision=decision)) == (
        '1 kept, 1 with a new label, 2 dropped'
    )


@pytest.mark.parametrize(
    'decision, warned',
    [
        (['keep', 'keep', 'keep'], True),
        (['keep', 'keep', 'drop'], False),
        (['drop', 'keep', 'keep'], True),
        (['keep', 'relabel', 'relabel'], False),
    ],
)
def test_copies_that_keep_different_labels(decision, warned):
    # Samples 4 and 9 are copies of 7.
    table = dict(
        sample_id=np.array([7, 4, 9]),
        duplicate_of=np.array([-1, 7, 7]),
        given_label=np.array([0, 0, 1]),
        suggested_label=np.array([0, 0, 0]),
        decision=np.array(decision),
    )
    found = open_conflicts(table)
    assert bool(found) == warned
    if warned:
        assert found[0].startswith('WARNING: 1 group of duplicates')
