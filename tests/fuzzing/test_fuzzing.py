"""Fuzzing of all readers of users' files.

By default, each reader gets some hundred inputs. The slow run gives each 10,000 and
prints a table: ``pytest -m slow tests/fuzzing -s``.
"""

import logging
import os

import pytest
from fuzzing.binary_readers import binary_readers
from fuzzing.file_readers import file_readers
from fuzzing.harness import Fault, Tally, judge, made_folder
from fuzzing.mutators import changed, seeds
from fuzzing.text_readers import text_readers
from hypothesis import HealthCheck, Phase, given, settings
from mmengine.logging import MMLogger

DEFAULT = int(os.environ.get('MMFER_FUZZ_DEFAULT', 100))
SLOW = int(os.environ.get('MMFER_FUZZ_SLOW', 10_000))
FOLDER = made_folder()
ALL = (*text_readers(FOLDER), *file_readers(FOLDER), *binary_readers())
READERS = {reader.name: reader for reader in ALL}


@pytest.fixture(scope='module', autouse=True)
def quiet():
    """Log nothing below an error."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


def fuzz(reader, count, judged):
    """Call ``judged`` with ``count`` changed files of a reader, ten of each content."""

    @settings(
        max_examples=count // 10,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(reader.content, seeds(10))
    def run(content, seed):
        for data in changed(content, reader.text, seed):
            judged(data)

    run()


@pytest.fixture
def messages(tmp_path):
    """Return a file that gets what libraries in C write to the console."""
    path = tmp_path / 'stderr'
    kept = os.dup(2)
    with open(path, 'wb') as file:
        os.dup2(file.fileno(), 2)
    yield path
    os.dup2(kept, 2)
    os.close(kept)


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', READERS)
def test_changed_files(name, messages):
    reader, tally = READERS[name], Tally()
    fuzz(reader, DEFAULT, lambda data: judge(reader, data, FOLDER, tally))


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', READERS)
def test_many_changed_files(name, capsys, messages, tmp_path):
    reader, tally = READERS[name], Tally()

    def judged(data):
        try:
            judge(reader, data, FOLDER, tally)
        except Fault as fault:
            tally.note(fault, data)

    fuzz(reader, SLOW, judged)
    with capsys.disabled():
        print(f'\n{tally.row(name)} {messages.stat().st_size} |', flush=True)
        for number, (kind, (data, text)) in enumerate(tally.faults.items()):
            path = tmp_path / f'fault_{number}'
            path.write_bytes(data)
            print(f'  {kind}: {text[:300]}\n    {path}: {data[:200]!r}')
    assert not tally.faults
