from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import load_tool
from made_cifar import LABELS, NOISY, Poison
from made_data import make_cifar10

from mmfer.datasets import NoisyCIFAR10
from mmfer.datasets.cifar.human_labels import load_label_sets

ROOT = Path(__file__).parents[2]

TOOL = ROOT / 'tools/dataset_converters/convert_cifar_n.py'


tool = load_tool('dataset_converters/convert_cifar_n.py')


@pytest.fixture
def batches(tmp_path):
    return make_cifar10(tmp_path / 'cifar')


@pytest.fixture
def published(tmp_path):
    path = tmp_path / 'CIFAR-10_human.pt'
    torch.save(dict(clean_label=np.array(LABELS), worse_label=np.array(NOISY)), path)
    return path


def test_converted_list_is_read_back(published, batches, tmp_path, capsys):
    target = tmp_path / 'worse.txt'
    tool.main([str(published), str(target), '--key', 'worse_label'])
    said = capsys.readouterr().out
    assert '50 labels' in said and 'wrong labels: 0.1600' in said
    lines = target.read_text().splitlines()
    assert lines[0].startswith('# worse_label of CIFAR-10_human.pt, sha256 ')
    assert lines[1:3] == ['0 1', '1 1'] and len(lines) == 51
    dataset = NoisyCIFAR10(str(batches), noisy_list=str(target))
    assert dataset.get_gt_labels().tolist() == NOISY


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('dtype', ['int64', 'int32', 'uint8'])
def test_published_files_of_all_ages(tmp_path, dtype, zipped, monkeypatch):
    path = tmp_path / 'CIFAR-100_human.pt'
    content = dict(noisy_label=np.array([3, 99, 0], dtype=dtype))
    for old in (False, True):
        if old:
            reconstruct = np.zeros(1).__reduce__()[0]
            monkeypatch.setattr(reconstruct, '__module__', 'numpy.core.multiarray')
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        monkeypatch.undo()
        labels = load_label_sets(path.read_bytes())['noisy_label']
        assert labels.tolist() == [3, 99, 0] and labels.dtype == np.int64


def test_poisoned_file_is_refused(tmp_path):
    path, mark = tmp_path / 'CIFAR-10_human.pt', tmp_path / 'ran'
    for zipped in (True, False):
        torch.save(
            dict(worse_label=Poison(str(mark))),
            path,
            _use_new_zipfile_serialization=zipped,
        )
        with pytest.raises(SystemExit) as caught:
            tool.main([str(path), str(tmp_path / 'a.txt'), '--key', 'x'])
        assert 'it contains objects other than arrays' in str(caught.value)
        # The message does not suggest to load the file anyway.
        assert 'weights_only' not in str(caught.value)
        assert 'Nothing was written' in str(caught.value)
        assert not mark.exists() and not (tmp_path / 'a.txt').exists()


def test_what_cannot_be_converted(published, tmp_path):
    target = str(tmp_path / 'a.txt')

    def refusal(source, key='worse_label', target=target):
        with pytest.raises(SystemExit) as caught:
            tool.main([str(source), target, '--key', key])
        return str(caught.value)

    assert 'Choose --key from clean_label, worse_label.' in refusal(
        published, 'aggre_label'
    )
    assert 'overwrite itself' in refusal(published, target=str(published))
    assert 'no such file' in refusal(tmp_path / 'gone.pt')
    path = tmp_path / 'other.pt'
    for content in (b'something else', b'', published.read_bytes()[:-200]):
        path.write_bytes(content)
        assert 'not a whole torch file' in refusal(path)
    torch.save([1, 2], path)
    assert 'holds a list without label arrays' in refusal(path)
    assert not Path(target).exists()
