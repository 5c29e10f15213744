"""Read configs and settings that users have written."""

import os
import re
import shlex
from pathlib import Path
from typing import Optional

from mmengine.config import Config

from .config_errors import ConfigError


def read_config(path: str) -> Config:
    """Read a config file, which is a program that the user may have written.

    Raises:
        ConfigError: With the error in a sentence that names the file.
    """
    try:
        return Config.fromfile(path)
    except Exception as error:
        cause: Optional[BaseException] = error
        # mmengine raises errors of its own for that of Python.
        while isinstance(cause, ImportError):
            if isinstance(cause, ModuleNotFoundError):
                raise ConfigError(_no_module(path, str(cause.name))) from error
            cause = cause.__cause__ or cause.__context__
        text = str(error) if str(error) else 'cannot be read'
        row = getattr(error, 'lineno', None)
        if isinstance(error, SyntaxError):
            text = f'line {row}: {error.msg}'
        raise ConfigError(f'{path}: {type(error).__name__}: {text}') from error


def _no_module(path: str, name: str) -> str:
    """Return the message for a module of ``custom_imports`` that is not found.

    Args:
        path (str): The config.
        name (str): Name of the module, or of one that it imports.
    """
    top = name.partition('.')[0]
    folder = Path(path).absolute().parent
    for place in (folder, *folder.parents):
        if (place / f'{top}.py').is_file() or (place / top).is_dir():
            # A path that is set stays.
            rest = f'{os.pathsep}"$PYTHONPATH"' * bool(os.environ.get('PYTHONPATH'))
            advice = (
                f'It lies in {place}, where Python does not look. Put '
                f'PYTHONPATH={shlex.quote(str(place))}{rest} before the command.'
            )
            break
    else:
        advice = (
            'Install the package that has it, or name its folder in the environment '
            'variable PYTHONPATH.'
        )
    return f'{path}: Python does not find {name!r} of custom_imports. {advice}'


# Parts of a config that are always dicts.
MUST_BE_DICT = re.compile(
    r'^(model|data_preprocessor|optim_wrapper|default_hooks|randomness|visualizer)$'
    r'|_(dataloader|cfg)$'
)


def refuse_stray_commas(cfg: Config) -> None:
    """Refuse a part of a config that a comma behind it has made a tuple.

    Raises:
        ConfigError: With the name of the part.
    """
    for name, value in cfg.items():
        # Tuples are fine for hooks, schedules, metrics and pipelines.
        if not MUST_BE_DICT.search(name):
            continue
        if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], dict):
            raise ConfigError(
                f'{cfg.filename or "the config"}, {name}: this is a tuple with one '
                f'dict in it. Remove the comma behind {name} = dict(...).'
            )


def merge_options(cfg: Config, options: dict) -> None:
    """Merge the settings of ``--cfg-options`` into a config.

    Raises:
        ConfigError: A key names a part of the config that cannot take a value.
    """
    for key, value in options.items():
        try:
            cfg.merge_from_dict({key: value})
        except (TypeError, KeyError, ValueError, AttributeError, IndexError) as error:
            reason = error.args[0] if error.args else error
            raise ConfigError(
                f'--cfg-options {key}: the config has no such part: {reason}'
            ) from error
