"""The hash of images follows their contents, and the stamp every write."""

import os
import shutil

import numpy as np
import pytest

from mmfer.datasets import ImageList
from mmfer.datasets.images import hash_array, hash_files
from mmfer.datasets.images.state import stamp_files


def make(folder, contents):
    folder.mkdir(parents=True)
    paths = [folder / f'{i}.png' for i in range(len(contents))]
    for path, content in zip(paths, contents):
        path.write_bytes(content)
    return [str(path) for path in paths]


def test_hash_of_contents(tmp_path):
    contents = [b'a', b'bc', b'', b'd' * 100]
    paths = make(tmp_path / 'one', contents)
    found, missing = hash_files(paths)
    assert len(found) == 64 and missing == []
    # Copied, moved, renamed and touched.
    shutil.copytree(tmp_path / 'one', tmp_path / 'two')
    one, two = str(tmp_path / 'one'), str(tmp_path / 'two')
    assert hash_files([path.replace(one, two) for path in paths])[0] == found
    os.utime(paths[0], (0, 0))
    os.rename(paths[1], tmp_path / 'other name.jpg')
    moved = [paths[0], str(tmp_path / 'other name.jpg'), *paths[2:]]
    assert hash_files(moved)[0] == found


def test_hash_tells_sets_apart(tmp_path):
    sets = [
        [],
        [b''],
        [b'', b''],
        [b'ab', b'c'],
        [b'a', b'bc'],
        [b'c', b'ab'],
        [b'ab', b'c', b''],
        [b'ab', b'c', b'c'],
        [b'ab', b'\x63\x00'],
    ]
    found = [hash_files(make(tmp_path / str(i), s))[0] for i, s in enumerate(sets)]
    assert len(set(found)) == len(sets)


def test_what_is_no_file_counts_by_its_path(tmp_path):
    paths = make(tmp_path / 'one', [b'a', b'b'])
    (tmp_path / 'folder').mkdir()
    for name in ('folder', 'nothing', 'one/0.png/below'):
        found, missing = hash_files([paths[0], str(tmp_path / name)])
        assert missing == [str(tmp_path / name)]
        other, _ = hash_files([paths[0], str(tmp_path / f'{name}x')])
        assert len({found, other, hash_files(paths)[0]}) == 3
    paths.append(str(tmp_path / 'closed.png'))
    (tmp_path / 'closed.png').write_bytes(b'c')
    if os.getuid():
        os.chmod(paths[-1], 0)
        with pytest.raises(PermissionError, match=r'closed\.png'):
            hash_files(paths)


def test_large_files_and_many(tmp_path):
    """Files larger than a chunk, and more of them than a block."""
    big = tmp_path / 'big.png'
    big.write_bytes(bytes(1 << 24) + b'x')
    first = hash_files([str(big)])[0]
    big.write_bytes(bytes(1 << 24) + b'y')
    assert hash_files([str(big)])[0] != first
    paths = make(tmp_path / 'one', [b'a', b'b']) * 5000
    whole = hash_files(paths)[0]
    assert whole == hash_files(paths)[0]
    swapped = [*paths]
    swapped[8191], swapped[8192] = swapped[8192], swapped[8191]
    assert hash_files(swapped)[0] != whole


def test_arrays():
    images = np.arange(48, dtype=np.uint8).reshape(4, 2, 2, 3)
    found = hash_array(images)
    assert found == hash_array(np.asfortranarray(images)) == hash_array(images.copy())
    other = images.copy()
    other[3, 1, 1, 2] += 1
    for array in (other, images.reshape(4, 4, 1, 3), images[:3], images[::-1]):
        assert hash_array(array) != found


def test_rows_of_arrays(monkeypatch):
    monkeypatch.setattr('mmfer.datasets.images.state._BLOCK', 2)
    images = np.arange(60, dtype=np.uint8).reshape(5, 2, 2, 3)
    for rows in ([4, 0, 3], [1, 1], [0, 1, 2, 3, 4], []):
        rows = np.array(rows, np.int64)
        assert hash_array(images, rows) == hash_array(images[rows])


def test_stamp_of_a_file_with_forged_time(tmp_path):
    """Archives may give all versions of a file the same time and size."""
    path = make(tmp_path / 'one', [b'abc'])[0]
    os.utime(path, ns=(0, 315532800 * 10**9))
    before = stamp_files([path])
    assert (stamp_files([path]) == before).all()
    with open(path, 'wb') as file:
        file.write(b'xyz')
    os.utime(path, ns=(0, 315532800 * 10**9))
    after = stamp_files([path])
    assert (after[:, :2] == before[:, :2]).all() and (after != before).any()


def test_data_set_with_images_that_are_no_files(tmp_path, caplog):
    """Such as addresses; a warning says that changes are not noticed."""
    (tmp_path / 'list.txt').write_text('s3://a/0.png 0\ns3://a/1.png 1\n')
    dataset = ImageList(
        'list.txt', str(tmp_path), num_classes=2, label_base=0, check_files=False
    )
    found = dataset.images_hash()
    (tmp_path / 'list.txt').write_text('s3://a/0.png 0\ns3://b/1.png 1\n')
    dataset = ImageList(
        'list.txt', str(tmp_path), num_classes=2, label_base=0, check_files=False
    )
    assert dataset.images_hash() != found
