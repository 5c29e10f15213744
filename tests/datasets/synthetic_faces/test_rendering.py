import cv2
import numpy as np
import pytest

from mmfer.datasets import synthetic_faces
from mmfer.datasets.synthetic_faces import (
    ACTIONS,
    APPEARANCE,
    render_face,
    render_faces,
    sample_faces,
)


def plain_face(**fields):
    """Make a neutral face without light, noise and occluders."""
    params, _, _ = sample_faces(
        1, seed=0, class_counts=(0, 0, 0, 0, 0, 0, 1), nuisance=0, ambiguity=0
    )
    defaults = dict.fromkeys(ACTIONS, 0)
    defaults.update(asymmetry=0, skin=150, hair=60, beard=0, background=150, contrast=1)
    fields = dict(defaults, **fields)
    for name, value in fields.items():
        params[name] = value
    return params[0]


@pytest.mark.parametrize('size', [16, 24, 48, 101])
def test_render_shape_and_determinism(drawn, size):
    params = drawn[0][:6]
    images = render_faces(params, size)
    assert images.shape == (6, size, size) and images.dtype == np.uint8
    assert images.std(axis=(1, 2)).min() > 5
    # An image depends neither on its place nor on earlier images.
    for i in (5, 0):
        np.testing.assert_array_equal(render_face(params[i], size), images[i])
    assert len(np.unique(images.reshape(6, -1), axis=0)) == 6


@pytest.mark.parametrize('size', [17, 48])
@pytest.mark.parametrize('together', [1, 4, 11])
def test_faces_drawn_together_are_those_drawn_alone(size, together, monkeypatch):
    params, _, _ = sample_faces(40, seed=9, nuisance=2)
    # Every kind of branch is met by some faces, but not by all.
    for name in ('beard', 'glasses', 'glasses_tint', 'hand', 'patch'):
        assert 0 < (params[name] > 0).sum() < 40, name
    params['noise'][:3] = params['blur'][2:5] = 0
    alone = np.stack([render_face(face, size) for face in params])
    monkeypatch.setattr(
        synthetic_faces.rendering, '_PIXELS_AT_ONCE', together * size**2
    )
    np.testing.assert_array_equal(render_faces(params, size), alone)


def test_faces_stay_the_same_over_releases():
    images = render_faces(sample_faces(7, seed=5)[0], 48)
    means = [112.3, 135.0, 116.21, 159.99, 115.04, 126.12, 147.28]
    # The exact pixels may depend on the version of OpenCV.
    np.testing.assert_allclose(images.mean(axis=(1, 2)), means, atol=0.5)


def test_render_nothing(drawn):
    assert render_faces(drawn[0][:0], 40).shape == (0, 40, 40)


def test_sizes_show_the_same_face_in_the_same_place():
    face = plain_face(lip_corner_pull=1, background=250)
    large = render_face(face, 192)
    small = render_face(face, 48).astype(int)

    def difference(x, y):
        moved = np.roll(large, (y, x), axis=(0, 1))
        moved = cv2.resize(moved, (48, 48), interpolation=cv2.INTER_AREA)
        return np.abs(moved - small)[2:-2, 2:-2].mean()

    # Edges are a little wider in the small image. If it were shifted by half
    # a small pixel (two large ones), some shift would fit better.
    assert difference(0, 0) < 7
    for x, y in ((2, 0), (-2, 0), (0, 2), (0, -2)):
        assert difference(x, y) > difference(0, 0) + 1


def test_every_field_changes_the_picture():
    base = plain_face(
        beard=0.3,
        background=220,
        glasses=0.03,
        hand=0.1,
        hand_x=0.3,
        hand_y=0.5,
        hand_angle=1.0,
        patch=0.1,
        patch_x=-0.6,
        patch_y=-0.9,
        light_strength=0.2,
        noise=2,
        asymmetry=0.2,
        # A face at rest is symmetric.
        inner_brow_raise=0.3,
    )
    image = render_face(base, 96)
    steps = dict(
        skin=20,
        hair=20,
        iris=30,
        background=20,
        brightness=10,
        noise=5,
        patch_grey=40,
        light_direction=1,
        glasses=0.04,
        glasses_tint=0.4,
        blur=0.02,
        gaze_y=0.03,
    )
    for name in ACTIONS + APPEARANCE + ('noise_seed',):
        face = base.copy()
        face[name] += steps.get(name, 1 if name == 'noise_seed' else 0.5)
        changed = np.abs(render_face(face, 96).astype(int) - image)
        assert (changed > 1).sum() > 5, name


def test_shift_moves_the_face_by_the_stated_length():
    faces = [plain_face(shift_x=x, background=255) for x in (-0.1, 0.1)]
    centres = []
    for face in faces:
        # Everything darker than the background moves: ears, neck and hair too.
        weight = 255.0 - render_face(face, 64)[20:40]
        centres.append((weight * np.arange(64)).sum() / weight.sum())
    # The image is 2.06 face units wide.
    assert centres[1] - centres[0] == pytest.approx(0.2 * 64 / 2.06, rel=0.1)


def test_turned_head_is_the_mirror_image_of_the_head_turned_back():
    left, right = (
        render_face(plain_face(yaw=angle, roll=angle / 2), 64).astype(int)
        for angle in (-0.3, 0.3)
    )
    # Only the shadow of the nose is always on the same side.
    difference = np.abs(left - right[:, ::-1])
    assert (difference > 8).mean() < 0.03
    assert np.abs(left - right).mean() > 4 * difference.mean()


def test_turned_head_carries_the_mouth_farther_than_the_outline():

    def centre(mask):
        return np.nonzero(mask)[1].mean()

    mouth, head = [], []
    for yaw in (0, 0.3):
        image = render_face(
            plain_face(jaw_drop=1, yaw=yaw, hair=120, background=255), 96
        )
        # In this part of the face, only the open mouth is so dark.
        mouth.append(centre(image[60:] < 40))
        head.append(centre(image < 200))
    assert mouth[1] - mouth[0] > head[1] - head[0] + 3 > 3


def test_light_comes_from_its_direction():
    flat = render_face(plain_face(), 48).astype(int)
    lit = render_face(plain_face(light_strength=0.4, light_direction=np.pi / 2), 48)
    gain = lit - flat
    assert gain[-8:].mean() > 15 and gain[:8].mean() < -5


def test_noise_has_the_stated_strength():
    clean = render_face(plain_face(), 64).astype(float)
    noisy = render_face(plain_face(noise=10), 64)
    grey = (clean > 50) & (clean < 200)
    assert (noisy - clean)[grey].std() == pytest.approx(10, rel=0.1)
    other = plain_face(noise=10, noise_seed=1)
    assert (render_face(other, 64) != noisy).mean() > 0.8


def ridge_is_correct(params, labels, num_train):
    """Fit a linear classifier; return where it is correct on the rest."""
    images = render_faces(params, 24).reshape(len(params), -1).astype(float)
    images -= images.mean(axis=1, keepdims=True)
    images /= images.std(axis=1, keepdims=True)
    x, target = images[:num_train], np.eye(7)[labels[:num_train]] - 1 / 7
    weights = np.linalg.solve(x.T @ x + 300 * np.eye(x.shape[1]), x.T @ target)
    scores = images[num_train:] @ weights
    return scores.argmax(axis=1) == labels[num_train:]


def test_expressions_can_be_told_apart_but_not_all_of_them(drawn):
    params, labels, _ = drawn
    correct = ridge_is_correct(params, labels, 1500)
    assert 0.4 < correct.mean() < 0.97
    for k in range(7):
        assert correct[labels[1500:] == k].mean() > 1 / 7


def test_blends_are_harder_than_pure_faces():
    params, labels, _ = sample_faces(1400, seed=8, ambiguity=0.5, nuisance=0.2)
    correct = ridge_is_correct(params, labels, 900)
    is_blend = params['blend'][900:] > 0
    assert correct[~is_blend].mean() > 0.75
    assert correct[is_blend].mean() < correct[~is_blend].mean() - 0.1


@pytest.mark.parametrize('size', [0, 15, 513, 48.0, '48', (48, 48)])
def test_bad_size(drawn, size):
    with pytest.raises(ValueError, match='size must be'):
        render_faces(drawn[0][:1], size)
    with pytest.raises(ValueError, match='size must be'):
        render_face(drawn[0][0], size)


def test_bad_params(drawn):
    params = drawn[0]
    with pytest.raises(TypeError, match='FACE_DTYPE'):
        render_face(np.zeros(10))
    with pytest.raises(TypeError, match='FACE_DTYPE'):
        render_faces([1, 2])
    with pytest.raises(ValueError, match='use render_faces'):
        render_face(params[:2])
    with pytest.raises(ValueError, match='one dimension'):
        render_faces(params[0])
