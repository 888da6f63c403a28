from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcontrol import DEFAULT_WINDOW_BYTES, Window, wire_bytes
from flowcontrol.window import LARGEST_WINDOW_BYTES, SMALLEST_WINDOW_BYTES

sizes = st.integers(SMALLEST_WINDOW_BYTES, LARGEST_WINDOW_BYTES)
messages = st.integers(0, 4_000_000)


def test_a_message_has_a_prefix_of_five_bytes_on_the_wire():
    assert wire_bytes(95) == 100


def test_the_default_is_the_initial_window_of_http2():
    assert Window().size_bytes == DEFAULT_WINDOW_BYTES == 65_535


@pytest.mark.parametrize(
    ("window_bytes", "message_bytes", "ceiling_messages", "ceiling_bytes"),
    [
        (16_384, 95, 163, 16_300),
        (65_535, 95, 655, 65_500),
        (262_144, 95, 2_621, 262_100),
        (1_048_576, 95, 10_485, 1_048_500),
        (65_535, 1_000, 65, 65_325),
        (65_535, 10_000, 6, 60_030),
        (65_535, 70_000, 0, 0),
    ],
)
def test_the_ceiling(window_bytes, message_bytes, ceiling_messages, ceiling_bytes):
    window = Window(window_bytes)
    assert window.ceiling_messages(message_bytes) == ceiling_messages
    assert window.ceiling_bytes(message_bytes) == ceiling_bytes


@given(sizes, messages)
def test_the_ceiling_is_within_one_message_of_the_window(window_bytes, message_bytes):
    ceiling = Window(window_bytes).ceiling_bytes(message_bytes)
    assert window_bytes - wire_bytes(message_bytes) < ceiling <= window_bytes


@given(sizes, messages)
def test_the_bound_is_two_windows_and_two_messages(window_bytes, message_bytes):
    window = Window(window_bytes)
    assert window.bound_bytes(message_bytes) == 2 * window_bytes + 2 * wire_bytes(message_bytes)
    in_flight = window.bound_messages(message_bytes) * wire_bytes(message_bytes)
    assert (
        window.bound_bytes(message_bytes) - wire_bytes(message_bytes) < in_flight <= window.bound_bytes(message_bytes)
    )


def test_an_autotuned_window_predicts_nothing_and_sets_nothing():
    window = Window(None)
    assert window.channel_options() == []
    assert window.ceiling_messages(95) is window.ceiling_bytes(95) is None
    assert window.bound_messages(95) is window.bound_bytes(95) is None


def test_a_fixed_window_needs_both_options():
    assert dict(Window(65_536).channel_options()) == {"grpc.http2.bdp_probe": 0, "grpc.http2.lookahead_bytes": 65_536}


@given(sizes)
def test_what_is_written_is_read_again(window_bytes):
    window = Window(window_bytes)
    assert Window.parse(str(window)) == Window.parse(window_bytes) == window


def test_auto_is_read_again():
    assert Window.parse(str(Window(None))) == Window(None)


@pytest.mark.parametrize("size", [SMALLEST_WINDOW_BYTES - 1, LARGEST_WINDOW_BYTES + 1, 0, -65_535])
def test_a_size_out_of_range_is_refused_with_the_range(size):
    with pytest.raises(ValueError, match=rf"16384 to 2147483647 bytes, or 'auto'; got {size}"):
        Window(size)


@pytest.mark.parametrize("text", ["", "64k", "1.5", "Auto", "none", "0x10000"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match="whole number of bytes or 'auto'"):
        Window.parse(text)
