import pickle

import numpy as np
import pytest
from made_cifar import Poison
from made_data import cifar_planes, write_cifar_batch

from mmfer.datasets import NoisyCIFAR10
from mmfer.datasets.cifar.files import read_batch

FOLDER = 'cifar-10-batches-py'


def test_poisoned_batch_is_refused(batches, tmp_path):
    mark = tmp_path / 'ran'
    path = batches / FOLDER / 'data_batch_3'
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(
            pickle.dumps(
                dict(data=cifar_planes(1, 0), labels=[0], filenames=Poison(str(mark))),
                protocol=protocol,
            )
        )
        with pytest.raises(ValueError) as caught:
            NoisyCIFAR10(str(batches))
        assert str(path) in str(caught.value)
        assert 'mkdir' in str(caught.value)
        assert not mark.exists()
    # An attribute of an allowed class is refused too.
    path.write_bytes(b'\x80\x04\x8c\x05numpy\x8c\x0fndarray.tobytes\x93.')
    with pytest.raises(ValueError, match='asks for numpy.ndarray.tobytes'):
        NoisyCIFAR10(str(batches))


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_batches_that_were_saved_again(tmp_path, protocol):
    path = tmp_path / 'data_batch_1'
    planes = cifar_planes(3, 7)
    for encode in (str, str.encode):
        batch = {encode('data'): planes, encode('labels'): [1, 9, 4]}
        path.write_bytes(pickle.dumps(batch, protocol=protocol))
        labels, pixels = read_batch(str(path), 'labels')
        assert labels.tolist() == [1, 9, 4]
        np.testing.assert_array_equal(pixels, planes)


def test_broken_batches(tmp_path):
    path = tmp_path / 'data_batch_1'
    write_cifar_batch(path, cifar_planes(3, 0), [1, 2, 3])
    whole = path.read_bytes()
    fine = pickle.dumps(dict(data=cifar_planes(3, 0), fine_labels=[1, 2, 3]))
    short = pickle.dumps(dict(data=cifar_planes(3, 0), labels=[1, 2]))
    wide = pickle.dumps(dict(data=cifar_planes(3, 0).astype(float), labels=[1, 2, 3]))
    for content in (
        whole[:-5],
        whole[:4000],
        b'',
        b'no pickle',
        fine,
        short,
        wide,
        pickle.dumps([1]),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError) as caught:
            read_batch(str(path), 'labels')
        assert f'{path} is not a complete CIFAR batch' in str(caught.value)
