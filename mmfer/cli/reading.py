"""Read configs and settings that users have written."""

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
        text = str(error) if str(error) else 'cannot be read'
        row = getattr(error, 'lineno', None)
        if isinstance(error, SyntaxError):
            text = f'line {row}: {error.msg}'
        raise ConfigError(f'{path}: {type(error).__name__}: {text}') from error


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
