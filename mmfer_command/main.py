"""Sub-commands of ``mmfer``, and the function that starts them."""

import argparse
import importlib
import sys
from typing import Callable, Dict, List, NamedTuple, Optional

from .arguments import (
    cache,
    clean,
    data_check,
    data_draw,
    doctor,
    export,
    models,
    predict,
    review,
    scan,
    test,
    train,
)
from .closed_output import quiet_without_reader
from .help_text import HelpFormatter, short_usage
from .shipped import mmfer_version


class Command(NamedTuple):
    """One sub-command.

    Attributes:
        name (str): Word after ``mmfer``; ``'data check'`` is the command ``check`` of
            the group ``data``.
        module (str): Module with the function ``run(args)``, which is imported when
            the command runs. It shows user errors by raising SystemExit.
        summary (str): Line in ``mmfer --help``.
        add_arguments (Callable): Adds its arguments to a parser.
        example (str): Command line at the end of its own help.
        description (str, optional): Text of its own help. Defaults to the summary.
    """

    name: str
    module: str
    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    example: str
    description: Optional[str] = None


# Summaries of groups of commands, such as ``data`` of ``mmfer data check``.
GROUPS: Dict[str, str] = {'data': 'check a data set, or draw one to try mmfer'}

# A new sub-command is a row here, a module in `arguments`, and a module in mmfer/cli/
# with the function `run`.
COMMANDS = (
    Command(
        'scan',
        'mmfer.cli.scan',
        'find wrong labels in a folder or list, without training',
        scan.add_arguments,
        'mmfer scan my_faces --out scanned',
        scan.DESCRIPTION,
    ),
    Command(
        'train',
        'mmfer.cli.train',
        'train a model',
        train.add_arguments,
        'mmfer train alum_r18_synthfaces_noise30 --noise symmetric:0.2',
    ),
    Command(
        'test',
        'mmfer.cli.test',
        'test a checkpoint',
        test.add_arguments,
        'mmfer test ce_r18_rafdb work_dirs/ce_r18_rafdb/epoch_40.pth',
    ),
    Command(
        'clean',
        'mmfer.cli.clean',
        'clean the labels of a training set with GAAVE',
        clean.add_arguments,
        'mmfer clean ce_r18_synthfaces_noise30 --out cleaned',
        clean.DESCRIPTION,
    ),
    Command(
        'review',
        'mmfer.cli.review',
        'review suspicious labels on a page for the browser',
        review.add_arguments,
        'mmfer review cleaned',
        review.DESCRIPTION,
    ),
    Command(
        'predict',
        'mmfer.cli.predict',
        'recognise the expressions of faces, with an uncertainty',
        predict.add_arguments,
        'mmfer predict film.mp4 --faces --csv faces.csv',
        predict.DESCRIPTION,
    ),
    Command(
        'export',
        'mmfer.cli.export',
        'write a model as an ONNX file',
        export.add_arguments,
        'mmfer export alum_tiny_ferplus --onnx alum_tiny_ferplus.onnx',
        export.DESCRIPTION,
    ),
    Command(
        'models',
        'mmfer_command.models',
        'list the models and configs that mmfer ships',
        models.add_arguments,
        "mmfer models 'resup*ferplus*' --configs",
    ),
    Command(
        'data check',
        'mmfer.cli.data_check',
        'count classes, sizes, broken and repeated images of a data set',
        data_check.add_arguments,
        'mmfer data check my_faces',
        data_check.DESCRIPTION,
    ),
    Command(
        'data draw',
        'mmfer.cli.data_draw',
        'draw faces with wrong labels, to try mmfer',
        data_draw.add_arguments,
        'mmfer data draw my_faces --count 2000',
        data_draw.DESCRIPTION,
    ),
    Command(
        'cache',
        'mmfer.cli.cache',
        'list or clear the cache of decoded images',
        cache.add_arguments,
        'mmfer cache --clear RAFDB',
        cache.DESCRIPTION,
    ),
    Command(
        'doctor',
        'mmfer_command.doctor',
        'check the installation, and say how to mend it',
        doctor.add_arguments,
        'mmfer doctor --fast',
    ),
)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command with all sub-commands."""
    parser = argparse.ArgumentParser(
        prog='mmfer',
        description='Recognise facial expressions, and train on noisy labels.',
        epilog='`mmfer COMMAND --help` describes a command.',
        formatter_class=HelpFormatter,
    )
    parser.add_argument(
        '--version', action='version', version=f'mmfer {mmfer_version()}'
    )
    places = {'': parser.add_subparsers(metavar='COMMAND', required=True)}
    for command in COMMANDS:
        group, _, word = command.name.rpartition(' ')
        if group not in places:
            inner = places[''].add_parser(group, help=GROUPS[group])
            places[group] = inner.add_subparsers(metavar='COMMAND', required=True)
        sub = places[group].add_parser(
            word,
            help=command.summary,
            description=command.description
            or f'{command.summary[0].upper()}{command.summary[1:]}.',
            epilog=f'example:\n  {command.example}',
            formatter_class=HelpFormatter,
        )
        command.add_arguments(sub)
        sub.usage = short_usage(sub)
        sub.set_defaults(module=command.module, parser=sub)
    return parser


def sentence(summary: str) -> str:
    """Return a summary as a sentence."""
    return f'{summary[0].upper()}{summary[1:]}.'


def main(argv: Optional[List[str]] = None) -> None:
    """Run the command line.

    Args:
        argv (list[str], optional): Arguments without the name of the program.
            Defaults to those of the process.

    Raises:
        SystemExit: With the exit code, or with the message of a user error.
    """
    if not (sys.argv[1:] if argv is None else argv):
        make_parser().print_help()
        sys.exit(2)
    args, unknown = make_parser().parse_known_args(argv)
    parser = vars(args).pop('parser')
    if unknown:
        # argparse would show the usage of `mmfer` without that of the sub-command.
        settings = '; settings of a config go behind --cfg-options, as key=value'
        parser.error(
            f'unrecognized arguments: {" ".join(unknown)}. `{parser.prog} --help` '
            'lists all arguments' + (settings if 'cfg_options' in args else '')
        )
    try:
        module = importlib.import_module(args.module)
    except KeyboardInterrupt:
        # Importing torch takes seconds.
        raise SystemExit('\nStopped, before anything was done.') from None
    except Exception as error:
        # Damaged packages raise errors of any type when they are imported.
        raise SystemExit(
            f'{_in_one_line(error)}\n`mmfer doctor` checks the installation.'
        ) from None
    with quiet_without_reader():
        code = module.run(args)
    sys.exit(code)


def _in_one_line(error: Exception) -> str:
    """Return the message of an error of importing mmfer."""
    if isinstance(error, ImportError) and str(error).startswith(('mmfer', 'These')):
        return str(error)
    return f'mmfer cannot be imported: {type(error).__name__}: {error}'
