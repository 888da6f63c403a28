from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcontrol import Identity, Window, is_client_name
from flowcontrol.identity import (
    CLIENT_NAME_KEY,
    INVALID,
    LARGEST_STREAM_ID,
    STREAM_ID_KEY,
    UNNAMED,
    WINDOW_KEY,
)


@pytest.mark.parametrize("name", ["client", "slow-client", "client-7f9c", "a", "A.b_c-1", "9", "x" * 63])
def test_names(name):
    assert is_client_name(name)
    assert Identity.declared_in([(CLIENT_NAME_KEY, name)]).client == name


@pytest.mark.parametrize(
    "name", ["", "-client", ".client", "_x", "x" * 64, "a b", "a/b", 'a"b', "a\nb", "a\n", "ä", "x{}", "٣"]
)
def test_what_is_no_name_becomes_one_label(name):
    assert not is_client_name(name)
    assert Identity.declared_in([(CLIENT_NAME_KEY, name)]).client == INVALID


@pytest.mark.parametrize("window", [Window(16_384), Window(None), None])
def test_what_is_declared_is_believed(window):
    identity = Identity.for_new_stream("client", window)
    assert Identity.declared_in(identity.metadata()) == identity


def test_each_stream_has_an_id_of_its_own():
    ids = {Identity.for_new_stream("client", None).stream_id for _ in range(1_000)}
    assert len(ids) > 990
    assert min(ids) >= 1
    assert max(ids) <= LARGEST_STREAM_ID


@pytest.mark.parametrize("metadata", [None, (), [("user-agent", "x")]])
def test_a_peer_that_declares_nothing(metadata):
    assert Identity.declared_in(metadata) == Identity(UNNAMED, 0, None)


@pytest.mark.parametrize("value", ["", "-1", "1.5", "4294967296", "9" * 5_000, "٣", "²", " 1", "1_000", b"7"])
def test_a_bad_stream_id_is_none(value):
    assert Identity.declared_in([(STREAM_ID_KEY, value)]).stream_id == 0


@pytest.mark.parametrize("value", ["", "-1", "1", "16383", "2147483648", "9" * 5_000, "1e9", "auto ", b"auto"])
def test_a_bad_window_is_none(value):
    assert Identity.declared_in([(WINDOW_KEY, value)]).window is None


values = st.one_of(st.text(), st.binary(), st.text(st.characters(codec="ascii")))
keys = st.one_of(st.sampled_from([CLIENT_NAME_KEY, STREAM_ID_KEY, WINDOW_KEY]), st.text())


@given(st.lists(st.tuples(keys, values)))
def test_nothing_that_a_peer_declares_fails(metadata):
    identity = Identity.declared_in(metadata)
    assert is_client_name(identity.client)
    assert 0 <= identity.stream_id <= LARGEST_STREAM_ID
