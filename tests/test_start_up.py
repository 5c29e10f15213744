"""What mmfer imports, and how long a run takes to its first iteration."""

import os
import subprocess
import sys

import pytest
from helpers import ROOT, environment

# A user's first build, in the scope of mmfer. Times vary, so the modules are counted.
FIRST_BUILD = """
import gc, sys
collections = []
gc.callbacks.append(lambda phase, info: collections.append(info['generation']))
import mmfer
assert collections.count(2) <= 2, collections
assert gc.isenabled() and gc.get_freeze_count() == 0

# The configs of a run are formatted once.
from pkgutil import resolve_name
from mmengine.config import Config
Config(dict(a=1)).pretty_text
assert hasattr(resolve_name(mmfer.compat.FORMATTER), '__wrapped__')

import mmpretrain.datasets, mmpretrain.engine, mmpretrain.evaluation
import mmpretrain.models, mmpretrain.visualization
known = set(sys.modules)
from mmengine.registry import MODELS, VISUALIZERS, DefaultScope
with DefaultScope.overwrite_default_scope('mmfer'):
    MODELS.build(dict(type='CEHead', in_channels=8, num_classes=7))
    VISUALIZERS.build(dict(type='LazyVisualizer', name='x'))
assert 'mmfer.methods' in sys.modules and 'mmfer.scan' not in sys.modules
import mmfer.cli
new = {name for name in sys.modules if name not in known}
assert 'mmfer.methods.jointgan.pictures' in new
print(sorted({name.split('.')[0] for name in new}))
print([name for name in ('matplotlib', 'pandas', 'sklearn', 'scipy', 'timm',
                         'cleanlab', 'tensorboard') if name in sys.modules])
"""


def test_imports_are_those_of_mmpretrain():
    """Parts of PIL and of numpy, which are loaded anyway, are all that is added.

    Which modules of the standard library torch has loaded depends on its version.
    """
    found = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', FIRST_BUILD],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert found.returncode == 0, found.stderr
    packages, heavy = map(eval, found.stdout.splitlines()[-2:])
    packages = set(packages) - sys.stdlib_module_names
    assert packages <= {'mmfer', 'mmfer_command', 'PIL', 'numpy'}
    assert heavy == []


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists('/proc/self/stat'), reason='needs /proc')
def test_first_iteration_of_the_quick_start(tmp_path):
    """It is there within 15 s of CPU time of one core; an idle machine takes 6."""
    run = subprocess.Popen(
        [
            sys.executable,
            'tools/train.py',
            'configs/alum/alum_r18_synthfaces_noise30.py',
            '--work-dir',
            str(tmp_path),
            '--cfg-options',
            'default_hooks.logger.interval=1',
            '--verbose',
        ],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seconds = None
    try:
        for line in run.stdout:
            if 'Epoch(train)' in line and '[1]' in line:
                with open(f'/proc/{run.pid}/stat') as file:
                    fields = file.read().rsplit(')', 1)[1].split()
                # User and system time, of the process and of its children.
                seconds = sum(map(int, fields[11:15])) / os.sysconf('SC_CLK_TCK')
                break
    finally:
        run.kill()
        run.communicate()
    assert seconds is not None and seconds <= 15
