"""What of a log is on the console, and the line of progress."""

import io
import logging
import sys
import warnings

import pytest
from mmengine.logging import MMLogger, print_log

from mmfer.utils.console import (
    FILE_ONLY,
    WARNINGS,
    ConsoleHandler,
    from_library,
    installed,
    quieten,
)
from mmfer.utils.progress import CLEAR, Progress, ProgressLine, time_left, tracked


class Terminal(io.StringIO):
    def isatty(self):
        return True


def library_code(name, text):
    """Return a function that is a part of a library, by the name of its file."""
    spec = sys.modules[name].__file__
    found = {'print_log': print_log, 'warnings': warnings}
    exec(compile(text, spec.replace('__init__', 'any'), 'exec'), found)
    return found['call']


@pytest.fixture
def logged(tmp_path):
    """Return a quiet logger, its console and its file."""
    console = io.StringIO()
    name = f'console_{tmp_path.name}'
    logger = MMLogger.get_instance(name, log_file=str(tmp_path / 'run.log'))
    for handler in logger.handlers:
        if type(handler) is logging.StreamHandler:
            handler.setStream(console)
    quieten(logger)
    yield logger, console, tmp_path / 'run.log'
    del MMLogger._instance_dict[name]


def test_own_messages_are_shown(logged):
    logger, console, file = logged
    logger.info('trained')
    logger.info('a detail', extra=FILE_ONLY)
    print_log('printed', logger)
    print_log('printed as the current logger', 'current')
    logger.warning('careful')
    logger.error('wrong')
    assert console.getvalue().splitlines() == [
        'trained',
        'printed',
        'printed as the current logger',
        'WARNING: careful',
        'ERROR: wrong',
    ]
    text = file.read_text()
    for word in ('trained', 'a detail', 'printed', 'careful', 'wrong'):
        assert word in text, word


def test_messages_of_libraries_are_in_the_file(logged):
    logger, console, file = logged
    call = library_code(
        'mmengine',
        'def call(logger, text, level):\n'
        '    logger.log(level, text)\n'
        '    print_log(text + "!", logger, level)',
    )
    call(logger, 'hooks will be executed\ncheckpoint', logging.INFO)
    call(logger, 'FileClient will be deprecated, also for checkpoints', logging.WARNING)
    assert console.getvalue() == ''
    # What concerns the user's own files is shown.
    call(logger, 'Load checkpoint from a.pth', logging.INFO)
    call(logger, 'cannot go on', logging.ERROR)
    assert console.getvalue().splitlines() == [
        'Load checkpoint from a.pth',
        'Load checkpoint from a.pth!',
        'ERROR: cannot go on',
        'ERROR: cannot go on!',
    ]
    assert file.read_text().count('FileClient') == 2


def test_a_warning_is_shown_once(logged):
    logger, console, _ = logged
    for _ in range(3):
        logger.warning('slow disk')
    assert console.getvalue() == 'WARNING: slow disk\n'


@pytest.mark.parametrize('level, shown', [('DEBUG', 2), ('WARNING', 1), ('ERROR', 0)])
def test_level_of_the_user(tmp_path, level, shown):
    """DEBUG shows the whole log of mmengine; higher levels show less than usual."""
    console = io.StringIO()
    name = f'level_{level}'
    logger = MMLogger.get_instance(name, log_level=level)
    logger.handlers[0].setStream(console)
    quieten(logger)
    assert isinstance(logger.handlers[0], ConsoleHandler) == (level != 'DEBUG')
    logger.info('trained')
    logger.warning('careful')
    assert len(console.getvalue().splitlines()) == shown
    del MMLogger._instance_dict[name]


def test_python_warnings(logged, capsys):
    logger, console, file = logged
    call = library_code('mmengine', 'def call(text):\n    warnings.warn(text)')
    with WARNINGS.taken():
        warnings.simplefilter('always')
        call('before there is a log')
        warnings.warn('mine, early', stacklevel=1)
        WARNINGS.attach(logger)
        for _ in range(2):
            call('of a library')
            warnings.warn('of the user', stacklevel=1)
    assert capsys.readouterr().err == 'WARNING: mine, early\n'
    assert console.getvalue() == 'WARNING: of the user\n'
    text = file.read_text()
    for word in ('before there is a log', 'of a library', 'of the user'):
        assert text.count(word) == 1, word


def test_whose_code_it_is():
    assert from_library(sys.modules['torch'].__file__)
    assert not from_library(sys.modules['mmfer'].__file__)
    assert installed(logging.__file__) and installed(pytest.__file__)
    assert not installed(sys.modules['mmfer'].__file__)
    assert not installed(__file__)


# -- progress ------------------------------------------------------------------
def test_progress_is_for_terminals(monkeypatch):
    redirected, terminal = io.StringIO(), Terminal()
    ProgressLine(redirected).show('1/2')
    assert redirected.getvalue() == ''
    line = ProgressLine(terminal)
    line.show('1/2')
    line.show('2/2, which comes too soon')
    line.clear()
    line.clear()
    assert terminal.getvalue() == f'{CLEAR}1/2{CLEAR}'


def test_tracked(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr('sys.stderr', terminal)
    monkeypatch.setattr('mmfer.utils.progress.INTERVAL', 0)
    assert list(tracked([5, 6, 7], 'reading')) == [5, 6, 7]
    shown = terminal.getvalue().split(CLEAR)[1:]
    assert [text.partition('  ETA')[0] for text in shown] == [
        'reading  0/3 images',
        'reading  1/3 images',
        'reading  2/3 images',
        '',
    ]


def test_progress_in_a_log(logged, monkeypatch):
    """Where there is no terminal, a line is logged every half a minute."""
    _, console, _ = logged
    now = [0.0]
    monkeypatch.setattr('mmfer.utils.progress.time.monotonic', lambda: now[0])
    monkeypatch.setattr('sys.stderr', io.StringIO())
    progress = Progress('encoding', 'faces')
    for done in range(20, 101, 10):
        progress(done, 100)
        now[0] += 15
    assert console.getvalue().splitlines() == [
        'encoding: 40 of 100 faces, ETA 0:01:30',
        'encoding: 60 of 100 faces, ETA 0:01:00',
        'encoding: 80 of 100 faces, ETA 0:00:30',
    ]


def test_time_left(monkeypatch):
    monkeypatch.setattr('mmfer.utils.progress.time.monotonic', lambda: 100.0)
    assert time_left(40.0, 20, 60) == '0:02:00'
    assert time_left(40.0, 0, 60) == '?'
    assert time_left(40.0, 60, 60) == '0:00:00'
