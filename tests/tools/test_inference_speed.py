"""The benchmark of inference: its arithmetic, and a run on a few files."""

import json
import sys

import cv2
import numpy as np
import pytest
import torch
from helpers import load_tool

from mmfer.analysis.benchmarks import inference_speed
from mmfer.analysis.benchmarks.inference_speed import (
    fresh_files,
    shares,
    speed_limit,
    take_turns,
)

tool = load_tool('benchmarks/inference_speed.py')


def test_limit_by_hand():
    # Two cores that do nothing else need 400 us for the model and 100 us for a file.
    assert speed_limit(200, 400, 2, shared=True) == pytest.approx(400 / 500)
    # Sixteen cores prepare an image every 25 us. A GPU needs 100 us for it, or 20 us.
    assert speed_limit(400, 100, 16, shared=False) == 1
    assert speed_limit(400, 20, 16, shared=False) == pytest.approx(20 / 25)


def test_shares_pair_the_rounds():
    found = shares(dict(ready=[1.0, 3.0, 2.0], slow=[2.0, 4.0, 8.0]), 'ready')
    assert list(found) == ['slow']
    assert found['slow']['median'] == 0.5


def test_turns_alternate(monkeypatch):
    calls, clock = [], iter(range(100))
    monkeypatch.setattr(inference_speed.time, 'perf_counter', lambda: next(clock))
    functions = {name: lambda name=name: calls.append(name) for name in 'abc'}
    seconds = take_turns(functions, 3, torch.device('cpu'))
    assert ''.join(calls) == 'abccbaabc'
    assert seconds == dict(a=[1, 1, 1], b=[1, 1, 1], c=[1, 1, 1])


def test_no_file_twice_before_all_were_read():
    supply = fresh_files([str(i) for i in range(10)], 3)
    taken = [name for _ in range(3) for name in next(supply)]
    assert taken == [str(i) for i in range(9)]
    assert next(supply) == ['0', '1', '2']


@pytest.mark.parametrize('folder', [True, False])
def test_tool(folder, tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    for i in range(40):
        cv2.imwrite(
            str(tmp_path / f'{i}.jpg'), rng.integers(0, 256, (48, 48), np.uint8)
        )
    options = ['--folder', str(tmp_path), '--batches', '2'] if folder else []
    monkeypatch.setattr(
        sys,
        'argv',
        'inference_speed.py --batch-size 4 --rounds 3 --workers 2 --device cpu'.split()
        + options,
    )
    tool.main()
    found = json.loads(capsys.readouterr().out)
    assert found['workers'] == 2
    if not folder:
        assert min(found['one_face']['inferencer']['median'], 1) > 0
        assert found['batches']['inferencer']['median'] > 0
        return
    assert set(found['share']) == {'one_by_one', 'in_threads'}
    assert found['images_per_round'] == 8 and found['model_us'] > found['prepare_us']
    prepare = found['prepare_us'] / found['threads']
    assert found['limit'] == pytest.approx(
        found['model_us'] / (found['model_us'] + prepare), abs=1e-3
    )
