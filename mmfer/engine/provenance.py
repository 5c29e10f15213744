"""Record what determines a result: settings and package versions."""

import hashlib
import json
from importlib import metadata
from typing import Any, Dict

from mmengine.config import Config

from mmfer.version import __version__

# Settings that say where and how a run is started. They do not change its
# result.
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
    'provenance',
    'max_keep_ckpts',
    'save_minutes',
    'save_iters',
)

# Packages whose versions can change a result.
PACKAGES = (
    'mmfer',
    'mmengine',
    'mmpretrain',
    'mmcv',
    'mmcv-lite',
    'onedl-mmengine',
    'onedl-mmpretrain',
    'onedl-mmcv',
    'torch',
    'torchvision',
    'numpy',
)


def package_versions() -> Dict[str, str]:
    """Return the versions of the installed :data:`PACKAGES`."""
    versions = {}
    for name in PACKAGES:
        try:
            # The metadata of an editable installation may be older than its code.
            found = __version__ if name == 'mmfer' else metadata.version(name)
            versions[name] = found
        except metadata.PackageNotFoundError:
            continue
    return versions


def deciding(cfg: Any) -> Any:
    """Return the part of a config that determines the result.

    :data:`IGNORED_KEYS` are removed at every depth. Dicts and lists become
    plain ones.
    """
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
    """Return the SHA-256 of :func:`deciding`, the same on every machine."""
    settings = deciding(cfg.to_dict())
    if cfg.get('resume'):
        # A resumed run loads its own checkpoint, not the weights that it
        # started from.
        settings['load_from'] = None
    text = json.dumps(settings, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()
