"""Personal columns are found wherever their values stand, and a mark never goes away by itself."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.adapters.conversion import ConversionProcess
from lakehouse.adapters.objects import S3ObjectStore
from tests.ingesting import IngestDesk


@pytest.fixture
def desk(objects: S3ObjectStore, converter: ConversionProcess, tmp_path: Path) -> IngestDesk:
    return IngestDesk(objects, tmp_path, converter=converter)


def marks(desk: IngestDesk, name: str = "d") -> dict[str, bool]:
    return {c.name: c.pii for c in desk.catalog.get(name).columns}


def mails(first: int, last: int) -> str:
    return "".join(f"{i},person{i}@example.org\n" for i in range(first, last))


def test_mails_behind_thousands_of_empty_rows_are_found(desk: IngestDesk) -> None:
    desk.load("id,contact\n" + "".join(f"{i},\n" for i in range(5000)) + mails(5000, 5100))
    assert marks(desk) == {"id": False, "contact": True}


def test_mails_behind_thousands_of_words_are_found(desk: IngestDesk) -> None:
    desk.load("id,contact\n" + "".join(f"{i},word\n" for i in range(2000)) + mails(2000, 22_000))
    assert marks(desk) == {"id": False, "contact": True}


def test_column_that_was_empty_is_marked_when_mails_come(desk: IngestDesk) -> None:
    desk.load("id,contact\n1,\n")
    assert marks(desk) == {"id": False, "contact": False}
    desk.load("id,contact\n" + mails(1, 20))
    assert marks(desk) == {"id": False, "contact": True}
    desk.load("id,contact\n1,nobody\n")
    assert marks(desk) == {"id": False, "contact": True}


def test_landing_file_with_mails_marks_the_column_of_the_dataset(desk: IngestDesk) -> None:
    desk.store.put("landing/d/a.csv", b"id,contact\n1,word\n")
    desk.ingester.sync_landing("d", actor="sensor")
    desk.store.put("landing/d/b.csv", ("id,contact\n" + mails(2, 30)).encode())
    desk.ingester.sync_landing("d", actor="sensor")
    assert marks(desk) == {"id": False, "contact": True}


def test_bare_social_security_numbers_are_found_by_the_columns_name(desk: IngestDesk) -> None:
    desk.load("id,ssn,number\n1,123456789,123456789\n2,012345678,223456789\n")
    assert marks(desk) == {"id": False, "ssn": True, "number": False}
    desk.load("id,ssn\n1,123456789\n", "whole")
    assert marks(desk, "whole") == {"id": False, "ssn": True}


def test_mails_in_json_and_parquet_are_found(desk: IngestDesk) -> None:
    rows = [{"id": i, "contact": f"person{i}@example.org"} for i in range(100)]
    desk.load("\n".join(map(json.dumps, rows)), "lines", file_name="d.jsonl")
    assert marks(desk, "lines") == {"id": False, "contact": True}
    (parquet,) = desk.files(desk.catalog.get("lines"))
    desk.load(Path(parquet).read_bytes(), "parquet", file_name="d.parquet")
    assert marks(desk, "parquet") == {"id": False, "contact": True}


def test_personal_columns_of_parquet_are_found_whatever_their_type(desk: IngestDesk, tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    columns = {
        "ssn": pa.array([123456789, 987654321], pa.int32()),
        "emails": pa.array([["a@x.org", "b@y.org"], ["c@z.org"]]),
        "phone": pa.array([Decimal(5551234567), Decimal(5559876543)], pa.decimal128(18, 0)),
        "mobile": pa.array([15551234567, 15559876543], pa.uint64()),
        "rate": pa.array([20.5, 31.0]),
        "home_phone": pa.array([5551234567.0, None]),
        "work_phone": pa.array([5551234567.0, 5559876543.0], pa.float32()),
        "fax": pa.array([b"555-123-4567", b"555-987-6543"]),
        "photo": pa.array([b"\xff\xd8 555", b"\xff\xd8"]),
        "contacts": pa.array([["555-123-4567"], ["555-987-6543"]]),
        "mobile_users": pa.array([5551234567, 15559876543]),
    }
    pq.write_table(pa.table(columns), path)
    desk.load_file(path, "d")
    assert [name for name, is_marked in marks(desk).items() if not is_marked] == ["rate", "photo", "mobile_users"]


def test_mail_late_in_a_long_json_text_is_found(desk: IngestDesk) -> None:
    document = json.dumps({"text": "word " * 200, "contact": {"email": "jane@example.org"}})
    quoted = document.replace('"', '""')
    desk.load("id,event\n" + "".join(f'{i},"{quoted}"\n' for i in range(10)))
    assert marks(desk) == {"id": False, "event": True}
