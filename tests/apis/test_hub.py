"""Models by name."""

import os.path as osp
from glob import glob

import pytest
from helpers import CONFIGS

import mmfer
from mmfer import FERInferencer


@pytest.mark.parametrize(
    'arguments, word',
    [
        (('alum_r18_ferplus_nois30',), 'did you mean alum_r18_ferplus_noise30'),
        (('alum_r18_ferplus_noise30',), 'comes without weights'),
        (('alum_r18_ferplus_noise30', 'missing.pth'), 'no such checkpoint'),
    ],
)
def test_no_model(arguments, word):
    with pytest.raises(ValueError, match=word):
        FERInferencer(*arguments)


def test_lists():
    names = {
        osp.splitext(osp.basename(path))[0] for path in glob(f'{CONFIGS}/[!_]*/*.py')
    }
    assert set(mmfer.list_models()) == names and len(names) > 50
    assert mmfer.apis.list_models is mmfer.list_models
    assert (
        type(mmfer.get_model('alum_r18_synthfaces_noise30')).__name__ == 'FERClassifier'
    )
    with pytest.raises(ValueError, match='comes without weights'):
        mmfer.get_model('alum_r18_synthfaces_noise30', pretrained=True)
    assert 'alum_r18_ferplus_noise30' in mmfer.list_models('alum*')
    # A method is written in capitals in its paper.
    assert mmfer.list_models('ALUM') == mmfer.list_models('alum')
    import mmpretrain

    assert 'alum_r18_ferplus_noise30' in mmpretrain.list_models('alum*')
    model = mmpretrain.get_model('alum_r18_ferplus_noise30')
    assert type(model).__name__ == 'FERClassifier'


def test_folder_of_a_run(tmp_path):
    folder = tmp_path / 'mein Lauf'
    folder.mkdir()
    with pytest.raises(ValueError, match='is a folder; give the config .* in it'):
        mmfer.get_model(str(folder), pretrained=True)
