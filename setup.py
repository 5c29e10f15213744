"""Packaging of mmfer; metadata is in pyproject.toml."""

import os
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
# What OpenMMLab's programs look for in ``mmfer/.mim``.
SHIPPED = ('configs', 'tools', 'model-index.yml')
# tools/docs builds the documentation, which is not in the package.
IGNORED = ('__pycache__', '*.py[cod]', '.*', 'docs')


class BuildWithConfigs(build_py):
    """Build command that puts configs, tools and the model index into ``mmfer/.mim``.

    An editable installation gets links to those of the checkout instead. Git ignores
    these links.
    """

    def run(self):
        if self.editable_mode:
            super().run()
            self.link_shipped()
            return
        # Modules of an earlier build, which may be gone by now, would be packed too.
        for package in ('mmfer', 'mmfer_command'):
            shutil.rmtree(Path(self.build_lib) / package, ignore_errors=True)
        super().run()
        target = Path(self.build_lib) / 'mmfer/.mim'
        ignore = shutil.ignore_patterns(*IGNORED)
        target.mkdir(parents=True)
        for name in SHIPPED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target / name, ignore=ignore)
            else:
                shutil.copy(ROOT / name, target)

    def link_shipped(self):
        """Link ``mmfer/.mim`` to the checkout; without links, only openmim needs it."""
        target = ROOT / 'mmfer/.mim'
        try:
            target.mkdir(exist_ok=True)
            for name in SHIPPED:
                link = target / name
                if not link.exists():
                    # A link of a checkout that was moved leads nowhere.
                    link.unlink(missing_ok=True)
                    link.symlink_to(os.path.join('..', '..', name))
        except OSError as error:
            self.warn(
                f'{target} is not written ({error}). mmfer works without it, but '
                'openmim (mim train mmfer ...) does not.'
            )


setup(cmdclass=dict(build_py=BuildWithConfigs))
