"""What a program meets that puts expressions into a service of its own."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from helpers import ROOT, environment

from mmfer.apis.calibrated import Calibration, find_set_threshold
from mmfer.apis.drawing import describe_result
from mmfer.apis.exporting import OnnxPredictor
from mmfer.apis.thresholds import find_threshold
from mmfer.datasets.images import UnreadableImageError
from mmfer.utils.devices import choose_device

FORKED = """
import multiprocessing, os, sys
import numpy as np, torch
torch.set_num_threads(2)
from mmfer import FERInferencer
images = np.random.default_rng(0).integers(0, 256, (9, 48, 48, 3), dtype=np.uint8)
fer = FERInferencer('alum_tiny_ferplus', device='cpu')
fer(images)
def work():
    assert len(fer(images)) == 9 and torch.get_num_threads() == 1
    made_here = FERInferencer('alum_tiny_ferplus', device='cpu')
    assert len(made_here(images)) == 9
process = multiprocessing.get_context('fork').Process(target=work)
process.start()
process.join(60)
code = process.exitcode
process.kill()
assert torch.get_num_threads() == 2
sys.exit('the forked process hangs' if code is None else code)
"""


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_a_forked_process_predicts():
    """Web servers load a model, and then fork: the model must not wait for ever."""
    env = {k: v for k, v in environment().items() if k != 'OMP_NUM_THREADS'}
    done = subprocess.run(
        [sys.executable, '-c', FORKED],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_tensor_is_not_a_list_of_images(fer):
    with pytest.raises(TypeError, match=r'image\.numpy\(\)'):
        fer(torch.zeros(48, 48, 3, dtype=torch.uint8))


@pytest.mark.parametrize('call', ['__call__', 'stream'])
def test_a_video_is_named_as_such(call, fer, tmp_path):
    path = tmp_path / 'Film ä.MP4'
    path.write_bytes(b'anything')
    with pytest.raises(UnreadableImageError, match='is a video.*Video of mmfer.apis'):
        getattr(fer, call)(path)
    with pytest.raises(UnreadableImageError, match='no such file'):
        list(getattr(fer, call)(str(tmp_path / 'none.mp4')))


def test_uint8_under_the_name_of_uint16(fer, tmp_path):
    """Such an array would be black, and be predicted."""
    image = np.full((48, 48, 3), 255, np.uint16)
    with pytest.raises(ValueError, match='largest value is 255. Give uint8'):
        fer(image)
    # Black is black. Files of 16 bits may be dark.
    assert fer(np.zeros((48, 48), np.uint16))
    path = tmp_path / 'dark.png'
    cv2.imwrite(str(path), image)
    assert 'pred_class' in fer(str(path))[0]
    assert (
        fer(image * 257)[0]['pred_scores']
        == fer(image.astype(np.uint8))[0]['pred_scores']
    )


def test_words_of_a_set():
    result = dict(pred_label=0, pred_class='a', pred_score=0.9, uncertainty=0.1)
    ends = [
        describe_result(dict(result, pred_set=names))[1].partition(', ')[2]
        for names in (['a'], ['a', 'b'], [])
    ]
    assert ends == ['only a', 'one of a, b', 'one of no class']


def test_messages_for_users_of_a_wheel(tmp_path, monkeypatch):
    """The tool that a message names exists where the message is read."""
    for folder in (tmp_path, ROOT):
        monkeypatch.chdir(folder)
        for call in (
            lambda: find_threshold(None, 0.1),
            lambda: find_set_threshold(Calibration(), 0.9, 8),
        ):
            with pytest.raises(ValueError, match='--held-out NUMBER') as caught:
                call()
            words = str(caught.value).split()
            assert os.path.isfile(words[words.index('CONFIG') - 1])


def test_messages_name_what_was_typed():
    calibration = Calibration(images=2112, quantiles=((1, 0.5),))
    with pytest.raises(ValueError, match=r'coverage=0.9999999 needs'):
        find_set_threshold(calibration, 0.9999999, 8)
    with pytest.raises(ValueError, match="'gpu' cannot be used: torch has no device"):
        choose_device('gpu')
    with pytest.raises(ValueError, match='leave out pretrained .*--checkpoint'):
        OnnxPredictor('any.onnx', 'weights.pth')
