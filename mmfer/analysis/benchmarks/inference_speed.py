"""Speed of FERInferencer on files and arrays, against the model alone."""

import time
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence

import numpy as np
import torch

from mmfer.utils.devices import synchronize

from .timing import quartiles


def speed_limit(prepare_us: float, model_us: float, cores: int, shared: bool) -> float:
    """Return the largest possible share of the speed of the model alone.

    Args:
        prepare_us (float): Time in which one core reads and prepares an image.
        model_us (float): Time that the model alone takes for an image.
        cores (int): Number of cores that prepare images.
        shared (bool): Whether the model computes on the same cores, and uses all
            of them. Then the work adds up. Otherwise the slower part decides.
    """
    prepare = prepare_us / cores
    if shared:
        return model_us / (model_us + prepare)
    return model_us / max(model_us, prepare)


def take_turns(
    functions: Mapping[str, Callable[[], Any]], rounds: int, device: torch.device
) -> Dict[str, List[float]]:
    """Time functions in turns; every second round runs in the opposite order.

    Returns:
        dict[str, list[float]]: Seconds of each function, one number per round.
    """
    seconds: Dict[str, List[float]] = {name: [] for name in functions}
    for number in range(rounds):
        names = list(functions)
        for name in names[::-1] if number % 2 else names:
            synchronize(device)
            start = time.perf_counter()
            functions[name]()
            synchronize(device)
            seconds[name].append(time.perf_counter() - start)
    return seconds


def shares(seconds: Mapping[str, Sequence[float]], whole: str) -> Dict[str, Any]:
    """Return the speed of each function as a share of that of one of them.

    Args:
        seconds (Mapping[str, Sequence[float]]): See :func:`take_turns`.
        whole (str): Name of the function whose speed is 1.

    Returns:
        dict: Median and quartiles over the rounds, by name.
    """
    return {
        name: quartiles(np.divide(seconds[whole], values))
        for name, values in seconds.items()
        if name != whole
    }


def fresh_files(files: Sequence[str], number: int) -> Iterator[List[str]]:
    """Yield lists of files, none twice before all were used.

    A file that was read before takes less time: it lies in memory, and a JPEG is
    checked for damage only once.
    """
    start = 0
    while True:
        if start + number > len(files):
            start = 0
        yield list(files[start : start + number])
        start += number


def ready_model(fer: Any, images: Sequence[Any]) -> Callable[[], None]:
    """Return a function that runs the model on a batch that is already prepared.

    Args:
        fer (FERInferencer): Inferencer whose model is used.
        images (Sequence): Paths or arrays of the batch.
    """
    faces = [face for image in images for face in fer.prepare(image)[0]]
    batch = fer.preparation.collate(faces)

    @torch.inference_mode()
    def run() -> None:
        data = fer.model.data_preprocessor(batch)
        fer.model(data['inputs'], mode='tensor')

    return run


def compare_folder(
    fer: Any,
    one_by_one: Any,
    files: Sequence[str],
    batch_size: int,
    batches: int,
    rounds: int,
) -> Dict[str, Any]:
    """Compare a folder of files with batches that are ready.

    Args:
        fer (FERInferencer): Inferencer that prepares images in threads.
        one_by_one (FERInferencer): Inferencer of the same model with
            ``workers=0``, which prepares images in the main thread.
        files (Sequence[str]): Paths of images, at least those of three rounds.
        batch_size (int): Number of images in a batch.
        batches (int): Number of batches of each round.
        rounds (int): Number of rounds.

    Returns:
        dict: ``share`` of the speed of the ready batches, by name; the ``limit`` of
        this share; and the times from which it follows, in microseconds.
    """
    device, number = fer.device, batch_size * batches
    bare = ready_model(fer, files[:batch_size])
    supply = fresh_files(files[batch_size:], number)

    def ready() -> None:
        for _ in range(batches):
            bare()

    def folder(inferencer: Any) -> Callable[[], None]:
        def run() -> None:
            for _ in inferencer.stream(next(supply), batch_size=batch_size):
                pass

        return run

    functions = dict(ready=ready, one_by_one=folder(one_by_one), in_threads=folder(fer))
    take_turns(functions, 1, device)
    seconds = take_turns(functions, rounds, device)
    shared = device.type == 'cpu'
    # Seconds of the processor do not count the time that other programs take.
    start = time.process_time()
    ready()
    synchronize(device)
    computing = time.process_time() - start
    if shared:
        model = computing / torch.get_num_threads() / number
    else:
        model = float(np.median(seconds['ready'])) / number
    start = time.thread_time()
    sample = next(supply)[:256]
    faces = [fer.prepare(path)[0][0] for path in sample]
    fer.preparation.collate(faces)
    prepare = (time.thread_time() - start) / len(sample)
    cores = torch.get_num_threads() if shared else fer.workers
    return dict(
        batch_size=batch_size,
        images_per_round=number,
        rounds=rounds,
        share=shares(seconds, 'ready'),
        model_us=round(1e6 * model, 1),
        prepare_us=round(1e6 * prepare, 1),
        limit=round(speed_limit(prepare, model, cores, shared), 4),
        images_per_second={
            name: round(number / float(np.median(values)), 1)
            for name, values in seconds.items()
        },
    )
