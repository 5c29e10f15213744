"""Errors of building from a config, in a sentence that names the key and the file."""

import difflib
import inspect
import os
import os.path as osp
import re
import traceback
from contextlib import contextmanager
from types import FrameType
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

from mmengine.config import Config
from mmengine.registry import build_functions
from mmengine.runner import runner

# Types of errors that a wrong setting raises. Others, such as a full memory, have
# other causes.
CAUSED = (
    TypeError,
    KeyError,
    ValueError,
    AttributeError,
    AssertionError,
    IndexError,
    # mmpretrain's backbones for packages that are not installed, such as timm.
    ImportError,
)
# timm raises a RuntimeError for a name that it does not know.
UNKNOWN_MODEL = re.compile(r'^Unknown model \((\S+)\)$')
UNEXPECTED = re.compile(
    r"(?:(\w+)(?:\.__init__)?\(\) got an )?unexpected keyword argument '(\w+)'"
)
UNKNOWN = re.compile(r"^'?(\w[\w.]*)'? is not (?:in the .*registry|a model of)")
NO_OPTION = re.compile(r"has no option '(\w+)'")
LACKING = re.compile(r"'ConfigDict' object has no attribute '(\w+)'")
# Longest message of another library that is repeated.
LONGEST = 300


class ConfigError(ValueError):
    """Error for a setting from which nothing can be built."""


class Building(NamedTuple):
    """What was being built when an error was raised.

    Attributes:
        cfg (dict): Settings of the object.
        registry (Registry): Where its type was looked up.
        target (type | Callable, optional): What was called; None if it was not found.
    """

    cfg: Any
    registry: Any
    target: Any


@contextmanager
def config_errors(cfg: Config, options: Optional[dict] = None) -> Iterator[None]:
    """Turn errors of building from a config into a :class:`ConfigError`.

    Messages of mmfer, which say what to do, stay as they are.

    Args:
        cfg (Config): Config of the run.
        options (dict, optional): Settings of ``--cfg-options``.

    Raises:
        ConfigError: With a sentence that names the file and the key.
    """
    try:
        yield
    except (*CAUSED, RuntimeError) as error:
        if not isinstance(error, CAUSED) and not UNKNOWN_MODEL.match(str(error)):
            raise
        text = explain(error, cfg, options or {})
        if text is None:
            raise
        raise ConfigError(text) from error


def explain(error: BaseException, cfg: Config, options: dict) -> Optional[str]:
    """Return a sentence on an error; None if it is not about a setting.

    Args:
        error (BaseException): The error with its traceback.
        cfg (Config): Config of the run.
        options (dict): Settings of ``--cfg-options``.
    """
    settings = cfg._cfg_dict
    message = ' '.join(str(error.args[0] if error.args else error).split())
    message = message or type(error).__name__
    unexpected = UNEXPECTED.search(message)
    for building in reversed(list(buildings(error))):
        path = find_built(settings, building.cfg, options)
        if path is None:
            continue
        if unexpected and unexpected[2] in building.cfg:
            return unknown_option(
                f'{path}.{unexpected[2]}', building.target, cfg, options
            )
        unknown = UNKNOWN.match(message)
        if unknown:
            types = list(paths_of(settings, 'type', unknown[1]))
            key = types[0] if types else f'{path}.type'
            return (
                f'{place(key, cfg, options)}: there is no {unknown[1]!r}'
                f'{near(unknown[1], registered(building.registry))}'
            )
        if raised_by_mmfer(error):
            # Only the place is missing, if the error is about an option.
            about = isinstance(error, (TypeError, KeyError))
            option = NO_OPTION.search(message)
            key = f'{path}.{option[1]}' if option else path
            return f'{place(key, cfg, options)}: {message}' if about else None
        name = building.cfg.get('type')
        name = getattr(name, '__name__', name)
        return f'{place(path, cfg, options)} ({name}): {shortened(message)}'
    if raised_by_mmfer(error):
        return None
    if unexpected:
        paths = list(paths_of(settings, unexpected[2]))
        if len(paths) == 1:
            target = last_frame(error).f_globals.get(unexpected[1])
            return unknown_option(paths[0], target, cfg, options)
    lacking = LACKING.search(message)
    if lacking:
        return f'{place("", cfg, options)} has no setting {lacking[1]!r}, but needs one'
    return _runner_part(error, message, cfg, options)


def _runner_part(
    error: BaseException, message: str, cfg: Config, options: dict
) -> Optional[str]:
    """Return a sentence on an error of a Runner that builds one of its parts."""
    parts = [
        re.sub('^(build|register)_', '', frame.f_code.co_name).replace('_', ' ')
        for frame in frames_of(error)
        if frame.f_code.co_filename == runner.__file__
        and frame.f_code.co_name.startswith(('build_', 'register_'))
    ]
    if not parts:
        return None
    named = [key for key in options if key.rpartition('.')[2] in message]
    where = place(named[0] if named else '', cfg, options)
    return f'{where}: the {parts[-1]} cannot be built: {shortened(message)}'


def buildings(error: BaseException) -> Iterator[Building]:
    """Yield what was being built when an error was raised, from outside to inside."""
    for frame in frames_of(error):
        if (
            frame.f_code.co_filename == build_functions.__file__
            and frame.f_code.co_name == 'build_from_cfg'
        ):
            found = frame.f_locals
            if isinstance(found.get('cfg'), dict):
                yield Building(
                    found['cfg'], found.get('registry'), found.get('obj_cls')
                )


def frames_of(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames of a traceback, from outside to inside."""
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def last_frame(error: BaseException) -> FrameType:
    """Return the frame in which an error was raised."""
    return list(frames_of(error))[-1]


def unknown_option(key: str, target: Any, cfg: Config, options: dict) -> str:
    """Return the sentence on an option that an object does not have.

    Args:
        key (str): Path of the option.
        target (type | Callable, optional): What was built, if it is known.
        cfg (Config): Config of the run.
        options (dict): Settings of ``--cfg-options``.
    """
    option = key.rpartition('.')[2]
    name = getattr(target, '__name__', 'what is built from this')
    return (
        f'{place(key, cfg, options)}: {name} has no option {option!r}'
        f'{near(option, option_names(target))}'
    )


def option_names(target: Any) -> List[str]:
    """Return the options of a class or function, also those of its base classes."""
    calls = (
        [vars(base)['__init__'] for base in target.__mro__ if '__init__' in vars(base)]
        if isinstance(target, type)
        else [target]
    )
    names = []
    for call in calls:
        try:
            parameters = inspect.signature(call).parameters.values()
        except (TypeError, ValueError):
            continue
        names += [
            p.name
            for p in parameters
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != 'self'
        ]
    return sorted(set(names))


def registered(registry: Any) -> List[str]:
    """Return the names in a registry and in those above it."""
    names: List[str] = []
    while registry is not None:
        names += registry.module_dict
        registry = registry.parent
    return sorted(set(names))


def near(name: str, names: List[str]) -> str:
    """Return the end of a sentence that suggests similar names."""
    found = difflib.get_close_matches(name, names, 2)
    return f'. Did you mean {" or ".join(found)}?' if found else '.'


def shortened(message: str) -> str:
    """Return a message without the names that mmengine puts before it."""
    message = re.sub(r'^(class `\w+` in \S+: )+', '', message)
    return message if len(message) <= LONGEST else f'{message[:LONGEST]} ...'


def place(key: str, cfg: Config, options: dict) -> str:
    """Return where a setting is: the file, or ``--cfg-options``, and the key."""
    for option in options:
        if key == option or key.startswith(f'{option}.'):
            return f'--cfg-options {key}'
        if option.rpartition('.')[0] == key:
            return f'--cfg-options {option}'
    file = osp.relpath(cfg.filename) if cfg.filename else 'the config'
    if file.startswith(osp.pardir):
        file = str(cfg.filename)
    return f'{file}, {key}' if key else file


def find_built(settings: Any, built: dict, options: dict) -> Optional[str]:
    """Return the dotted path of the settings from which an object was built.

    Args:
        settings (dict): Settings of the config.
        built (dict): What was built. Code may have added settings to it, such as the
            parameters of an optimizer.
        options (dict): Settings of ``--cfg-options``; of several equal parts, one that
            these have changed is the likely one.
    """
    found = [
        path
        for path, value in walk(settings)
        if isinstance(value, dict)
        and 'type' in value
        and all(key in built and same(built[key], value[key]) for key in value)
    ]
    changed = [p for p in found if any(o.startswith(f'{p}.') for o in options)]
    return next(iter(changed + found), None)


def same(first: Any, second: Any) -> bool:
    """Return whether two values are equal; arrays and tensors are not compared."""
    try:
        return bool(first == second)
    except (ValueError, RuntimeError):
        return False


def walk(value: Any, path: str = '') -> Iterator[Tuple[str, Any]]:
    """Yield the dotted path and the value of each setting."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    for key, item in items:
        here = f'{path}.{key}' if path else str(key)
        yield here, item
        yield from walk(item, here)


def paths_of(settings: Any, name: str, wanted: Any = None) -> Iterator[str]:
    """Yield the dotted paths of all settings of a name, or of one with a value."""
    for path, value in walk(settings):
        if path.rpartition('.')[2] == name and (wanted is None or value == wanted):
            yield path


def raised_by_mmfer(error: BaseException) -> bool:
    """Return whether an error comes from a ``raise`` statement of mmfer."""
    frames = traceback.extract_tb(error.__traceback__)
    folder = osp.dirname(osp.dirname(osp.abspath(__file__)))
    return bool(
        frames
        and osp.abspath(frames[-1].filename).startswith(folder + os.sep)
        and (frames[-1].line or '').startswith('raise ')
    )


def missing_in_worker(error: BaseException) -> bool:
    """Return whether a worker of a dataloader did not find a file."""
    # torch raises the error again, without its attributes and with its traceback.
    return isinstance(error, FileNotFoundError) and str(error).startswith('Caught ')
