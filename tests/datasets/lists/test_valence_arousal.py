import numpy as np
import pytest

from mmfer.datasets.lists import read_va_list


def test_va_list_of_a_spreadsheet(save):
    for text in (
        'image;valence;arousal\na b;-0,5;0,25\nc;1,0;0\n',
        'Arousal,Valence,Path\n0.25,-0.5,a b\n0,1.0,c\n',
        'a b;-0.5;0.25\nc;1;0\n',
        '"a b" -0.5 0.25\n"c" 1 0\n',
        ',image,valence,arousal\n0,a b,-.5,.25\n1,c,1,0\n',
    ):
        for encoding in ('utf-8-sig', 'utf-16'):
            names, va = read_va_list(save(text.encode(encoding)))
            assert names == ('a b', 'c')
            assert va.tolist() == [[-0.5, 0.25], [1, 0]]
    for text in ('a 0 1_0\n', 'a 0 \u0663\n'):
        with pytest.raises(ValueError, match='line 1.*no two numbers'):
            read_va_list(save(text))


@pytest.mark.parametrize('end', ['\n', '\r\n'])
def test_va_list(save, end):
    text = end.join(
        [
            'train_00001.jpg -0.3414750397205353 -0.1292310357093811',
            'aligned/my face.jpg 1.2e0 1',
            '',
            'test_0001.jpg -1.09 0.5',
        ]
    )
    names, va = read_va_list(save(text))
    assert names == ('train_00001.jpg', 'my face.jpg', 'test_0001.jpg')
    assert va.dtype == np.float32 and va.shape == (3, 2)
    # Values are returned as written, not clipped.
    assert va == pytest.approx(
        np.array([[-0.341475, -0.129231], [1.2, 1], [-1.09, 0.5]]), abs=1e-6
    )


def test_va_range(save):
    found = read_va_list(save('a 0.5 1.2\nb -1.09 0\n'))
    assert found.value_range == pytest.approx((-1.09, 1.2))


@pytest.mark.parametrize(
    'text, parts',
    [
        ('a 0.1 0.2\nb 5\n', ['line 2', "'b 5'", 'read_label_list']),
        ('a 0.1 0.2\nb 0.1 x\n', ['line 2', "'b 0.1 x'", 'no two numbers']),
        ('a 0.1 nan\n', ['line 1', 'not finite']),
        ('a 0.1 1e300\n', ['line 1', 'not finite']),
        ('a 0.1 0.2\nb 0 0\na 0 0\n', ['line 3', 'line 1']),
        ('', ['no rows']),
    ],
)
def test_bad_va_lists(save, text, parts):
    path = save(text)
    with pytest.raises(ValueError) as info:
        read_va_list(path)
    for part in [str(path), *parts]:
        assert part in str(info.value)
