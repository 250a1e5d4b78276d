"""Pictures on their way to the page."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from lcdb_notebook.explore.figures.canvas import canvas, close, new_figure, png

pictures = st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(4)).flatmap(
    lambda shape: arrays(np.uint8, shape)
)


@given(pixels=pictures)
def test_a_picture_comes_out_of_its_png_as_it_was(pixels: npt.NDArray[np.uint8]) -> None:
    with Image.open(io.BytesIO(png(pixels))) as read:
        assert read.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(read), pixels)


def test_a_canvas_sends_the_whole_picture_each_time() -> None:
    figure = new_figure(2, 1)
    axes = figure.subplots()
    shown = canvas(figure)
    for end in (1, 2):
        axes.plot([0, end], [0, 1])
        shown.draw()
        # The page may have asked already.
        shown._png_is_old = True
        with Image.open(io.BytesIO(shown.get_diff_image())) as sent:
            np.testing.assert_array_equal(np.asarray(sent), np.asarray(shown.buffer_rgba()))
    close(shown)
