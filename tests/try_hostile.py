"""Try readers on hostile files, each in a process of its own.

    python tests/try_hostile.py

A process has 5 seconds of processor time, and 1 GiB beyond what it had before. The
result of a trial is
``refused`` (an error that mmfer raises for users), ``accepted``, the name of another
error, ``hang``, or the signal that ended the process. Whether code ran is seen from a
folder that such code would make.
"""

import argparse
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS.parent), str(TESTS)]

SECONDS = 5
# On a busy machine a second of processor time takes several.
LONGEST_WAIT = 60
MEMORY = 1 << 30


def readers() -> dict:
    """Readers of files by name; each gets a path."""
    from helpers import load_tool
    from mmengine.runner import CheckpointLoader

    from mmfer.analysis.predictions import read_predictions
    from mmfer.apis.checkpoints import read_checkpoint
    from mmfer.datasets.cifar.files import read_batch

    convert = load_tool('dataset_converters/convert_cifar_n.py')
    importer = load_tool('model_converters/import_face_weights.py')
    export = load_tool('model_converters/export_network.py')
    return {
        'read_batch': lambda path: read_batch(path, 'labels'),
        'convert_cifar_n': lambda path: convert.main(
            [path, f'{path}.txt', '--key', 'worse_label']
        ),
        'import_face_weights': lambda path: importer.main([path, f'{path}.pth']),
        'export_network': lambda path: export.main([path, f'{path}.pth']),
        'read_checkpoint': read_checkpoint,
        'mmengine': lambda path: CheckpointLoader.load_checkpoint(path, 'cpu'),
        'read_predictions': read_predictions,
    }


def attempt(reader, path: str) -> str:
    """Result of a reader in this process."""
    try:
        reader(path)
    except SystemExit as error:
        return 'refused' if isinstance(error.code, str) else f'exit {error.code}'
    except ValueError as error:
        # Subclasses of other modules, such as UnicodeError, are not for users.
        named = type(error) is ValueError or type(error).__module__.startswith('mmfer')
        return 'refused' if named else type(error).__name__
    except BaseException as error:
        return type(error).__name__
    return 'accepted'


def trial(reader, path: str) -> str:
    """Result of a reader in a new process with limits."""
    out, into = os.pipe()
    child = os.fork()
    if not child:
        os.close(out)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        pages = int(Path('/proc/self/statm').read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        resource.setrlimit(resource.RLIMIT_CPU, (int(used) + SECONDS, -1))
        os.write(into, attempt(reader, path).encode())
        os._exit(0)
    os.close(into)
    ready, _, _ = select.select([out], [], [], LONGEST_WAIT)
    said = os.read(out, 1000).decode() if ready else 'hang'
    if not ready:
        os.kill(child, signal.SIGKILL)
    os.close(out)
    _, status = os.waitpid(child, 0)
    if not said and os.WTERMSIG(status) == signal.SIGXCPU:
        return 'hang'
    return said or f'signal {os.WTERMSIG(status)}'


def try_all(names=None, chosen=None, say=lambda line: None) -> dict:
    """Try readers on files.

    Args:
        names (Callable, optional): Tells for the name of a file whether to try it.
        chosen (Sequence[str], optional): Names of readers. Defaults to all.
        say (Callable): Gets a line for each reader.

    Returns:
        dict: ``counts`` of results by reader, and ``wrong``, a list of (reader,
        file, result) of all that was not refused or that ran code.
    """
    from made_hostile import hostile_files

    counts, wrong = {}, []
    with tempfile.TemporaryDirectory() as folder:
        mark = Path(folder, 'ran')
        files = {
            name: content
            for name, content in hostile_files(str(mark)).items()
            if names is None or names(name)
        }
        path = Path(folder, 'file')
        for label, reader in readers().items():
            if chosen is not None and label not in chosen:
                continue
            found, start, slowest = {}, time.time(), 0.0
            for name, content in files.items():
                path.write_bytes(content)
                begin = time.time()
                result = trial(reader, str(path))
                slowest = max(slowest, time.time() - begin)
                if mark.exists():
                    mark.rmdir()
                    result = 'ran code'
                found[result] = found.get(result, 0) + 1
                if result != 'refused':
                    wrong.append((label, name, result))
            counts[label] = found
            say(
                f'{label}: {len(files)} files, {found}, {time.time() - start:.0f} s, '
                f'the slowest {slowest:.1f} s'
            )
    return dict(counts=counts, wrong=wrong)


def main() -> None:
    parser = argparse.ArgumentParser(description='Try readers on hostile files')
    parser.add_argument('--readers', nargs='+', help='names of readers')
    parser.add_argument('--files', help='beginning of the names of files')
    parser.add_argument('--json', help='file for the results')
    args = parser.parse_args()
    found = try_all(
        lambda name: args.files is None or name.startswith(args.files),
        args.readers,
        lambda line: print(line, flush=True),
    )
    for row in found['wrong']:
        print(*row)
    if args.json:
        Path(args.json).write_text(json.dumps(found))
    sys.exit(bool(found['wrong']))


if __name__ == '__main__':
    main()
