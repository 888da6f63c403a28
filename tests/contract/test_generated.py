"""The committed code is what the contract generates."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor import FieldDescriptor

from stockservice.stock_pb2 import DESCRIPTOR, StockUpdate

PROTO = Path(__file__).parents[2] / "proto"
GENERATED = ("stock_pb2.py", "stock_pb2.pyi", "stock_pb2_grpc.py")

ORIGINAL_FIELDS = {
    "ticker": (1, FieldDescriptor.TYPE_STRING),
    "price": (2, FieldDescriptor.TYPE_DOUBLE),
    "change": (3, FieldDescriptor.TYPE_DOUBLE),
    "changePercent": (4, FieldDescriptor.TYPE_DOUBLE),
    "volume": (5, FieldDescriptor.TYPE_INT64),
    "openPrice": (6, FieldDescriptor.TYPE_DOUBLE),
    "highPrice": (7, FieldDescriptor.TYPE_DOUBLE),
    "lowPrice": (8, FieldDescriptor.TYPE_DOUBLE),
    "marketCap": (9, FieldDescriptor.TYPE_INT64),
    "timestamp": (10, FieldDescriptor.TYPE_STRING),
    "sequence": (11, FieldDescriptor.TYPE_UINT64),
}
"""JSON name, number and type of the original's ten fields, and of the one that was added first."""


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> Path:
    """Generate as `make proto` does, elsewhere."""
    folder = tmp_path_factory.mktemp("proto")
    (folder / "stockservice").mkdir()
    shutil.copy(PROTO / "stockservice" / "stock.proto", folder / "stockservice")
    outputs = ["--python_out=.", "--pyi_out=.", "--grpc_python_out=."]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", ".", *outputs, "stockservice/stock.proto"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "stockservice"


@pytest.mark.parametrize("name", GENERATED)
def test_generated_code_is_not_stale(generated, name):
    fresh = (generated / name).read_text()
    assert (PROTO / "stockservice" / name).read_text() == fresh, "run `make proto` and commit what it generates"


def test_nothing_else_is_generated(generated):
    assert {path.name for path in generated.iterdir()} == {*GENERATED, "stock.proto"}


def test_the_fields_are_the_originals():
    fields = {field.json_name: (field.number, field.type) for field in StockUpdate.DESCRIPTOR.fields}
    assert fields.items() >= ORIGINAL_FIELDS.items()
    assert not any(field.is_repeated for field in StockUpdate.DESCRIPTOR.fields)


def test_the_method_is_the_originals():
    assert DESCRIPTOR.package == "stockservice"
    method = DESCRIPTOR.services_by_name["StockService"].methods_by_name["GetUpdates"]
    assert (method.client_streaming, method.server_streaming) == (False, True)
    assert method.input_type.full_name == "stockservice.EmptyRequest"
    assert list(method.input_type.fields) == []
    assert method.output_type.full_name == "stockservice.StockUpdate"
