import pytest
from made_lists import rows

from mmfer.datasets.lists import read_label_list

NAMES = ['surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'very happy']


def test_numbers_stay_numbers_where_classes_have_names(save):
    found = read_label_list(save('a 1\nb 7\n'), 7, classes=NAMES)
    assert found.labels.tolist() == [0, 6] and not found.by_name


def test_classes_that_are_numbers(save):
    one_to_seven = list('1234567')
    for labels, result in (
        ([1, 7], [0, 6]),
        ([0, 6], [0, 6]),
        # These fit 0 as well as 1, so they are read as names.
        ([1, 3], [0, 2]),
    ):
        path = save(rows('ab', labels))
        found = read_label_list(path, 7, classes=one_to_seven)
        assert found.labels.tolist() == result
    path = save('a 10\nb 30\n')
    found = read_label_list(path, 3, classes=['30', '20', '10'])
    assert found.labels.tolist() == [2, 0]
    path = save('a 1\nb 3\n')
    with pytest.raises(ValueError, match='line 1.*not in the order of their'):
        read_label_list(path, 3, classes=['3', '1', '2'])
    found = read_label_list(path, 3, 1, classes=['3', '1', '2'])
    assert found.labels.tolist() == [0, 2]


@pytest.mark.parametrize(
    'text, parts',
    [
        ('a,fear\nb,angre\n', ['line 2', "'angre'", "mean 'anger'"]),
        ('a,joy\n', ['line 1', "'joy'", 'Known are surprise']),
        ('a,fear\nb,3\n', ['line 2', "'3' is a number", 'names of classes']),
        ('a,3\nb,fear\n', ['line 1', "'3' is a number"]),
        ('a,fear\nb,\n', ['line 2', "''"]),
        ('a;fearful\nb;angry\n', ['line 1', "'fearful'"]),
    ],
)
def test_bad_class_names_as_labels(save, text, parts):
    path = save(text)
    with pytest.raises(ValueError) as info:
        read_label_list(path, 7, classes=NAMES)
    for part in [str(path), *parts]:
        assert part in str(info.value)
    with pytest.raises(ValueError, match='classes=|a number|an integer'):
        read_label_list(path, 7)


@pytest.mark.parametrize(
    'label',
    ['1e3', 'nan', '\u0663', '1_000', '0x1', '', '1.5', 'True', 'inf', '9' * 5000],
)
def test_labels_that_are_not_whole(save, label):
    path = save(f'a.jpg,0\nb.jpg,{label}\nc.jpg,6\n')
    with pytest.raises(ValueError, match=r'line 2: .*not an integer'):
        read_label_list(path, 7)


@pytest.mark.parametrize(
    'labels, base', [([0, 1, 6], 0), ([0, 1, 2], 0), ([1, 2, 7], 1), ([7, 7, 7], 1)]
)
def test_base_is_detected(save, labels, base):
    found = read_label_list(save(rows('abc', labels)), 7)
    assert found.label_base == base
    assert found.labels.tolist() == [y - base for y in labels]


def test_ambiguous_base_has_to_be_given(save):
    path = save(rows('abc', [1, 2, 6]))
    with pytest.raises(ValueError, match=r'1\.\.6.*label_base=0 or') as info:
        read_label_list(path, 7)
    assert str(path) in str(info.value)
    for base in (0, 1):
        found = read_label_list(path, 7, label_base=base)
        assert found.labels.tolist() == [1 - base, 2 - base, 6 - base]
        assert found.label_base == base


def test_contradictory_base(save):
    path = save('a 0\nb 3\n\nc 7\n')
    with pytest.raises(ValueError, match=r"line 4: 'c 7'.*line 1, 'a 0'"):
        read_label_list(path, 7)


@pytest.mark.parametrize(
    'base, labels, message',
    [
        (0, [1, 2, 7], r"line 3: 'c 7'.*outside 0\.\.6"),
        (1, [1, 0, 3], r"line 2: 'b 0'.*outside 1\.\.7"),
        (2, [1, 2, 3], 'neither 0 nor 1'),
    ],
)
def test_given_base_has_to_fit(save, base, labels, message):
    path = save(rows('abc', labels))
    with pytest.raises(ValueError, match=message):
        read_label_list(path, 7, label_base=base)
