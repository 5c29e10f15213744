"""Merge options into configs."""

import copy
from typing import Any, Optional

from mmengine.config import Config


# mmengine 0.10 merges config files with a private method only; use a public
# one once it exists.
def merge_options(base: dict, options: Optional[dict]) -> dict:
    """Merge ``options`` into ``base`` at every depth.

    - ``_delete_=True`` in a dict of ``options`` replaces the whole dict of
      ``base``, as in config files.
    - An ``init_cfg`` with another ``type`` or ``checkpoint`` replaces the whole
      old one. Otherwise the ``prefix`` of the old checkpoint would be applied
      to the new one.
    - A dict also replaces a value that is no dict, such as None.

    Neither argument is changed.
    """
    options = _mark_replacements(base, copy.deepcopy(options or {}))
    return _without_delete(Config._merge_a_into_b(options, base))


def _mark_replacements(base: dict, options: dict) -> dict:
    """Mark the dicts in ``options`` that replace a whole dict of ``base``."""
    for key, value in options.items():
        if not isinstance(value, dict) or value.get('_delete_'):
            continue
        old = base.get(key)
        if not isinstance(old, dict):
            value['_delete_'] = True
        elif key == 'init_cfg' and any(
            name in value and value[name] != old.get(name)
            for name in ('type', 'checkpoint')
        ):
            value.setdefault('type', 'Pretrained')
            value['_delete_'] = True
        else:
            _mark_replacements(old, value)
    return options


def _without_delete(value: Any) -> Any:
    """Remove the ``_delete_`` keys that mmengine's merge leaves in the result."""
    if isinstance(value, dict):
        return type(value)(
            {
                key: _without_delete(item)
                for key, item in value.items()
                if key != '_delete_'
            }
        )
    if type(value) in (list, tuple):
        return type(value)(map(_without_delete, value))
    return value
