import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import environment, load_tool
from mmengine.registry import DefaultScope, init_default_scope

from mmfer.analysis.benchmarks import timing, train_speed
from mmfer.registry import MODELS

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools/benchmarks/train_speed.py'
# One network, two, and a variant of a method.
EXAMPLES = ['ce', 'resup', 'alum_gate1']
RATIOS = ['resup/ce', 'alum_gate1/ce', 'ce/resup', 'alum_gate1/resup']

tool = load_tool('benchmarks/train_speed.py')


@pytest.fixture(scope='module')
def result():
    done = subprocess.run(
        [
            sys.executable,
            str(TOOL),
            '--methods',
            *EXAMPLES,
            '--baselines',
            'ce',
            'resup',
            '--pairs',
            '2',
            '--px',
            '32',
            '--batch-size',
            '4',
            '--small-px',
            '16',
            '--small-batch-size',
            '4',
            '--memory-steps',
            '1',
            '--threads',
            '1',
            '--device',
            'cpu',
        ],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert 'rounds' in done.stderr
    assert done.stdout.count('\n') == 1
    return json.loads(done.stdout)


def test_machine_is_described(result):
    machine = result['machine']
    assert machine['cpu']
    assert machine['threads'] == 1
    assert machine['torch'] == torch.__version__
    assert machine['device'] == 'cpu'
    assert (result['pairs'], result['steps']) == (2, 1)
    assert list(result['settings']) == ['r18', 'small']


@pytest.mark.parametrize(
    'setting, px, precision', [('r18', 32, 'float32'), ('small', 16, 'bfloat16')]
)
def test_numbers_follow_from_the_times(result, setting, px, precision):
    numbers = result['settings'][setting]
    assert (numbers['px'], numbers['batch_size']) == (px, 4)
    assert numbers['precision'] == dict.fromkeys(EXAMPLES, precision)
    seconds = numbers['seconds_per_step']
    assert list(seconds) == EXAMPLES
    for method in EXAMPLES:
        assert len(seconds[method]) == 2
        assert numbers['images_per_second'][method] == pytest.approx(
            4 / np.median(seconds[method]), rel=1e-3
        )
    assert list(numbers['time_ratio']) == RATIOS
    for name, ratio in numbers['time_ratio'].items():
        a, b = name.split('/')
        rounds = np.divide(seconds[a], seconds[b])
        assert ratio['median'] == pytest.approx(np.median(rounds), rel=1e-3)
        assert ratio['q1'] <= ratio['median'] <= ratio['q3']


@pytest.mark.parametrize('setting', ['r18', 'small'])
def test_shares_of_noise_models(result, setting):
    by_method = result['settings'][setting]['noise_model_share']
    # The only one with two networks.
    assert set(by_method) == {'resup'}
    shares = by_method['resup']
    assert set(shares) == {'weighing', 'refit'}
    assert all(value > 0 for value in shares.values())


@pytest.mark.parametrize('setting', ['r18', 'small'])
def test_memory(result, setting):
    numbers = result['settings'][setting]
    memory = numbers['peak_memory_mib']
    assert list(memory) == EXAMPLES
    # ALUM has two more branches, ReSup one more network.
    assert 1.7 < memory['resup'] / memory['ce'] < 2.3
    assert memory['ce'] < memory['alum_gate1']
    for name, ratio in numbers['memory_ratio'].items():
        a, b = name.split('/')
        assert ratio == pytest.approx(memory[a] / memory[b], rel=1e-2)


def test_methods_are_found():
    """All with both networks, and the variants that they name."""
    methods = set(tool.ROWS) - {'alum_gate1'}
    for method in methods:
        for name in tool.NAMES.values():
            assert (ROOT / f'configs/{method}/{method}_{name}.py').is_file()
    assert {'ce', 'alum', 'resup'} <= methods
    assert tool.parse_args([]).methods[0] == 'ce'


def test_methods_take_turns():
    order = []
    seconds = timing.interleave(
        {name: lambda name=name: order.append(name) for name in 'abc'},
        rounds=3,
        repeat=2,
        synchronize=lambda: None,
    )
    assert ''.join(order) == 'aabbcc' * 3
    assert {name: len(values) for name, values in seconds.items()} == dict(
        a=3, b=3, c=3
    )


def test_ratios_pair_within_rounds():
    # The machine is ten times as slow in the second round.
    seconds = dict(ce=[1.0, 10.0, 1.0], rul=[2.0, 20.0, 3.0], alum=[2.2, 22.0, 3.3])
    ratios = timing.time_ratios(seconds, ['none', 'ce'])
    assert ratios == {
        'rul/ce': dict(median=2.0, q1=2.0, q3=2.5),
        'alum/ce': dict(median=2.2, q1=2.2, q3=2.75),
    }


def test_allocation_peak():
    assert timing.allocation_peak([5, 3, -5, 4, -3, -4]) == 8
    assert timing.allocation_peak([]) == 0


def test_cpu_growth_counts_what_lives_together():
    size = 2**20

    def step():
        first = torch.empty(size, dtype=torch.uint8)
        del first
        second = torch.empty(2 * size, dtype=torch.uint8)
        third = second.float()
        del second, third

    assert timing.cpu_growth(step) == 10 * size


def test_growth_finds_what_autograd_keeps():
    weight = torch.ones(256, 256, requires_grad=True)

    def step(layers):
        x = weight
        for _ in range(layers):
            x = x.exp()
        x.sum().backward()
        weight.grad = None

    size = weight.numel() * 4
    difference = timing.cpu_growth(lambda: step(12)) - timing.cpu_growth(
        lambda: step(4)
    )
    assert difference == 8 * size


@pytest.fixture
def scope():
    before = DefaultScope.get_current_instance()
    init_default_scope('mmfer')
    yield
    if before is not None:
        init_default_scope(before.scope_name)


def test_configs(scope):
    setting = train_speed.Setting('r18_ferplus', 16, 4)
    probs = {
        method: MODELS.build(
            train_speed.load_config(
                tool.ROWS[method], setting, 'config'
            ).model.latent_compensation
        ).prob
        for method in ('alum', 'alum_gate1')
    }
    assert probs == dict(alum=0.5, alum_gate1=1.0)
    for precision in ('float32', 'bfloat16'):
        trainer = train_speed.Trainer(
            tool.ROWS['ce'], setting, precision, torch.device('cpu')
        )
        assert trainer.precision == precision
        before = [p.clone() for p in trainer.model.parameters()]
        trainer.step()
        assert any(
            not torch.equal(a, b)
            for a, b in zip(before, trainer.model.parameters(), strict=True)
        )


@pytest.mark.parametrize(
    'options, word',
    [
        (['--pairs', '0'], '--pairs'),
        (['--batch-size', '1'], '--batch-size'),
        (['--methods', 'unknown'], '--methods'),
    ],
)
def test_bad_options(capsys, options, word):
    with pytest.raises(SystemExit) as error:
        tool.parse_args(options)
    assert error.value.code == 2
    assert word in capsys.readouterr().err
