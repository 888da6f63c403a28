"""Batches: what they hold, how large they grow, and that they are messages of their own."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, SourceCodeInfo
from hypothesis import given
from hypothesis import strategies as st

from flowcontrol import Batch, BatchLimit, Entries, Gathering, Window, wire_bytes

SIZES = st.lists(st.integers(0, 5_000), max_size=60)


def gathered(sizes: list[int], limit: BatchLimit) -> list[Batch]:
    """Gather entries of these sizes; return all batches."""
    gathering, batches = Gathering(limit), []
    for size in sizes:
        before = gathering.add(bytes(size))
        batches += [before] if before is not None else []
        if gathering.full:
            batches.append(gathering.take())
    return [*batches, gathering.take()] if len(gathering) else batches


@given(sizes=SIZES, most_messages=st.integers(1, 20), most_bytes=st.integers(1, 9_000))
def test_a_batch_stays_within_its_limit_and_loses_nothing(sizes, most_messages, most_bytes):
    batches = gathered(sizes, BatchLimit(most_messages, most_bytes))
    rest = list(sizes)
    for batch in batches:
        held, rest = rest[: batch.count], rest[batch.count :]
        assert len(batch.data) == sum(held)
        assert 1 <= batch.count <= most_messages
        assert batch.count == 1 or wire_bytes(len(batch.data)) <= most_bytes
    assert rest == []


def test_a_batch_of_equal_messages_is_as_large_as_it_can_be():
    """None is smaller than it need be: the one after it is not made before it has gone."""
    limit = BatchLimit(256, 1_000)
    assert [batch.count for batch in gathered([100] * 25, limit)] == [9, 9, 7]
    assert [batch.count for batch in gathered([100] * 25, BatchLimit(5, 10_000))] == [5] * 5


def test_what_is_larger_than_a_batch_may_be_goes_alone():
    assert [batch.count for batch in gathered([10, 2_000, 10], BatchLimit(256, 1_000))] == [1, 1, 1]


@pytest.mark.parametrize(
    ("window", "most_bytes"),
    [(Window(65_536), 16_384), (Window(16_384), 4_096), (Window(None), 16_383), (None, 16_383)],
)
def test_the_limit_is_a_quarter_of_the_window(window, most_bytes):
    assert BatchLimit.for_window(window).most_bytes == most_bytes


@given(names=st.lists(st.text(max_size=300), max_size=10))
def test_joined_entries_are_the_message_with_the_repeated_field(names):
    files = [FileDescriptorProto(name=name) for name in names]
    entries = Entries(FileDescriptorSet.FILE_FIELD_NUMBER)
    joined = b"".join(entries.entry(file.SerializeToString()) for file in files)
    assert joined == FileDescriptorSet(file=files).SerializeToString()


def test_a_field_number_of_two_bytes():
    location = SourceCodeInfo.Location(leading_detached_comments=["a", "b"])
    entries = Entries(SourceCodeInfo.Location.LEADING_DETACHED_COMMENTS_FIELD_NUMBER)
    assert entries.entry(b"a") + entries.entry(b"b") == location.SerializeToString()
    assert Entries(16).entry(b"") == b"\x82\x01\x00"
