"""The parts of a step: they add up, and to measure them changes nothing."""

import csv

import pytest
import torch
from helpers import load_tool, tiny_config

from mmfer.analysis.benchmarks import operations, step_profile, timed_runs
from mmfer.analysis.benchmarks.sections import Sections, wrap_methods

tool = load_tool('benchmarks/step_profile.py')


class Machine:
    """Functions that call each other and move a clock by hand."""

    def __init__(self):
        self.now = 0.0
        self.waits = 0

    def wait(self):
        self.waits += 1

    def inner(self):
        self.now += 1

    def outer(self, fails=False):
        self.now += 10
        self.inner()
        self.inner()
        self.now += 100
        if fails:
            raise KeyError('broken')


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def sections(machine):
    found = Sections(lambda: machine.now)
    names = dict(inner='b', outer='a', missing='c')
    wrap_methods(found, machine, names)
    return found


def test_inner_sections_do_not_count_twice(machine, sections):
    # Not measured before the start.
    machine.outer()
    sections.start('rest', machine.wait)
    machine.now += 1000
    machine.outer()
    sections.rename('end')
    machine.inner()
    machine.now += 5
    assert sections.stop() == dict(rest=1000, a=110, b=3, end=5)
    # Not after the end, either.
    machine.outer()
    assert sections.seconds == dict(rest=1000, a=110, b=3, end=5)


def test_device_waits_at_every_mark(machine, sections):
    sections.start('rest', machine.wait)
    machine.outer()
    sections.stop()
    # Start, stop, and the beginnings and ends of three sections.
    assert machine.waits == 2 + 2 * 3


def test_failing_section_is_closed(machine, sections):
    sections.start('rest', machine.wait)
    with pytest.raises(KeyError):
        machine.outer(fails=True)
    machine.now += 7
    assert sections.stop() == dict(rest=7, a=110, b=2)


def test_restart_forgets(machine, sections):
    sections.start('rest', machine.wait)
    machine.outer()
    sections.stop()
    sections.start('rest', machine.wait)
    machine.inner()
    assert sections.stop() == dict(rest=0, b=1)


@pytest.fixture(scope='module')
def configs(tmp_path_factory):
    """Paths of tiny configs, by method."""
    folder = tmp_path_factory.mktemp('configs')
    paths = {}
    for name in ('ce/ce_r18', 'jointgan/jointgan_vgg16'):
        method = name.partition('/')[0]
        if method == 'jointgan':
            cfg = timed_runs.Config.fromfile(
                tool.timed_runner.find_config(f'{name}_synthfaces_noise30')
            )
            cfg.train_dataloader.dataset.num_samples = 48
            cfg.model.encoder.backbone.base_channels = 4
            cfg.model.decoder = dict(base_channels=4)
            cfg.model.discriminator = dict(base_channels=4)
            cfg.model.discriminator_steps = 1
        else:
            cfg = tiny_config(None, f'{name}_synthfaces_noise30')
            cfg.pop('work_dir')
        cfg.train_dataloader.batch_size = 4
        paths[method] = str(folder / f'{method}.py')
        cfg.dump(paths[method])
    return paths


PARTS = {
    'ce': {'backbone', 'neck', 'normalise', 'waiting for data'},
    'jointgan': {'backbone', 'decoder', 'discriminator'},
}


@pytest.mark.parametrize('method', PARTS)
def test_tool(method, configs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(step_profile, 'WARMUP', 1)
    path = tmp_path / 'out.csv'
    argv = ['step_profile.py', '--configs', configs[method], '--rounds', '1']
    argv += ['--steps', '2', '--device', 'cpu', '--csv', str(path)]
    before = tmp_path / 'before.csv'
    before.write_text(f'config,section,ms\n{configs[method]},backward,123.5\n')
    argv += ['--before', str(before)]
    monkeypatch.setattr('sys.argv', argv)
    capsys.readouterr()
    tool.main()
    text = capsys.readouterr().out
    with open(path) as file:
        rows = {row['section']: row for row in csv.DictReader(file)}
    assert list(rows)[-4:] == [
        'sum of the sections',
        'step without marks',
        'operations, number',
        'values read, number',
    ]
    times = {name: float(row['ms']) for name, row in rows.items()}
    total = times.pop('sum of the sections')
    assert rows['backward']['before_ms'] == '123.5' and rows['rest']['before_ms'] == ''
    assert times.pop('step without marks') > 0
    assert times.pop('operations, number') > 100
    assert times.pop('values read, number') >= 0
    # There is one round, so the median is exact but for the printed digits.
    assert sum(times.values()) == pytest.approx(total, rel=1e-3)
    common = {'to device, stack', 'head and loss', 'backward', 'optimizer', 'rest'}
    assert PARTS[method] | common <= set(times)
    assert {'hook StopOnNaNHook', 'logging (LoggerHook)'} <= set(times)
    shares = [float(row['share']) for name, row in rows.items() if name in times]
    assert sum(shares) == pytest.approx(1, abs=3e-3)
    assert f'{configs[method]} on cpu' in text
    assert 'host ms' not in text


def weights_after(configs, folder, iterations, profiled):
    """Return the weights after some iterations, with or without marks."""
    args = tool.parse_args(['--device', 'cpu'])
    runner = tool.timed_runner.build(configs['ce'], args, folder)
    if profiled:
        profiler = step_profile.StepProfiler(runner, 1, 2, torch.device('cpu'))
        with step_profile.marked_classes(profiler.sections):
            timed_runs.train_until_done(runner)
        assert runner.iter + 1 == iterations
        return runner.model.state_dict()
    call = runner.call_hook

    def counted(name, **kwargs):
        call(name, **kwargs)
        if name == 'after_train_iter' and runner.iter + 1 == iterations:
            raise timed_runs.MeasurementDone

    runner.call_hook = counted
    timed_runs.train_until_done(runner)
    return runner.model.state_dict()


def test_marks_change_nothing(configs, tmp_path):
    # Warm-up; the first mode begins after the next iteration; the last one is counted.
    iterations = step_profile.WARMUP + 1 + 2 * 2 + 1
    first = weights_after(configs, tmp_path / 'a', iterations, profiled=True)
    second = weights_after(configs, tmp_path / 'b', iterations, profiled=False)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.filterwarnings('ignore:CUDA is not available')
def test_modes_of_a_gpu(configs, tmp_path, monkeypatch):
    """On a pretended GPU: marks wait in one mode only, and a profile is counted."""
    waits = []
    monkeypatch.setattr(step_profile, 'synchronize', lambda device: waits.append(1))
    args = tool.parse_args(['--device', 'cpu'])
    runner = tool.timed_runner.build(configs['ce'], args, tmp_path)
    profiler = step_profile.StepProfiler(runner, 2, 1, torch.device('cuda'))
    names = 'cudaLaunchKernel cudaLaunchKernelExC cuLaunchKernel Memcpy_HtoD'.split()
    events = [name.replace('_', ' ') for name in names] + ['aten::add']
    count = operations.count_events
    monkeypatch.setattr(operations, 'count_events', lambda _: count(events))
    timed_runs.train_until_done(runner)
    assert {mode: len(found) for mode, found in profiler.found.items()} == dict(
        synchronised=2, host=2, plain=2
    )
    assert len(waits) > 2 * 30
    rows = step_profile.rows_of('c', torch.device('cuda'), profiler)
    by_name = {row['section']: row for row in rows}
    assert by_name['kernels launched, number']['ms'] == 3
    assert by_name['copies to the GPU, number']['ms'] == 1
    assert by_name['waits of the CPU, number']['ms'] == 0
    assert by_name['backward']['host_ms'] > 0
    assert 'host ms' in step_profile.as_text(rows)


def test_operations_are_counted():
    """By hand: views and empty tensors compute nothing."""
    weight = torch.ones(2, 3, requires_grad=True)
    with operations.counting(torch.device('cpu')) as found:
        # fill_ and mul
        product = torch.empty(3).fill_(2) * weight.view(3, 2).t()
        loss = product.sum()
        # ones_like, mul, and clone for the view of the transposed gradient
        loss.backward()
        loss.item()
        # gt and any, and a value that is read
        bool((loss > 1).any())
    assert found == {'operations': 2 + 1 + 3 + 2, 'values read': 2}
    with operations.counting(torch.device('meta')) as found:
        weight + 1
    assert found == {'operations': 0, 'values read': 0}


def test_short_epoch_is_refused(configs, tmp_path):
    args = tool.parse_args(['--device', 'cpu', '--batch-size', '16'])
    runner = tool.timed_runner.build(configs['ce'], args, tmp_path)
    with pytest.raises(ValueError, match=r'6 iterations.*more than --steps \(1\)'):
        step_profile.measure(runner, 'ce', 1, 1, torch.device('cpu'))


def test_text_merges_small_hooks():
    def row(section, ms, share):
        return dict(
            config='c', device='cpu', section=section, ms=ms, share=share, host_ms=''
        )

    rows = [row('backward', 99.0, 0.99), row('hook A', 0.25, 0.00025)]
    rows += [row('hook B', 0.5, 0.0005), row('hook C', 2.0, 0.002), row('rest', 0.1, 0)]
    lines = step_profile.as_text(rows).splitlines()
    assert [line[:30].strip() for line in lines] == [
        'c on cpu',
        'section',
        'backward',
        'hook C',
        '2 other hooks',
        'rest',
    ]
    assert lines[4].split()[-2:] == ['0.75', '0.1%']


def test_earlier_measurement_is_joined():
    def row(section, ms, config='c'):
        return dict(
            config=config, device='cpu', section=section, ms=ms, share=0.5, host_ms=''
        )

    names = ('neck', 'backward', 'hook B', 'rest', 'sum of the sections')
    rows = [row(name, 1.0 + i) for i, name in enumerate(names)]
    before = [row(name, '10') for name in ('backward', 'rest', 'hook A')]
    before += [row('neck', '99', 'other'), row('sum of the sections', '30')]
    found = step_profile.with_before(rows, before)
    assert [(r['section'], r['ms'], r['before_ms']) for r in found] == [
        ('neck', 1, ''),
        ('backward', 2, 10),
        ('hook A', 0, 10),
        ('hook B', 3, ''),
        ('rest', 4, 10),
        ('sum of the sections', 5, 30),
    ]
    assert [line.split() for line in step_profile.as_text(found).splitlines()[1:]] == [
        ['section', 'ms', 'share', 'before', 'ms'],
        ['neck', '1', '50.0%'],
        ['backward', '2', '50.0%', '10'],
        ['hook', 'B', '3', '50.0%'],
        ['1', 'other', 'hooks', '0', '0.0%', '10'],
        ['rest', '4', '50.0%', '10'],
        ['sum', 'of', 'the', 'sections', '5', '50.0%', '30'],
    ]
