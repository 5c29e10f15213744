import json
import subprocess
import sys

import torch
from helpers import ROOT, call_tool, tiny_config, train


def run(*args):
    return subprocess.run(
        [sys.executable, *map(str, args)], cwd=ROOT, capture_output=True, text=True
    )


def test_an_exported_network_tests_like_the_pair(tmp_path):
    """Network 2 of a pair, as a plain classifier, through the tools."""
    runner = train(
        tiny_config(
            tmp_path / 'pair',
            'resup/resup_r18_synthfaces_noise30',
            train_cfg__max_epochs=2,
            model__predict_with='network2',
        )
    )
    expected = runner.val_loop.run()
    target = tmp_path / 'network2.pth'
    done = run(
        'tools/model_converters/export_network.py',
        tmp_path / 'pair/epoch_2.pth',
        target,
        '--network',
        '2',
    )
    assert done.returncode == 0, done.stderr
    assert torch.load(target)['meta']['dataset_meta']['classes']
    tiny_config(tmp_path / 'test', 'ce/ce_r18_synthfaces').dump(tmp_path / 'ce.py')
    done = run(
        'tools/test.py',
        tmp_path / 'ce.py',
        target,
        '--work-dir',
        tmp_path / 'test',
        '--out',
        tmp_path / 'metrics.json',
        '--out-item',
        'metrics',
    )
    assert done.returncode == 0, done.stderr[-2000:]
    tested = json.loads((tmp_path / 'metrics.json').read_text())
    for name in ('accuracy/top1', 'rejection/confidence_20'):
        assert tested[name] == expected[name]


def test_what_is_no_pair_is_refused(tmp_path):
    source, target = tmp_path / 'plain.pth', tmp_path / 'out.pth'
    torch.save(dict(state_dict={'backbone.conv1.weight': torch.ones(1)}), source)
    tool = 'model_converters/export_network.py'
    assert "begins with 'network1.'" in call_tool(tool, source, target, code=1)
    assert 'no such checkpoint' in call_tool(
        tool, tmp_path / 'nothing.pth', target, code=1
    )
    assert not target.exists()
