"""``mmfer predict``: images, videos, tables, and what a kill leaves."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers import CONFIGS, ROOT, environment, tiny_config, train
from made_videos import cut_off, write_video
from mmengine.config import Config
from PIL import Image

import mmfer
from mmfer.apis.faces import Face
from mmfer.cli.predict import find_inputs
from mmfer.cli.result_files import PartFile, ResultFiles
from mmfer_command.main import main


def refused(monkeypatch, folder, *line):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as error:
        main([*map(str, line)])
    return str(error.value)


@pytest.fixture(scope='module')
def work_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp('work_dir')
    train(tiny_config(folder, image_size=(36, 36), train_cfg__max_epochs=1))
    return folder


@pytest.fixture
def faces(tmp_path):
    folder = tmp_path / 'faces'
    folder.mkdir()
    for name in ('a b', '0', 'c'):
        pixels = np.random.default_rng(ord(name[0])).integers(0, 256, (40, 40, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f'{name}.png')
    return folder


def predicted(capsys, *line, code=0):
    """Lines about images that the command prints."""
    with pytest.raises(SystemExit) as error:
        main(['predict', *map(str, line)])
    assert error.value.code == code
    return [text for text in capsys.readouterr().out.splitlines() if '.png' in text]


def test_predict_a_folder_and_lists(work_dir, faces, tmp_path, capsys):
    model = ['--model', work_dir, '--device', 'cpu']
    lines = predicted(capsys, faces, *model)
    assert [line.partition(': ')[0] for line in lines] == [
        str(faces / f'{name}.png') for name in ('0', 'a b', 'c')
    ]
    assert all('uncertainty' in line and '%' in line for line in lines)
    lists = {
        'plain.txt': 'a b.png\n\n# c.png\n0.png\n',
        'table.csv': 'image;label\n"a b.png";3\n0.png;1\n',
        'bare.csv': 'a b.png,3\n0.png,1\n',
    }
    for name, text in lists.items():
        (faces / name).write_text(text)
        assert predicted(capsys, faces / name, *model) == [lines[1], lines[0]], name


@pytest.mark.parametrize('flag', ['csv', 'out'])
def test_predict_writes_a_table(flag, work_dir, faces, tmp_path, capsys):
    (faces / 'd.png').write_bytes(b'')
    out = tmp_path / 'results.csv'
    lines = predicted(capsys, faces, '--model', work_dir, f'--{flag}', out, code=3)
    rows = list(csv.DictReader(out.open(newline='')))
    assert not list(tmp_path.glob('*.part'))
    assert [row['path'] for row in rows] == [
        str(faces / f'{name}.png') for name in ('0', 'a b', 'c', 'd')
    ]
    for row, line in zip(rows[:3], lines):
        assert f'{row["pred_class"]} {float(row["pred_score"]):.0%}' in line
        assert f'uncertainty {float(row["uncertainty"]):.3g}' in line
        assert row['error'] == '' and 0 < float(row['pred_score']) <= 1
        assert float(row[f'score_{row["pred_class"]}']) == float(row['pred_score'])
    assert 'is empty' in rows[3]['error'] and rows[3]['pred_score'] == ''


@pytest.mark.parametrize(
    'line, text',
    [
        (['none.png'], 'none.png'),
        (['none.txt'], 'none.txt'),
        (['empty.txt'], 'empty.txt: this list has no image'),
        (['empty.csv'], 'empty.csv: this list has no image'),
        (['note.txt'], 'note.txt: this is read as a list of images'),
        (['x.png', '--device', 'gpu'], "device 'gpu' cannot be used"),
        (['x.png', '--model', 'alum_tiny'], 'alum_tiny_ferplus'),
    ],
)
def test_what_cannot_be_predicted(line, text, tmp_path, monkeypatch):
    Image.new('L', (40, 40), 90).save(tmp_path / 'x.png')
    (tmp_path / 'empty.txt').write_text('# nothing\n')
    (tmp_path / 'note.txt').write_text('Hello!\n')
    (tmp_path / 'empty.csv').write_text('image,label\n')
    assert text in refused(monkeypatch, tmp_path, 'predict', *line)


# -- tables ------------------------------------------------------------------
RESULT = dict(
    source=dict(path='=1+1.png', frame=3, time=0.6, box=[1, -2, 30, 40]),
    pred_label=1,
    pred_score=0.5,
    pred_class='joy',
    pred_scores={'=sad': 0.25, 'joy': 0.5, 'für, "x"': 0.25},
    uncertainty=-0.25,
    face_score=1.5,
    track=7,
)


def write_results(folder, *results):
    files = ResultFiles(str(folder / 'a.csv'), str(folder / 'a.jsonl'))
    files.begin(list(RESULT['pred_scores']))
    for i, result in enumerate(results):
        files.write(result, i)
    return files


def read_results(folder, ending=''):
    with open(folder / f'a.csv{ending}', newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    lines = (folder / f'a.jsonl{ending}').read_text(encoding='utf-8').splitlines()
    return rows, [json.loads(line) for line in lines]


def test_both_files_have_the_results(tmp_path):
    failed = dict(source=dict(path='b.png'), error='no')
    va = dict(source=dict(index=0), valence=0.5, arousal=float('nan'))
    write_results(tmp_path, RESULT, failed, va).finish()
    rows, lines = read_results(tmp_path)
    assert lines[:2] == [RESULT, failed]
    # JSON has no word for it.
    assert lines[2] == dict(va, arousal=None)
    # Names may start like a formula, also those of classes.
    assert rows[0]['path'] == "'=1+1.png" and rows[0]["'score_=sad"[1:]] == '0.25'
    assert (rows[0]['pred_class'], rows[0]['pred_score']) == ('joy', '0.5')
    assert rows[0]['score_für, "x"'] == '0.25' and rows[0]['uncertainty'] == '-0.25'
    assert [rows[0][side] for side in ('left', 'top', 'right', 'bottom')] == [
        *('1', '-2', '30', '40')
    ]
    assert (rows[0]['frame'], rows[0]['time'], rows[0]['track']) == ('3', '0.6', '7')
    assert rows[0]['valence'] == rows[0]['error'] == '' and rows[1]['error'] == 'no'
    assert [row['face'] for row in rows] == ['0', '1', '2']
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.csv', 'a.jsonl']


def test_names_that_are_no_text(tmp_path):
    """File names on Linux may have any bytes."""
    name = os.fsdecode(b'\xff.png')
    write_results(tmp_path, dict(source=dict(path=name), error='no')).finish()
    rows, _ = read_results(tmp_path)
    assert rows[0]['path'] == '\\udcff.png'


def test_unfinished_files_are_parts(tmp_path):
    (tmp_path / 'a.csv').write_text('old')
    files = write_results(tmp_path, RESULT, RESULT)
    files.close()
    assert (tmp_path / 'a.csv').read_text() == 'old'
    rows, lines = read_results(tmp_path, '.part')
    assert len(rows) == len(lines) == 2 and lines[0] == RESULT
    # The next run begins anew, and leaves no part.
    write_results(tmp_path, RESULT).finish()
    rows, lines = read_results(tmp_path)
    assert len(rows) == len(lines) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.csv', 'a.jsonl']


def test_no_results_leave_no_parts(tmp_path):
    write_results(tmp_path).close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match='is a folder'):
        ResultFiles(str(tmp_path / 'b.csv'), str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match=r'x.csv: this file cannot be written \('):
        PartFile(str(tmp_path / 'file/x.csv'))
    one = PartFile(str(tmp_path / 'x.csv'))
    one.write('first')
    with pytest.raises(OSError, match='another process writes'):
        PartFile(str(tmp_path / 'x.csv'))
    one.finish()
    assert (tmp_path / 'x.csv').read_text() == 'first'


# -- several images ----------------------------------------------------------
def test_several_names_and_an_unreadable_image(faces, work_dir, capsys, tmp_path):
    out = tmp_path / 'out.csv'
    names = [faces / 'c.png', tmp_path / 'none.png', faces / '0.png']
    lines = predicted(capsys, *names, '--model', work_dir, '--csv', out, code=3)
    assert lines[0].startswith(f'{names[0]}: ') and 'no such file' in lines[1]
    rows = list(csv.DictReader(out.open(newline='')))
    assert [row['path'] for row in rows] == list(map(str, names))
    assert [bool(row['error']) for row in rows] == [False, True, False]


def test_the_only_image_must_be_readable(tmp_path, monkeypatch, work_dir):
    (tmp_path / 'x.png').write_bytes(b'')
    line = ['predict', 'x.png', '--model', work_dir, '--csv', 'out.csv']
    assert "'x.png' is empty" in refused(monkeypatch, tmp_path, *line)
    assert [p.name for p in tmp_path.iterdir()] == ['x.png']


def test_json_on_the_standard_output(faces, work_dir, capsys):
    (faces / 'd.png').write_bytes(b'')
    with pytest.raises(SystemExit) as error:
        main(['predict', str(faces), '--model', str(work_dir), '--json', '-'])
    assert error.value.code == 3
    said = capsys.readouterr()
    found = [json.loads(line) for line in said.out.splitlines()]
    assert [Path(r['source']['path']).stem for r in found] == ['0', 'a b', 'c', 'd']
    assert 'is empty' in said.err and 'is empty' in found[3]['error']


# -- videos ------------------------------------------------------------------
@pytest.fixture
def squares(monkeypatch):
    """A detector for the white squares of made videos, instead of dlib."""

    def detect(image):
        _, mask = cv2.threshold(image, 250, 255, cv2.THRESH_BINARY)
        x, y, width, height = cv2.boundingRect(mask)
        box = (x, y, x + width, y + height)
        return [Face(box, 1.0)] if width > 20 else []

    monkeypatch.setattr('mmfer.apis.inferencer.choose_detector', lambda given: detect)


@pytest.fixture
def film(tmp_path):
    return write_video(tmp_path / 'ein Film ü.avi')


def predict_film(capsys, work_dir, film, *line, more=(), code=0):
    """Return the rows, the lines of JSON and what was printed."""
    folder = film.parent
    names = ['--csv', str(folder / 'a.csv'), '--json', str(folder / 'a.jsonl')]
    with pytest.raises(SystemExit) as error:
        main(['predict', '--model', str(work_dir), *names, *line, str(film), *more])
    assert error.value.code == code
    return *read_results(folder), capsys.readouterr().out


def test_video_to_a_row_per_face_and_frame(squares, film, work_dir, capsys):
    rows, lines, said = predict_film(capsys, work_dir, film, '--faces')
    assert '50 frames until 0:00:09.800, 50 faces, ' in said
    assert [row['frame'] for row in rows] == [str(i) for i in range(50)]
    assert [float(row['time']) for row in rows] == [i / 5 for i in range(50)]
    assert {row['path'] for row in rows} == {str(film)}
    for i, (row, line) in enumerate(zip(rows, lines, strict=True)):
        # The square jumps by its side every ten frames, which begins a new track.
        assert row['track'] == str(i // 10 + 1) and row['face'] == '0'
        assert int(row['left']) == pytest.approx(32 * (i // 10), abs=2)
        assert line['source']['box'] == [
            int(row[side]) for side in ('left', 'top', 'right', 'bottom')
        ]
        assert line['pred_class'] == row['pred_class']
    assert not list(film.parent.glob('*.part'))


def test_fewer_frames_of_a_video(squares, film, work_dir, capsys):
    rows, _, _ = predict_film(capsys, work_dir, film, '--faces', '--every', '20')
    assert [row['frame'] for row in rows] == ['0', '20', '40']
    rows, _, _ = predict_film(capsys, work_dir, film, '--faces', '--fps', '0.5')
    assert [row['time'] for row in rows] == ['0', '2', '4', '6', '8']
    # Without --faces, each frame is a face.
    rows, _, said = predict_film(capsys, work_dir, film, '--fps', '1')
    assert len(rows) == 10 and rows[0]['track'] == rows[0]['left'] == ''
    assert 'faces' not in said


def test_smoothed_expressions_of_a_video(film, work_dir, capsys, monkeypatch):
    monkeypatch.setattr(
        'mmfer.apis.inferencer.choose_detector',
        lambda given: lambda image: [Face((0, 0, 100, 100), 1.0)],
    )
    plain, smooth = (
        [
            float(row['score_happiness'])
            for row in predict_film(capsys, work_dir, film, '--faces', *more)[0]
        ]
        for more in ((), ('--smooth', '1'))
    )
    assert np.abs(np.diff(smooth)).mean() < np.abs(np.diff(plain)).mean()


def test_video_with_a_broken_end(squares, film, work_dir, capsys):
    cut_off(film, 0.6)
    rows, lines, said = predict_film(capsys, work_dir, film, '--faces', code=3)
    assert f'{film}: this video ends early, after' in said
    *good, last = rows
    assert 25 <= len(good) <= 35 and not any(row['error'] for row in good)
    # The table says it, too.
    assert 'ends early' in last['error'] and 'ends early' in lines[-1]['error']


def test_videos_that_have_nothing(squares, film, work_dir, capsys, monkeypatch):
    folder = film.parent
    write_video(folder / 'empty.avi', 0)
    (folder / 'text.mp4').write_text('no video')
    for name, text in (
        ('empty.avi', 'empty.avi: this video has no frame'),
        ('text.mp4', 'text.mp4: OpenCV'),
        ('none.mp4', 'none.mp4: there is no such file'),
    ):
        line = ['predict', name, '--model', work_dir, '--csv', 'x.csv']
        assert text in refused(monkeypatch, folder, *line)
        assert not list(folder.glob('x.csv*'))
    # Among others, they do not stop the command.
    more = [str(folder / name) for name in ('empty.avi', 'text.mp4')]
    rows, _, said = predict_film(capsys, work_dir, film, more=more, code=3)
    assert [row['error'] != '' for row in rows] == [False] * 50 + [True] * 2
    assert said.count('empty.avi: ') == said.count('text.mp4: ') == 1


def test_lines_of_a_video_without_tables(squares, film, work_dir, capsys):
    with pytest.raises(SystemExit):
        main(['predict', str(film), '--model', str(work_dir), '--faces', '--fps', '1'])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith(f'{film} 0:00:02.000 face 2: ')
    assert len(lines) == 11


@pytest.mark.parametrize(
    'line, text',
    [
        (['x.png', '--every', '2'], '--every is for videos'),
        (['a.avi', '--every', '2', '--fps', '1'], '--every and --fps exclude'),
        (['a.avi', '--every', '0'], 'every must be a whole number of at least 1'),
        (['a.avi', '--fps', '0'], 'fps must'),
        (['a.avi', '--smooth', '1'], 'add --faces'),
        (['a.avi', '--faces', '--smooth', '0'], 'smooth must'),
        (
            ['a.avi', '--faces', '--smooth', '1', '--target-error', '5'],
            '--smooth and --target-error exclude',
        ),
        (
            ['a.avi', '--faces', '--smooth', '1', '--coverage', '90'],
            '--smooth and --coverage exclude',
        ),
        (['x.png', '--coverage', '0.9'], 'give per cent of at least 1'),
        (['x.png', '--target-error', '0'], '--target-error 0: give per cent above 0'),
        (['x.png', '--csv', 'x.XLSX'], 'Let it end in .csv'),
        (['a.avi', '--show-dir', 'out'], '--show-dir draws on images'),
        (['x.png', '--csv', '-', '--json', '-'], 'both print'),
        (['x.png', '--csv', '.'], 'is a folder'),
        (['x.png', '--detector', 'yu.onnx'], 'yu.onnx: there is no such file'),
    ],
)
def test_options_that_do_not_fit(line, text, tmp_path, monkeypatch):
    Image.new('L', (40, 40), 90).save(tmp_path / 'x.png')
    write_video(tmp_path / 'a.avi', 3)
    assert text in refused(monkeypatch, tmp_path, 'predict', *line)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a.avi', 'x.png']


def test_lists_and_folders_may_have_videos(tmp_path, film):
    (tmp_path / 'list.txt').write_text(f'x.png\n{film.name}\n', encoding='utf-8')
    found = find_inputs([str(tmp_path / 'list.txt'), 'y.jpg', 'z.MOV'])
    assert found.photos == [str(tmp_path / 'x.png'), 'y.jpg']
    assert found.videos == [str(film), 'z.MOV']
    (tmp_path / 'below').mkdir()
    Image.new('L', (40, 40), 90).save(tmp_path / 'below/x.png')
    found = find_inputs([str(tmp_path)])
    assert found == ([str(tmp_path / 'below/x.png')], [str(film)])


def test_dlib_is_named_where_it_is_missing(tmp_path, monkeypatch):
    Image.new('L', (40, 40), 90).save(tmp_path / 'x.png')
    monkeypatch.setitem(sys.modules, 'dlib', None)
    said = refused(monkeypatch, tmp_path, 'predict', 'x.png', '--faces')
    assert 'pip install "mmfer[face]"' in said and '--detector' in said


@pytest.mark.parametrize('label_sets, names', [(None, 'abc'), (['va'], '')])
def test_models_of_other_classes(label_sets, names, film, tmp_path, capsys):
    """The table has the classes of the model, or none."""
    name = 'ce_r18_synthfaces' if label_sets is None else 'ce_vgg16_synthfaces'
    cfg = Config.fromfile(f'{CONFIGS}/ce/{name}.py')
    cfg.image_size = 48
    cfg.model.backbone.base_channels = 4
    if label_sets is None:
        cfg.model.backbone.stem_channels = 4
        cfg.data_preprocessor.num_classes = 3
    else:
        cfg.model.head.label_sets = label_sets
    model = mmfer.get_model(cfg)
    cfg.dump(tmp_path / 'own.py')
    meta = dict(dataset_meta=dict(classes=list(names)) if names else {})
    torch.save(dict(state_dict=model.state_dict(), meta=meta), tmp_path / 'own.pth')
    own = [
        '--model',
        str(tmp_path / 'own.py'),
        '--checkpoint',
        str(tmp_path / 'own.pth'),
    ]
    with pytest.raises(SystemExit) as error:
        main(['predict', str(film), *own, '--fps', '1', '--csv', '-'])
    assert error.value.code == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert len(rows) == 10
    scores = [key for key in rows[0] if key.startswith('score_')]
    assert scores == [f'score_{name}' for name in names]
    for row in rows:
        assert (row['pred_class'] in names) and bool(row['pred_label']) == bool(names)
        assert bool(row['valence']) == (not names)
        if names:
            assert sum(float(row[key]) for key in scores) == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists('/proc/self/statm'), reason='needs /proc')
def test_memory_does_not_grow_over_an_hour(squares, tmp_path, work_dir):
    """18,000 frames of 320 x 240, with a stand-in for dlib.

    tools/benchmarks/video_memory.py measures the command with dlib.
    """
    film = write_video(tmp_path / 'hour.mp4', 18_000, 5, 'mp4v', (240, 320))
    sizes, ended = [], threading.Event()

    def watch():
        while not ended.wait(0.2):
            pages = int(Path('/proc/self/statm').read_text().split()[1])
            sizes.append(pages * os.sysconf('SC_PAGE_SIZE') / 1e6)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out = tmp_path / 'out.csv'
    line = ['--model', str(work_dir), '--faces', '--smooth', '1', '--csv', str(out)]
    with pytest.raises(SystemExit) as error:
        main(['predict', str(film), *line])
    ended.set()
    watcher.join()
    assert error.value.code == 0
    with open(out, newline='') as file:
        assert sum(1 for _ in csv.DictReader(file)) == 18_000
    # A thirtieth of the video, as two minutes are of an hour.
    later = sizes[len(sizes) // 30 :]
    print(f'memory {later[0]:.0f} MB, at most {max(later):.0f} MB later')
    assert max(later) - later[0] < 100


@pytest.mark.slow
@pytest.mark.parametrize('stop', ['SIGINT', 'SIGKILL'])
def test_what_a_kill_leaves(stop, tmp_path):
    """The rows so far, in a file that ends in .part."""
    film = write_video(tmp_path / 'long.avi', 20_000)
    out = tmp_path / 'out.csv'
    program = subprocess.Popen(
        [sys.executable, '-m', 'mmfer', 'predict', str(film), '--csv', str(out)],
        env=environment(),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    part = tmp_path / 'out.csv.part'
    for _ in range(600):
        if part.exists() and part.stat().st_size > 100_000:
            break
        time.sleep(0.1)
    program.send_signal(getattr(signal, stop))
    _, said = program.communicate(timeout=60)
    assert not out.exists()
    text = part.read_text()
    rows = list(csv.DictReader(text[: text.rindex('\n') + 1].splitlines()))
    assert [row['frame'] for row in rows] == [str(i) for i in range(len(rows))]
    assert len(rows) > 300
    if stop == 'SIGINT':
        assert program.returncode == 130 and text.endswith('\n')
        assert f'The results until then are in {part}.' in said


def test_sets_of_classes(faces, tmp_path, capsys):
    """The shipped model is calibrated; a larger share needs larger sets."""
    sizes = []
    for share in (50, 99):
        table, lines = tmp_path / f'{share}.csv', tmp_path / f'{share}.jsonl'
        flags = ['--coverage', share, '--csv', table, '--json', lines]
        said = predicted(capsys, faces, *flags, '--device', 'cpu')
        results = [json.loads(line) for line in lines.read_text().splitlines()]
        with open(table, newline='') as file:
            sets = [row['pred_set'].split(';') for row in csv.DictReader(file)]
        assert sets == [result['pred_set'] or [''] for result in results]
        assert all(
            ('only ' if len(result['pred_set']) == 1 else 'one of ') in text
            for result, text in zip(results, said, strict=True)
        )
        sizes.append(sum(len(result['pred_set']) for result in results))
    assert sizes[0] < sizes[1]
