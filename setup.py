"""Packaging of mmfer; metadata is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class BuildWithConfigs(build_py):
    """Build command that puts configs and the model index into the package.

    OpenMMLab's tools look for them in ``mmfer/.mim``. In a checkout they lie
    beside the package, where an editable install finds them.
    """

    def run(self):
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / 'mmfer/.mim'
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(
            ROOT / 'configs',
            target / 'configs',
            ignore=shutil.ignore_patterns('__pycache__'),
        )
        shutil.copy(ROOT / 'model-index.yml', target)


setup(cmdclass=dict(build_py=BuildWithConfigs))
