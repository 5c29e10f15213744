"""What decides a result: the settings, and the versions of packages."""

import hashlib
import json
from importlib import metadata
from typing import Dict

from mmengine.config import Config

# Where a run takes place and how it is started, which does not decide what
# comes out of it.
IGNORED_KEYS = (
    'work_dir',
    'resume',
    'launcher',
    'data_root',
    'experiment_name',
    'num_workers',
    'pin_memory',
    'persistent_workers',
    'log_level',
    'env_cfg',
    'visualizer',
    'vis_backends',
    'model_wrapper_cfg',
    'preflight',
)


PACKAGES = (
    'mmfer',
    'mmengine',
    'mmpretrain',
    'mmcv',
    'mmcv-lite',
    'torch',
    'torchvision',
    'numpy',
)


def package_versions() -> Dict[str, str]:
    """Versions of what a result depends on, where installed."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def deciding(cfg):
    """The part of a config that decides the result, as plain types."""
    if isinstance(cfg, dict):
        return {
            key: deciding(value)
            for key, value in cfg.items()
            if key not in IGNORED_KEYS
        }
    if isinstance(cfg, (list, tuple)):
        return [deciding(value) for value in cfg]
    return cfg


def config_hash(cfg: Config) -> str:
    """SHA-256 of :func:`deciding`, the same on every machine."""
    settings = deciding(cfg.to_dict())
    if cfg.get('resume'):
        # Then it names a part of this run, not the weights it began with.
        settings['load_from'] = None
    text = json.dumps(settings, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()
