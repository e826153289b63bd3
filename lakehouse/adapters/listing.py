"""Listing of keys on S3, page by page, whole on stores that walk folders.

Belongs here: pages and what SeaweedFS leaves out of them. Not here: other calls (see objects.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakehouse.storage.objects import ObjectInfo

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PAGE = 1000


def list_after(client: S3Client, bucket: str, prefix: str, most: int, start_after: str) -> list[ObjectInfo]:
    """The first keys under a prefix after `start_after`, at most `most`, in the store's order."""
    found = _keys(client, bucket, prefix, most, start_after)
    if not start_after:
        return found
    # SeaweedFS walks folders: a listing after the key `a` leaves out `a/b`, although a full listing has it right after
    # `a`.
    folder = f"{start_after}/"
    first = _keys(client, bucket, folder, 1)
    if not first or any(info.key == first[0].key for info in found):
        return found
    following = [info.key for info in _keys(client, bucket, start_after, 2) if info.key != start_after]
    if not following or not following[0].startswith(folder):
        return found  # a store in byte order, whose page ends before that folder
    return [*_keys(client, bucket, folder, most), *found][:most]


def list_folders(client: S3Client, bucket: str, prefix: str, after: str) -> list[str]:
    """Names of the folders directly under a prefix that sort after `after`."""
    found: list[str] = []
    where: dict[str, Any] = {"StartAfter": f"{prefix}{after}/"} if after else {}
    while True:
        page = client.list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter="/", MaxKeys=_PAGE, **where)
        found += [folder["Prefix"][len(prefix) : -1] for folder in page.get("CommonPrefixes", [])]
        if not page.get("IsTruncated"):
            # In byte order the objects of a folder come after its name, so the folder `after` itself would be listed.
            return sorted(name for name in found if name > after)
        where = {"ContinuationToken": page["NextContinuationToken"]}


def _keys(client: S3Client, bucket: str, prefix: str, most: int, start_after: str = "") -> list[ObjectInfo]:
    found: list[ObjectInfo] = []
    where: dict[str, Any] = {"StartAfter": start_after} if start_after else {}
    while len(found) < most:
        page = client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=min(_PAGE, most - len(found)), **where)
        found += [
            ObjectInfo(o["Key"], o["Size"], o["ETag"].strip('"'), o["LastModified"]) for o in page.get("Contents", [])
        ]
        if not page.get("IsTruncated"):
            break
        where = {"ContinuationToken": page["NextContinuationToken"]}
    return found
