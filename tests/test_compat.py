"""The work-arounds work, and are still needed."""

import importlib.util
import logging
import math
import pickle
import platform
import subprocess
import sys
import types
import zipfile
from unittest import mock

import mmengine.logging
import numpy as np
import pytest
import torch
from helpers import environment
from mmengine.config import Config
from mmengine.dist import init_dist
from mmengine.fileio import LocalBackend
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.model.weight_init import PretrainedInit
from mmengine.runner import CheckpointLoader, checkpoint, load_checkpoint
from mmengine.utils import dl_utils

from mmfer import compat
from mmfer.utils.installed import find_distribution


def test_inference_begins_without_words():
    """No message about what mmcv-lite lacks, or about a data set of the fork."""
    found = subprocess.run(
        [sys.executable, '-c', 'from mmfer import FERInferencer'],
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    for word in ('MultiScale', 'OneDL'):
        assert word not in found.stdout + found.stderr


def test_plain_types_round_trip(tmp_path):
    buffer = HistoryBuffer()
    for value in (1.5, 2.5, 4.0):
        buffer.update(value)
    hub = dict(
        log_scalars={'loss': buffer},
        runtime_info=dict(a=np.float32(2), b=np.arange(3), c=('x', 1), d=None),
    )
    path = tmp_path / 'hub.pth'
    torch.save(compat.to_plain(hub), path)
    loaded = compat.from_plain(torch.load(path, weights_only=True))
    back = loaded['log_scalars']['loss']
    assert isinstance(back, HistoryBuffer)
    assert back.data[0].tolist() == [1.5, 2.5, 4.0]
    assert back.mean(2) == buffer.mean(2)
    assert loaded['runtime_info']['a'] == 2
    assert loaded['runtime_info']['c'] == ('x', 1)


def test_unknown_objects_do_not_poison_a_checkpoint(tmp_path):
    torch.save(compat.to_plain(dict(x=object())), tmp_path / 'x.pth')
    assert 'object' in torch.load(tmp_path / 'x.pth', weights_only=True)['x']


def test_functions_are_no_state(tmp_path):
    state = dict(scheduler=[dict(step=3, anneal=math.cos, other=[].append)])
    torch.save(compat.to_plain(state), tmp_path / 'x.pth')
    assert torch.load(tmp_path / 'x.pth', weights_only=True) == dict(
        scheduler=[dict(step=3)]
    )


def test_message_hub_is_still_unsafe(tmp_path):
    """Fails when mmengine stores plain types: then drop ``to_plain``."""
    hub = MessageHub.get_instance('test_message_hub_is_still_unsafe')
    hub.update_scalar('loss', 1.0)
    torch.save(hub.state_dict(), tmp_path / 'hub.pth')
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / 'hub.pth', weights_only=True)


def test_unsafe_loading_is_an_opt_in(tmp_path):
    path = tmp_path / 'foreign.pth'
    torch.save(dict(buffer=HistoryBuffer()), path)
    with compat.unsafe_loading():
        assert 'buffer' in torch.load(path)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path)


def test_local_backend_still_writes_in_place(tmp_path):
    """Fails when mmengine replaces files: then drop the backend."""
    path = tmp_path / 'file'
    path.write_bytes(b'old')
    inode = path.stat().st_ino
    LocalBackend().put(b'new', path)
    assert path.stat().st_ino == inode


def test_old_dependency_is_explained(monkeypatch):
    monkeypatch.setitem(compat.MINIMUM_VERSIONS, 'mmengine', '99.0')
    with pytest.raises(ImportError, match='mmengine>=99.0, found'):
        compat.check_dependencies()


def test_amp_optim_wrapper_still_refuses_the_cpu():
    """Fails when it accepts the CPU: then drop ``AutocastOptimWrapper``."""
    if torch.cuda.is_available():
        pytest.skip('needs a machine without an accelerator')
    from mmengine.optim import AmpOptimWrapper

    weight = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(AssertionError):
        AmpOptimWrapper(optimizer=torch.optim.SGD([weight], lr=1.0))


def test_launcher_still_wants_cuda(monkeypatch):
    """Fails when mmengine's launcher supports CPUs: drop the process group."""
    if torch.cuda.is_available():
        pytest.skip('on a machine with CUDA it has what it wants')
    for name, value in dict(
        RANK='0',
        LOCAL_RANK='0',
        WORLD_SIZE='1',
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT='0',
    ).items():
        monkeypatch.setenv(name, value)
    with pytest.raises((AssertionError, RuntimeError)):
        init_dist('pytorch', backend='gloo')
    assert not torch.distributed.is_initialized()


def test_config_for_cpu_processes():
    cfg = Config(dict(env_cfg=dict(dist_cfg=dict(backend='nccl'))))
    compat.use_cpu_processes(cfg)
    assert cfg.env_cfg.dist_cfg.backend == 'gloo'
    assert cfg.model_wrapper_cfg == dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=False,
    )
    cfg = Config(
        dict(
            env_cfg=dict(dist_cfg=dict(backend='nccl')),
            find_unused_parameters=True,
            model_wrapper_cfg=dict(static_graph=True),
        )
    )
    compat.use_cpu_processes(cfg)
    assert cfg.model_wrapper_cfg.find_unused_parameters
    assert cfg.model_wrapper_cfg.static_graph


FAULTS = """
import resource
import torch
from mmfer.compat import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.empty(16 << 20).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
plain = faults()
assert keep_freed_memory()
faults()
print(plain, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='glibc has the option')
def test_freed_memory_is_kept():
    """With the option the second round touches no new page."""
    found = subprocess.run(
        [sys.executable, '-c', FAULTS], capture_output=True, text=True, check=True
    )
    plain, kept = map(int, found.stdout.split())
    assert kept < 20 <= plain


def test_configs_are_formatted_once(monkeypatch):
    """Fails when mmengine keeps the text: then drop ``format_once``."""
    texts = []

    def format_code(text, style_config):
        texts.append(text)
        return text.upper(), True

    cfg = Config(dict(a=1))
    get_text = Config.pretty_text.fget
    plain = property(getattr(get_text, '__wrapped__', get_text))
    monkeypatch.setattr(Config, 'pretty_text', plain)
    monkeypatch.setattr(compat.FORMATTER, format_code)
    assert [cfg.pretty_text, cfg.pretty_text] == ['A=1', 'A=1']
    assert len(texts) == 2
    once = compat.format_once(format_code, kept=2)
    monkeypatch.setattr(compat.FORMATTER, once)
    assert [cfg.pretty_text, cfg.pretty_text] == ['A=1', 'A=1']
    assert len(texts) == 3
    # A changed config is another text.
    cfg.a = 2
    assert cfg.pretty_text == 'A=2'
    for b in 'xyz':
        cfg.b = b
        assert cfg.pretty_text == f"A=2\nB='{b.upper()}'"
    assert len(texts) == 7
    # Other options are another result, and the oldest results are forgotten.
    once(texts[-1], style_config='google')
    cfg = Config(dict(a=1))
    assert cfg.pretty_text == 'A=1'
    assert len(texts) == 9


def test_formatter_that_is_imported_when_used(monkeypatch):
    """As the maintained fork does; mmfer imports no formatter for it."""
    texts = []

    def format_code(text):
        texts.append(text)
        return text, True

    formatter = types.ModuleType('made_formatter')
    formatter.FormatCode = format_code
    monkeypatch.setitem(sys.modules, 'made_formatter', formatter)
    monkeypatch.setattr(compat, 'FORMATTER', 'made_formatter.FormatCode')

    def get_text(config):
        import made_formatter

        return made_formatter.FormatCode(config)[0]

    remembered = compat.remember_when_used(get_text)
    assert [remembered(text) for text in 'aabab'] == [*'aabab']
    assert texts == ['a', 'b']
    # No formatter where it was: whatever there is instead is used as it is.
    monkeypatch.setattr(compat, 'FORMATTER', 'gone_formatter.FormatCode')
    assert remembered('c') == 'c'


DEBUG_MESSAGE = """
import sys
if sys.argv[1] == 'mmfer':
    import mmfer
import mmpretrain.datasets
"""


@pytest.mark.slow
def test_import_prints_nothing():
    """Fails when the maintained fork prints nothing: then drop ``from_info_on``."""
    said = [
        subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', DEBUG_MESSAGE, first],
            capture_output=True,
            text=True,
            check=True,
            env=environment(),
        ).stdout
        for first in ('mmpretrain', 'mmfer')
    ]
    fork = find_distribution('onedl-mmpretrain') is not None
    assert said == ['Could not import OneDL\n' * fork, '']


def test_only_debug_messages_without_a_logger_are_dropped(capsys):
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        mmengine.logging.print_log(f'level {level}', level=level)
    mmengine.logging.print_log('plain')
    assert capsys.readouterr().out == 'level 20\nlevel 30\nplain\n'
    logger = logging.getLogger('test_only_debug_messages')
    logger.setLevel(logging.DEBUG)
    records = []
    logger.addFilter(records.append)
    mmengine.logging.print_log('kept', logger, logging.DEBUG)
    assert [record.getMessage() for record in records] == ['kept']


def test_config_dump_is_still_not_atomic(tmp_path, monkeypatch):
    """Fails when mmengine writes configs in one step: then drop the work-around."""
    path = tmp_path / 'config.py'

    def write(dump):
        path.write_text('old')
        with pytest.raises(ZeroDivisionError):
            dump(Config(dict(a=1)), path)
        return path.read_text()

    with monkeypatch.context() as patch:
        patch.setattr(Config, 'pretty_text', property(lambda self: 1 / 0))
        assert write(Config.dump.__wrapped__) == ''
        assert write(Config.dump) == 'old'
    Config(dict(a=1)).dump(path)
    assert Config.fromfile(path).a == 1
    assert Config.fromfile(path).dump().replace(' ', '').strip() == 'a=1'
    Config(dict(a=1)).dump(tmp_path / 'config.json')
    assert Config.fromfile(tmp_path / 'config.json').a == 1


def test_errors_of_a_formatter_are_not_kept():
    def fail(text):
        calls.append(text)
        raise SyntaxError(text)

    calls = []
    once = compat.format_once(fail)
    for _ in range(2):
        with pytest.raises(SyntaxError):
            once('a')
    assert calls == ['a', 'a']


def test_mmengine_still_does_not_find_configs_of_mmfer():
    find = Config._get_cfg_path.__wrapped__
    # Without pkg_resources, it is another error.
    with pytest.raises((AssertionError, ImportError)):
        find('mmfer::ce/ce_r18_rafdb.py', 'own.py')
    path, scope = Config._get_cfg_path('mmfer::ce/ce_r18_rafdb.py', 'own.py')
    # A scope would be written into every dict of the config.
    assert path.endswith('configs/ce/ce_r18_rafdb.py') and scope is None
    near, _ = Config._get_cfg_path('ce/ce_r18_rafdb.py', '/folder/own.py')
    assert near == '/folder/ce/ce_r18_rafdb.py'
    with pytest.raises(FileNotFoundError, match='nearest names are ce_r18_rafdb'):
        Config._get_cfg_path('mmfer::ce/ce_r18_rafbd.py', 'own.py')


def foreign_file(folder):
    """A checkpoint with an object that torch's safe loader refuses."""
    path = folder / 'foreign.pth'
    torch.save(dict(state_dict={}, buffer=HistoryBuffer()), path)
    return path


def test_loader_of_addresses_is_still_unsafe(tmp_path):
    """Fails when mmengine downloads safely: then drop ``load_url``."""
    url = foreign_file(tmp_path).as_uri()
    found = dl_utils.load_url(url, model_dir=str(tmp_path / 'cache'), progress=False)
    assert isinstance(found['buffer'], HistoryBuffer)


def test_loader_of_onedl_is_still_unsafe(tmp_path):
    """Fails when onedl-mmengine has no fallback: then drop ``load_checked``."""
    spec = importlib.util.spec_from_file_location('fresh', checkpoint.__file__)
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    if not hasattr(fresh, '_safe_torch_load'):
        pytest.skip("OpenMMLab's mmengine is installed, which has no fallback")
    with mock.patch.object(fresh, 'get_torch_safe_globals', lambda: []):
        found = fresh.load_from_local(str(foreign_file(tmp_path)), 'cpu')
    assert isinstance(found['buffer'], HistoryBuffer)


def test_torch_still_unpacks_archives_without_a_limit(tmp_path):
    """Fails when torch refuses compressed archives: then look at ``load_checked``."""
    plain, packed = tmp_path / 'plain.pth', tmp_path / 'packed.pth'
    torch.save(dict(a=torch.zeros(1 << 20)), plain)
    with zipfile.ZipFile(plain) as source:
        with zipfile.ZipFile(packed, 'w', zipfile.ZIP_DEFLATED) as target:
            for name in source.namelist():
                target.writestr(name, source.read(name))
    assert packed.stat().st_size < plain.stat().st_size / 100
    assert len(torch.load(packed, weights_only=True)['a']) == 1 << 20
    with pytest.raises(ValueError, match='compressed'):
        compat.load_checked(str(packed))


LOADERS = {
    'local': lambda path: CheckpointLoader.load_checkpoint(str(path)),
    'address': lambda path: checkpoint.load_from_http(path.as_uri()),
    'torchvision': lambda path: CheckpointLoader.load_checkpoint('torchvision://x'),
    'openmmlab': lambda path: CheckpointLoader.load_checkpoint('open-mmlab://x'),
    'mmcls': lambda path: CheckpointLoader.load_checkpoint('mmcls://x'),
    'model': lambda path: load_checkpoint(torch.nn.Linear(1, 1), str(path)),
    'init_cfg': lambda path: PretrainedInit(str(path))(torch.nn.Linear(1, 1)),
    'prefix': lambda path: PretrainedInit(str(path), prefix='a')(torch.nn.Linear(1, 1)),
}


@pytest.mark.parametrize('loader', LOADERS)
def test_no_loader_of_mmengine_is_unsafe(tmp_path, monkeypatch, loader):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))
    path = foreign_file(tmp_path)
    # The lists of addresses; the download itself is that of torch.
    for name in ('get_torchvision_models', 'get_external_models', 'get_mmcls_models'):
        monkeypatch.setattr(checkpoint, name, lambda: dict(x=path.as_uri()))
    monkeypatch.setattr(checkpoint, 'get_deprecated_model_names', dict)
    original = checkpoint.load_from_openmmlab
    monkeypatch.setitem(
        CheckpointLoader._schemes,
        'open-mmlab://',
        lambda *args, **kwargs: original(*args, **kwargs),
    )
    if loader == 'openmmlab':
        # It takes addresses that begin with http only.
        monkeypatch.setattr(
            checkpoint, 'get_external_models', lambda: dict(x='http://host/foreign.pth')
        )
        folder = tmp_path / 'home/hub/checkpoints'
        folder.mkdir(parents=True)
        (folder / 'foreign.pth').write_bytes(path.read_bytes())
    with pytest.raises(pickle.UnpicklingError, match='HistoryBuffer'):
        LOADERS[loader](path)
    # Nothing else has changed: what is trusted, and good files, are loaded.
    if loader in ('local', 'address', 'torchvision', 'openmmlab'):
        with compat.unsafe_loading():
            found = LOADERS[loader](path)
        assert isinstance(found['buffer'], HistoryBuffer)
    with pytest.raises(pickle.UnpicklingError):
        LOADERS[loader](path)


def test_loaders_read_good_files(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))
    path = tmp_path / 'good.pth'
    state = torch.nn.Linear(2, 3).state_dict()
    torch.save(dict(state_dict=state), path)
    for loader in ('local', 'address'):
        found = LOADERS[loader](path)['state_dict']
        assert torch.equal(found['weight'], state['weight'])
    # The second time from the cache of torch.
    path.unlink()
    found = LOADERS['address'](path)['state_dict']
    assert torch.equal(found['weight'], state['weight'])
    assert (tmp_path / 'home/hub/checkpoints/good.pth').is_file()
    with pytest.raises(FileNotFoundError, match='good.pth can not be found'):
        LOADERS['local'](path)
    path.write_bytes(b'damaged')
    with pytest.raises(ValueError) as caught:
        LOADERS['local'](path)
    assert not isinstance(caught.value, pickle.UnpicklingError)
