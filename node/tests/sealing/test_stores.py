"""Stores: whole or not there, nothing outside their place, every version found."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from dkg_node.sealing.reasons import Reason, SealingRefusal
from dkg_node.sealing.stores import DirectoryBlobs, S3Blobs

OWNER = "000000000000"


class FakeS3:
    """A versioned bucket that answers lists in pages of two."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, bytes | None]] = []
        self.count = 0
        self.owners: set[str] = set()
        self.failing: Exception | None = None
        self.deletions: int | None = None
        """That succeed from now on; None: all."""

    def _met(self, request: Mapping[str, Any]) -> None:
        self.owners.add(request["ExpectedBucketOwner"])
        if self.failing is not None:
            raise self.failing

    def put_object(self, **request: Any) -> dict[str, Any]:  # noqa: ANN401 - an API's request
        self._met(request)
        self.count += 1
        self.rows.insert(0, (request["Key"], f"v{self.count}", request["Body"]))
        return {}

    def get_object(self, **request: Any) -> dict[str, Any]:  # noqa: ANN401 - the same
        self._met(request)
        body = next((body for key, _, body in self.rows if key == request["Key"]), None)
        if body is None:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": BytesIO(body)}

    def delete_object(self, **request: Any) -> dict[str, Any]:  # noqa: ANN401 - the same
        self._met(request)
        if self.deletions == 0:
            raise ClientError({"Error": {"Code": "SlowDown"}}, "DeleteObject")
        if self.deletions is not None:
            self.deletions -= 1
        wanted = (request["Key"], request["VersionId"])
        self.rows = [row for row in self.rows if row[:2] != wanted]
        return {}

    def list_object_versions(self, **request: Any) -> dict[str, Any]:  # noqa: ANN401 - the same
        self._met(request)
        found = sorted(
            (row for row in self.rows if row[0].startswith(request["Prefix"])), key=lambda row: row[0]
        )  # fmt: skip
        start = int(request.get("VersionIdMarker") or 0)
        page = found[start : start + 2]
        latest = {key: next(version for k, version, _ in self.rows if k == key) for key, _, _ in found}
        rows = [
            ({"Key": key, "VersionId": version, "IsLatest": latest[key] == version}, body)
            for key, version, body in page
        ]
        answer: dict[str, Any] = {
            "Versions": [row for row, body in rows if body is not None],
            "DeleteMarkers": [row for row, body in rows if body is None],
        }
        if start + 2 < len(found):
            answer |= {"IsTruncated": True, "NextKeyMarker": "k", "NextVersionIdMarker": str(start + 2)}
        return answer


@pytest.fixture
def s3() -> FakeS3:
    return FakeS3()


@pytest.fixture
def blobs(s3: FakeS3) -> S3Blobs:
    return S3Blobs(s3, "bucket", "7/", OWNER)


def test_the_last_of_many_versions_is_read_and_all_pages_are_listed(s3: FakeS3, blobs: S3Blobs) -> None:
    for name in ("a", "b", "c"):
        for body in (b"1", b"2"):
            blobs.put(name, body)
    assert blobs.get("b") == b"2"
    assert blobs.names() == ("a", "b", "c")
    assert len(blobs.left()) == 6
    assert s3.owners == {OWNER}


def test_erasing_takes_the_object_of_exactly_that_name(blobs: S3Blobs) -> None:
    blobs.put("share", b"1")
    blobs.put("share", b"2")
    blobs.put("share-2", b"3")
    blobs.erase("share")
    assert blobs.left() == ("7/share-2 version v3",)


def test_what_only_looks_deleted_is_left_until_it_is_cleared(s3: FakeS3, blobs: S3Blobs) -> None:
    blobs.put("share", b"1")
    s3.rows.insert(0, ("7/share", "v9", None))
    s3.rows.insert(0, ("8/share", "v10", b"of another party"))
    assert blobs.names() == ()
    assert len(blobs.left()) == 2
    assert blobs.clear("identity") == 2
    assert blobs.left() == ()
    assert s3.rows == [("8/share", "v10", b"of another party")]


def fill(blobs: S3Blobs, s3: FakeS3) -> None:
    """Two versions each of what a party has, and a mark of deletion over one."""
    for name in ("draws", "identity", "prss", "share"):
        blobs.put(name, b"1")
        blobs.put(name, b"2")
    s3.rows.insert(0, ("7/prss", "v99", None))


@pytest.mark.parametrize("deletions", range(9))
def test_clearing_that_breaks_off_leaves_the_last_object_until_all_else_is_gone(
    s3: FakeS3, blobs: S3Blobs, deletions: int
) -> None:
    """Whatever deletion fails, the object by which it can be carried on is there still, in its newest version."""
    fill(blobs, s3)
    s3.deletions = deletions
    with pytest.raises(SealingRefusal):
        blobs.clear("identity")
    assert blobs.get("identity") == b"2"
    s3.deletions = None
    assert blobs.clear("identity") == 9 - deletions
    assert blobs.left() == ()


def test_clearing_keeps_the_last_object_when_the_store_keeps_another(s3: FakeS3, blobs: S3Blobs) -> None:
    """A store that says yes and deletes nothing must not get the identity key deleted before the share."""
    fill(blobs, s3)
    s3.delete_object = lambda **_: {}  # type: ignore[method-assign]
    with pytest.raises(SealingRefusal) as refusal:
        blobs.clear("identity")
    assert refusal.value.reason is Reason.NOT_EMPTY
    assert blobs.get("identity") == b"2"


def test_clearing_a_directory_that_breaks_off_leaves_the_last_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink, names = Path.unlink, ("draws", "identity", "prss", "share")
    for deletions in range(5):
        store, left = DirectoryBlobs(tmp_path), [deletions]
        for name in names:
            store.put(name, b"1")
        (tmp_path / ".identity.sealed.tmp1").write_bytes(b"x")

        def failing(path: Path, missing_ok: bool = False, left: list[int] = left) -> None:  # noqa: FBT001, FBT002
            if not left[0]:
                raise OSError(5, "Input/output error")
            left[0] -= 1
            unlink(path, missing_ok=missing_ok)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", failing)
            with pytest.raises(SealingRefusal):
                store.clear("identity")
        assert store.get("identity") == b"1"
        assert store.clear("identity") == 5 - deletions
        assert store.left() == ()


def test_a_prefix_below_another_is_no_part_of_it_and_is_not_cleared_with_it(s3: FakeS3, blobs: S3Blobs) -> None:
    """A new release's objects below the old one's prefix: leaving the old terms must not erase the new share."""
    new = S3Blobs(s3, "bucket", "7/v2/", OWNER)
    for store in (blobs, new):
        store.put("identity", b"1")
        store.put("share", b"1")
    assert blobs.names() == ("identity", "share")
    assert blobs.get("nothing") is None
    before = list(s3.rows)
    with pytest.raises(SealingRefusal) as refusal:
        blobs.clear("identity")
    assert refusal.value.reason is Reason.OCCUPIED
    assert s3.rows == before
    assert new.clear("identity") == 2
    assert blobs.clear("identity") == 2


def test_names_that_no_object_has_are_passed_over_and_cleared(s3: FakeS3, blobs: S3Blobs, tmp_path: Path) -> None:
    """A host's odd file must not end a node."""
    directory = DirectoryBlobs(tmp_path)
    for store in (blobs, directory):
        store.put("share", b"1")
    for name in ("UPPER", "two words", "a" * 200):
        (tmp_path / f"{name}.sealed").write_bytes(b"x")
        s3.rows.insert(0, (f"7/{name}", f"of {name}", b"x"))
    s3.rows.insert(0, ("7/", "v99", b""))
    assert blobs.names() == directory.names() == ("share",)
    assert (blobs.clear("identity"), directory.clear("identity")) == (5, 4)


def test_a_directory_named_as_an_object_keeps_everything_from_being_cleared(tmp_path: Path) -> None:
    store = DirectoryBlobs(tmp_path)
    store.put("share", b"1")
    (tmp_path / "new.sealed").mkdir()
    with pytest.raises(SealingRefusal) as refusal:
        store.clear("identity")
    assert refusal.value.reason is Reason.OCCUPIED
    assert store.get("share") == b"1"


def test_an_absent_object_is_none_and_an_unreachable_store_is_not(s3: FakeS3, blobs: S3Blobs) -> None:
    assert blobs.get("share") is None
    for failure in (EndpointConnectionError(endpoint_url="x"), ClientError({"Error": {"Code": "AccessDenied"}}, "x")):
        s3.failing = failure
        with pytest.raises(SealingRefusal):
            blobs.get("share")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "A", "x" * 200, "a\0"])
def test_a_name_that_could_lead_elsewhere_is_a_mistake(blobs: S3Blobs, tmp_path: Path, name: str) -> None:
    for store in (blobs, DirectoryBlobs(tmp_path)):
        with pytest.raises(ValueError, match="lower-case"):
            store.put(name, b"x")


def test_files_are_their_owners_only_and_replaced_as_a_whole(tmp_path: Path) -> None:
    store = DirectoryBlobs(tmp_path)
    store.put("share", b"1")
    store.put("share", b"2")
    assert store.get("share") == b"2"
    assert stat.S_IMODE(store.path("share").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["share.sealed"]


def test_what_a_directory_still_holds_includes_unfinished_and_set_aside(tmp_path: Path) -> None:
    store = DirectoryBlobs(tmp_path)
    store.put("share", b"1")
    for name in (".share.sealed.tmp1", "share.sealed.set-aside-3"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "node.log").write_bytes(b"x")
    assert store.names() == ("share",)
    assert len(store.left()) == 3
    assert store.clear("identity") == 3
    assert [path.name for path in tmp_path.iterdir()] == ["node.log"]


def test_a_directory_that_is_gone_has_its_reason(tmp_path: Path) -> None:
    store = DirectoryBlobs(tmp_path / "gone")
    assert store.get("share") is None
    with pytest.raises(SealingRefusal) as refusal:
        store.put("share", b"x")
    assert refusal.value.reason is Reason.STORE
