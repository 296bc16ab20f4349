"""Labels of the hull figure: none covers another or a point that matters."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from explorer.figures.labels import CHARACTER, CLEAR, LINE, SIDES, gap, place_labels

SIZE = 10.0
SPOTS = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 250)), max_size=25, unique=True)


def box(point: np.ndarray, text: str, side: str) -> np.ndarray:
    """Return the corners of a label."""
    half = np.array([CHARACTER * len(text) / 2, LINE / 2])
    centre = point + np.array(SIDES[side]) * (half + gap(SIZE))
    return np.array([centre - half, centre + half])


@given(SPOTS)
def test_labels_never_overlap(spots):
    """Labels that do not fit are left out; the first in line always gets one."""
    points = np.array(spots, float).reshape(-1, 2)
    texts = ["CaAl\u2082Cu"] * len(points)
    chosen = place_labels(
        points, texts, range(len(points)), [False] * len(points), [SIZE] * len(points)
    )
    boxes = [box(points[place], texts[place], side) for place, side in chosen.items()]
    for k, (one, place) in enumerate(zip(boxes, chosen, strict=True)):
        middle = points[place]
        for other in boxes[k + 1 :]:
            assert (one[0] >= other[1]).any() or (one[1] <= other[0]).any()
        touched = ((points > one[0] - gap(SIZE)) & (points < one[1] + gap(SIZE))).all(axis=1)
        assert not (touched & (np.abs(points - middle).max(axis=1) > 1.0)).any()


def test_a_lone_point_is_labelled_and_an_unnamed_one_is_not():
    """Whoever asks for no label gets none."""
    points = np.array([[0.0, 0.0], [200.0, 0.0]])
    assert set(place_labels(points, ["CaCu", ""], [0, 1], [False, False], [SIZE] * 2)) == {0}
    assert place_labels(np.zeros((0, 2)), [], [], [], []) == {}


def test_a_label_may_cover_a_soft_point_when_there_is_no_other_way():
    """A phase on the hull is named even in a crowd of candidates above it."""
    crowd = [[x, y] for x in range(-48, 49, 6) for y in range(-48, 49, 6) if (x, y) != (0, 0)]
    points = np.array([[0, 0], *crowd], float)
    texts = ["CaCu"] + [""] * len(crowd)
    soft, sizes = [False] + [True] * len(crowd), [SIZE] * len(points)
    assert set(place_labels(points, texts, [0], soft, sizes)) == {0}
    assert place_labels(points, texts, [0], [False] * len(points), sizes) == {}


def test_a_label_stands_clear_of_a_large_marker():
    """Plotly sets text farther from a star than from a dot, which then needs more room."""
    points = np.array([[0.0, 0.0], [0.0, 25.0], [0.0, -300.0]])
    for size, side in ((6.0, "top center"), (17.0, "top right")):
        chosen = place_labels(points, ["CaCu", "", ""], [0], [False] * 3, [size, 6.0, 6.0])
        assert chosen == {0: side}


def test_a_label_without_room_stands_apart_at_the_end_of_a_line():
    """It covers no candidate then, nor does its line, and another label keeps off that line."""
    crowd = [[x, y] for x in (-45, -15, 15, 45) for y in range(-28, 29, 14)]
    points = np.array([[0, 0], *crowd, [-200, -150], [200, 150]], float)
    texts = ["CaCu"] + [""] * (len(points) - 1)
    soft, sizes = [True] * len(points), [SIZE] * len(points)
    assert isinstance(place_labels(points, texts, [0], soft, sizes)[0], str)
    offset = np.array(place_labels(points, texts, [0], soft, sizes, leads=True)[0])
    half = np.array([CHARACTER * len(texts[0]) / 2, LINE / 2])
    assert not (np.abs(points[1:] - offset) < half + gap(SIZE)).all(axis=1).any()
    along = np.linspace(0, 1, 50)[:, None] * offset
    assert np.linalg.norm(points[1:, None] - along, axis=2).min() > CLEAR
    texts[-2] = "CaCu2"
    points[-2] = 0.6 * offset
    assert place_labels(points, texts, [len(points) - 2, 0], soft, sizes, leads=True)[0] != tuple(
        offset
    )
