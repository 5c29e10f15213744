"""Parameters of a schematic face: names, units and data type."""

import numpy as np

#: Class names in the order of the labels, which is that of RAF-DB.
EXPRESSIONS = (
    'surprise',
    'fear',
    'disgust',
    'happiness',
    'sadness',
    'anger',
    'neutral',
)

#: Names of the facial actions. The value 0 means a face at rest, 1 a strong
#: action. Because people differ, values can be between about -0.3 and 1.6.
ACTIONS = (
    'inner_brow_raise',
    'outer_brow_raise',
    'brow_lower',
    'lid_raise',
    'cheek_raise',
    'lid_tighten',
    'lid_droop',
    'nose_wrinkle',
    'upper_lip_raise',
    'lip_corner_pull',
    'lip_corner_depress',
    'chin_raise',
    'lip_stretch',
    'lip_press',
    'lips_part',
    'jaw_drop',
)

#: Names of the parameters that do not depend on the expression. Lengths are in
#: face units: the face is about 1.5 wide and 1.9 high, and the image is 2.06 wide
#: and high. Angles are in radians, greys in [0, 255]. x points to the right and y
#: down.
APPEARANCE = (
    # Build of the head: ratios to the average face, or differences from it.
    'face_width',
    'jaw_taper',
    'eye_size',
    'eye_distance',
    'eye_tilt',
    'brow_height',
    'brow_slope',
    'brow_thickness',
    'nose_length',
    'nose_width',
    'mouth_width',
    'mouth_height',
    'mouth_curve',
    'lip_thickness',
    'asymmetry',
    # Greys; ``beard`` is an opacity in [0, 1].
    'skin',
    'hair',
    'iris',
    'background',
    'beard',
    # Pose of the head, and direction of the eyes.
    'roll',
    'yaw',
    'pitch',
    'scale',
    'shift_x',
    'shift_y',
    'gaze_x',
    'gaze_y',
    # Light and camera. ``light_strength`` is the relative gain at the edge of the
    # image. ``noise`` is a standard deviation in grey levels. ``blur`` is the
    # sigma of a Gaussian, as a fraction of the width of the image.
    'light_direction',
    'light_strength',
    'contrast',
    'brightness',
    'noise',
    'blur',
    # Occluders. ``hairline`` is the height where the hair begins; a fringe hangs
    # lower. ``glasses`` is the width of the frame, and ``glasses_tint`` the
    # darkness in [0, 1] of opaque lenses. ``hand`` is the width of a finger, and
    # ``patch`` half the width of a rectangle. 0 means that there is no such
    # occluder.
    'hairline',
    'glasses',
    'glasses_tint',
    'hand',
    'hand_x',
    'hand_y',
    'hand_angle',
    'patch',
    'patch_x',
    'patch_y',
    'patch_grey',
)

#: Data type of one face. ``intensity`` in [0.5, 1] scales the expression.
#: ``second`` is the label of the expression that is blended in, and ``blend`` is
#: its share in [0.2, 0.5). If a face is no blend, ``second`` is its own label and
#: ``blend`` is 0. ``noise_seed`` is the seed of the pixel noise.
FACE_DTYPE = np.dtype(
    [
        ('noise_seed', np.uint32),
        ('second', np.int64),
        ('blend', np.float32),
        ('intensity', np.float32),
    ]
    + [(name, np.float32) for name in ACTIONS + APPEARANCE]
)
