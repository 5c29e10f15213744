"""Presets: named sets of options, such as those of a paper or of its published code."""

import copy
from typing import Any, Dict, Mapping

from mmengine.logging import MMLogger

from mmfer.utils.checks import choices, prefix_of
from mmfer.utils.config import merge_options


def with_preset(
    owner: object,
    presets: Mapping[str, Mapping[str, Any]],
    preset: str,
    given: Mapping[str, Any],
    none_is_given: bool = False,
) -> Dict[str, Any]:
    """Return the options of a preset, with the given ones in their place.

    A given option wins. If its value is not that of the preset, the log says so,
    because results with it are no results of the preset any more.

    Args:
        owner (object): Class, object or name that has the options, for messages.
        presets (Mapping): Options by name of the preset. All presets have the same
            options, and one is named ``'default'``.
        preset (str): Name of the chosen preset.
        given (Mapping): Options as given. Dicts are merged into those of the preset;
            options that the preset does not have stay as they are.
        none_is_given (bool): Whether None is a value. Otherwise it stands for an
            option that is not given. Defaults to False.

    Returns:
        dict: A value for each option of the preset, and for each given option.

    Raises:
        ValueError: There is no such preset.
    """
    choices(owner, 'preset', preset, presets)
    chosen = dict(presets[preset])
    used = copy.deepcopy(chosen)
    for name, value in given.items():
        if value is None and not none_is_given:
            continue
        if isinstance(value, dict) and isinstance(chosen.get(name), dict):
            value = merge_options(chosen[name], value)
        used[name] = value
    changed = _differences(chosen, used)
    if changed and preset != 'default':
        MMLogger.get_current_instance().warning(
            f'{prefix_of(owner)}preset={preset!r} is changed by given options: '
            f'{"; ".join(changed)}.'
        )
    return used


def _differences(preset: Mapping[str, Any], used: Mapping[str, Any]) -> list:
    """Describe each value of a preset that is not used, at every depth."""
    found = []
    for name, value in preset.items():
        new = used[name]
        if isinstance(value, Mapping) and isinstance(new, Mapping):
            both = {key: new.get(key, value[key]) for key in value}
            found += [f'{name}.{text}' for text in _differences(value, both)]
        elif new != value:
            found.append(f'{name}={new!r} instead of {value!r}')
    return found
