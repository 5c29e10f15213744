"""Compare the work dirs of two runs, bit for bit."""

import json
import multiprocessing
from pathlib import Path
from typing import Any, Dict, Iterator, List

import numpy as np
import torch

# Entries of JSON files that tell when and how a run was made, not what came out.
TIMES = ('seconds', 'images_per_second', 'segments')
# Parts of a checkpoint that decide how a run goes on.
PARTS = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers', 'gradients')
# Files that are compared byte for byte.
TEXTS = ('*.csv', 'report.txt')


def differences(first: str, second: str) -> List[str]:
    """Return what differs between two finished runs.

    Weights, the state of optimizers and schedules, logged losses, JSON files without
    times, tables, and the stages of a cleaning are compared.

    Args:
        first (str): Work dir of a run.
        second (str): Work dir of the other run.

    Returns:
        list[str]: A line for each difference; empty if there is none.
    """
    # This process is to stay without threads, see run_script.
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, first, second))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    finally:
        process.join()


def _send(sender: Any, first: str, second: str) -> None:
    try:
        torch.set_num_threads(1)
        sender.send(list(_compare(Path(first), Path(second))))
    except Exception as error:
        sender.send([f'cannot compare: {type(error).__name__}: {error}'])


def _compare(first: Path, second: Path) -> Iterator[str]:
    """Yield a line for each difference of two work dirs."""
    for pattern in ('*.pth', '*.json', '*.npz', *TEXTS):
        files = _files(first, pattern), _files(second, pattern)
        for name in sorted(files[0] ^ files[1]):
            yield f'{name}: only in {first if name in files[0] else second}'
        for name in sorted(files[0] & files[1]):
            pair = first / name, second / name
            if pattern in TEXTS:
                if pair[0].read_bytes() != pair[1].read_bytes():
                    yield f'{name}: other bytes'
                continue
            load = {'*.pth': _checkpoint, '*.json': _json, '*.npz': _arrays}[pattern]
            for what in _differing(load(pair[0]), load(pair[1]), ''):
                yield f'{name}: {what}'
    names = [(folder / 'last_checkpoint').read_text() for folder in (first, second)]
    if Path(names[0]).name != Path(names[1]).name:
        yield f'last_checkpoint: {names[0]} and {names[1]}'
    for path in second.rglob('.*.tmp'):
        yield f'{path.relative_to(second)}: left over'


def _files(folder: Path, pattern: str) -> set:
    """Return the files that are results, relative to the work dir."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob(pattern)
        # Logs of mmengine lie in folders with a date.
        if 'vis_data' not in path.parts and not path.name.startswith('.')
    }


def _checkpoint(path: Path) -> Dict[str, Any]:
    found = torch.load(path, map_location='cpu', weights_only=True)
    result = {name: found[name] for name in PARTS if name in found}
    result['meta'] = {
        name: found.get('meta', {}).get(name) for name in ('epoch', 'iter', 'seed')
    }
    scalars = found.get('message_hub', {}).get('log_scalars', {})
    # An epoch that was validated before the kill is not validated again, so the hub may
    # lack its metrics. history.json has them.
    result['log'] = {
        name: value
        for name, value in scalars.items()
        if not name.endswith('time') and not name.startswith('val/')
    }
    return result


def _json(path: Path) -> Any:
    def without_times(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: without_times(v) for k, v in value.items() if k not in TIMES}
        if isinstance(value, list):
            return [without_times(item) for item in value]
        return value

    found = without_times(json.loads(path.read_text()))
    if path.name == 'summary.json' and 'cleaning' in path.parts:
        # The name of a run inside of another one has its folder and time.
        found.pop('config')
    return found


def _arrays(path: Path) -> Dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _differing(first: Any, second: Any, where: str) -> Iterator[str]:
    """Yield the places at which two nested values differ."""
    numbers = (torch.Tensor, np.ndarray, float, int)
    if isinstance(first, dict) and isinstance(second, dict):
        for key in sorted(first.keys() | second.keys(), key=str):
            if key not in first or key not in second:
                yield f'{where}{key}: only in one of them'
            else:
                yield from _differing(first[key], second[key], f'{where}{key}.')
    elif isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        if len(first) != len(second):
            yield f'{where}{len(first)} and {len(second)} entries'
        for index, pair in enumerate(zip(first, second, strict=False)):
            yield from _differing(*pair, f'{where}{index}.')
    elif isinstance(first, numbers) and isinstance(second, numbers):
        # A resumed optimizer may keep its step counts as another type.
        pair = np.asarray(first), np.asarray(second)
        same = (
            pair[0].shape == pair[1].shape and pair[0].tobytes() == pair[1].tobytes()
            if pair[0].dtype == pair[1].dtype
            else np.array_equal(*pair)
        )
        if not same:
            yield f'{where[:-1]}: other values'
    elif first != second:
        yield f'{where[:-1]}: {first!r} and {second!r}'
