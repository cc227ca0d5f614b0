"""Measures of a face between landmarks, as anthropometry takes them, for asking whether drawn faces have them right.

After the comparison of Speech2Face (Oh et al., CVPR 2019, arXiv 1905.09773): Pearson's r between the measure of a
person's true face and of the drawn one. Anthropometry (Farkas 1994) measures heads in millimetres; 68 landmarks of a
picture are stand-ins. Lengths are in units of the distance between the outer corners of the eyes, areas in its
square, so that the size of the picture makes no difference; indices are ratios, in percent. The *labio-oral region*
of the published table is left out: what exactly was measured could not be found.
"""

from __future__ import annotations

import numpy as np

from worker.ml.metrics.intervals import Numbers
from worker.ml.metrics.landmarks import Points, inter_ocular

# Points of the iBUG scheme that stand for the points of anthropometry.
_FACE_LEFT, _FACE_RIGHT, _JAW_LEFT, _JAW_RIGHT, _CHIN = 0, 16, 4, 12, 8
_NASION, _SUBNASALE, _NOSE_LEFT, _NOSE_RIGHT = 27, 33, 31, 35
_EYE_OUTER_LEFT, _EYE_INNER_LEFT, _EYE_INNER_RIGHT, _EYE_OUTER_RIGHT = 36, 39, 42, 45
_MOUTH_LEFT, _MOUTH_RIGHT, _LIP_PEAK_LEFT, _LIP_PEAK_RIGHT = 48, 54, 50, 52
_UPPER_LIP, _UPPER_LIP_INNER, _LOWER_LIP_INNER, _LOWER_LIP = 51, 62, 66, 57


def craniofacial_measures(points: Points) -> dict[str, Numbers]:
    """Measures of each face, `[N]` each.

    Args:
        points: `[N, 68, 2]` in the order of iBUG, x then y, any unit.
    """

    def between(first: int, second: int) -> Numbers:
        distance: Numbers = np.linalg.norm(points[:, first].astype(np.float64) - points[:, second], axis=1)
        return np.maximum(distance, 1e-6)  # lips that touch have no height, and are divided by

    unit = inter_ocular(points)
    nose_width, nose_height = between(_NOSE_LEFT, _NOSE_RIGHT), between(_NASION, _SUBNASALE)
    jaw_width = between(_JAW_LEFT, _JAW_RIGHT)
    lateral = (between(_NOSE_LEFT, _LIP_PEAK_LEFT) + between(_NOSE_RIGHT, _LIP_PEAK_RIGHT)) / 2
    return {
        "nasal_index": 100 * nose_width / nose_height,
        "nose_width": nose_width / unit,
        "nose_height": nose_height / unit,
        "nose_area": nose_width * nose_height / 2 / unit**2,
        "vermilion_height_index": 100
        * between(_UPPER_LIP, _UPPER_LIP_INNER)
        / between(_LOWER_LIP_INNER, _LOWER_LIP),
        "lateral_upper_lip_heights": lateral / unit,
        "upper_lip_height": between(_SUBNASALE, _UPPER_LIP_INNER) / unit,
        "intercanthal_index": 100
        * between(_EYE_INNER_LEFT, _EYE_INNER_RIGHT)
        / between(_EYE_OUTER_LEFT, _EYE_OUTER_RIGHT),
        "mandibular_index": 100 * between(_UPPER_LIP_INNER, _CHIN) / jaw_width,
        "mouth_face_width_index": 100 * between(_MOUTH_LEFT, _MOUTH_RIGHT) / between(_FACE_LEFT, _FACE_RIGHT),
        "jaw_width": jaw_width / unit,
    }
