"""Where sealed objects lie: one small interface, a directory and S3. Nothing in a store is trusted or secret."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from dkg_node.sealing.aws import call
from dkg_node.sealing.files import sync_directory, write_atomic
from dkg_node.sealing.reasons import Reason, SealingRefusal

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,120}")
SUFFIX: Final = ".sealed"
MODE: Final = 0o600


class BlobStore(Protocol):
    """Sealed objects of one party by name (lower-case letters, digits, dots, dashes)."""

    def put(self, name: str, blob: bytes) -> None:
        """Write, in place of what was there; durable when it returns. SealingRefusal if it can't be done."""
        ...

    def get(self, name: str) -> bytes | None:
        """What was written last, or None."""
        ...

    def names(self) -> tuple[str, ...]:
        """Of the objects there are, in order. What else lies there, under a name that none can have, is passed over."""
        ...

    def erase(self, name: str) -> None:
        """Remove every version of an object; nothing happens when there is none."""
        ...

    def clear(self, last: str) -> int:
        """Remove all that the store holds of the party, every version; returns how many.

        The newest version of the object ``last`` goes when a fresh list shows nothing else: broken off before, it can
        be done again. SealingRefusal when it breaks off, NOT_EMPTY when something stays; OCCUPIED, and nothing is
        removed, when there is a place of another store in this one.
        """
        ...

    def left(self) -> tuple[str, ...]:
        """All that the store still holds of the party, older versions and marks of deletion included."""
        ...


@dataclass(frozen=True, slots=True)
class DirectoryBlobs:
    """A directory, one file an object."""

    directory: Path

    def path(self, name: str) -> Path:
        """Where an object lies."""
        return self.directory / (_checked(name) + SUFFIX)

    def put(self, name: str, blob: bytes) -> None:
        """See ``BlobStore``."""
        try:
            write_atomic(self.path(name), blob, mode=MODE)
        except OSError as error:
            raise SealingRefusal(Reason.STORE, f"writing {name} into {self.directory}: {error.strerror}") from None

    def get(self, name: str) -> bytes | None:
        """See ``BlobStore``."""
        try:
            return self.path(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SealingRefusal(Reason.STORE, f"reading {name} in {self.directory}: {error.strerror}") from None

    def names(self) -> tuple[str, ...]:
        """See ``BlobStore``."""
        found = (path.name.removesuffix(SUFFIX) for path in self.directory.glob(f"*{SUFFIX}"))
        return tuple(sorted(name for name in found if NAME.fullmatch(name)))

    def erase(self, name: str) -> None:
        """See ``BlobStore``."""
        try:
            self.path(name).unlink(missing_ok=True)
            sync_directory(self.directory)
        except OSError as error:
            raise SealingRefusal(Reason.STORE, f"erasing {name} in {self.directory}: {error.strerror}") from None

    def clear(self, last: str) -> int:
        """See ``BlobStore``."""
        kept = self.path(last).name
        names = [name for name in self.left() if name != kept]
        _demand_own([name for name in names if (self.directory / name).is_dir()])
        self._unlink(names)
        left = self.left()
        _demand_nothing([name for name in left if name != kept])
        self._unlink(left)
        return len(names) + len(left)

    def left(self) -> tuple[str, ...]:
        """See ``BlobStore``: also files that a write left unfinished, and objects set aside."""
        return tuple(sorted(path.name for path in self.directory.iterdir() if SUFFIX in path.name))

    def _unlink(self, names: Sequence[str]) -> None:
        """Durably."""
        try:
            for name in names:
                (self.directory / name).unlink()
            sync_directory(self.directory)
        except OSError as error:
            raise SealingRefusal(Reason.STORE, f"clearing {self.directory}: {error.strerror}") from None


class S3Api(Protocol):
    """What is used of boto3's S3 client."""

    def put_object(self, **request: Any) -> Mapping[str, Any]:  # noqa: ANN401 - an API's request
        """Write; returns when the object is on several disks."""
        ...

    def get_object(self, **request: Any) -> Mapping[str, Any]:  # noqa: ANN401 - the same
        """Read."""
        ...

    def delete_object(self, **request: Any) -> Mapping[str, Any]:  # noqa: ANN401 - the same
        """Remove one version."""
        ...

    def list_object_versions(self, **request: Any) -> Mapping[str, Any]:  # noqa: ANN401 - the same
        """One page of versions and marks of deletion."""
        ...


class Version(NamedTuple):
    """A version of an object, or a mark of deletion."""

    key: str
    id: str
    is_object: bool
    is_latest: bool


@dataclass(frozen=True, slots=True)
class S3Blobs:
    """A prefix of a bucket. The bucket's owner is given with every request: a name taken over by others is refused."""

    api: S3Api
    bucket: str
    prefix: str
    """Ends with a slash."""
    owner: str
    """AWS account, 12 digits."""

    def put(self, name: str, blob: bytes) -> None:
        """See ``BlobStore``."""
        call(f"writing {name}", self.api.put_object, Body=blob, **self._place(name))

    def get(self, name: str) -> bytes | None:
        """See ``BlobStore``."""
        try:
            answer = call(f"reading {name}", self.api.get_object, **self._place(name))
            return bytes(call(f"reading {name}", answer["Body"].read))
        except SealingRefusal:
            if name not in self.names():
                return None
            raise

    def names(self) -> tuple[str, ...]:
        """See ``BlobStore``."""
        found = [row for row in self._versions(self.prefix) if row.is_latest and row.is_object]
        return tuple(sorted(name for name in map(self._name, found) if NAME.fullmatch(name)))

    def erase(self, name: str) -> None:
        """See ``BlobStore``: a version deleted by its id leaves no mark."""
        key = self.prefix + _checked(name)
        self._delete([row for row in self._versions(key) if row.key == key])

    def clear(self, last: str) -> int:
        """See ``BlobStore``."""
        kept = self.prefix + _checked(last)
        rows = [row for row in self._versions(self.prefix) if not _is_newest(row, kept)]
        _demand_own([row.key for row in rows if "/" in self._name(row)])
        self._delete(rows)
        left = self._versions(self.prefix)
        _demand_nothing([_shown(row) for row in left if not _is_newest(row, kept)])
        self._delete(left)
        return len(rows) + len(left)

    def left(self) -> tuple[str, ...]:
        """See ``BlobStore``."""
        return tuple(_shown(row) for row in self._versions(self.prefix))

    def _name(self, row: Version) -> str:
        return row.key.removeprefix(self.prefix)

    def _delete(self, rows: Sequence[Version]) -> None:
        for row in rows:
            place = {"Bucket": self.bucket, "Key": row.key, "VersionId": row.id, "ExpectedBucketOwner": self.owner}
            call("erasing", self.api.delete_object, **place)

    def _place(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.prefix + _checked(name), "ExpectedBucketOwner": self.owner}

    def _versions(self, prefix: str) -> list[Version]:
        """All there are. SealingRefusal for an answer without them."""
        found: list[Version] = []
        page = {"Bucket": self.bucket, "Prefix": prefix, "ExpectedBucketOwner": self.owner}
        while True:
            answer = call("listing", self.api.list_object_versions, **page)
            try:
                for kind in ("Versions", "DeleteMarkers"):
                    rows = answer.get(kind, ())
                    found += [Version(r["Key"], r["VersionId"], kind == "Versions", r["IsLatest"]) for r in rows]
                if not answer.get("IsTruncated"):
                    return found
                page |= {"KeyMarker": answer["NextKeyMarker"], "VersionIdMarker": answer.get("NextVersionIdMarker", "")}
            except KeyError as error:
                raise SealingRefusal(Reason.STORE, f"listing: an answer without {error}") from None


def _is_newest(row: Version, key: str) -> bool:
    """Whether reading the key gives this version."""
    return row.key == key and row.is_latest and row.is_object


def _shown(row: Version) -> str:
    return f"{row.key} version {row.id}"


def _demand_own(places: Sequence[str]) -> None:
    """SealingRefusal when there are places of another store."""
    if places:
        raise SealingRefusal(Reason.OCCUPIED, f"{len(places)} object versions lie deeper")


def _demand_nothing(left: Sequence[str]) -> None:
    """SealingRefusal when something stayed that was erased."""
    if left:
        raise SealingRefusal(Reason.NOT_EMPTY, f"{len(left)} object versions")


def _checked(name: str) -> str:
    """ValueError for a name that could lead elsewhere: a mistake in the code."""
    if not NAME.fullmatch(name):
        raise ValueError(f"use lower-case letters, digits, dots and dashes in a name, not {name!r}")
    return name
