"""`RemoteFolder` on a real S3 server, and on a store that has folders and renames."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from sweep.store.at_uri.remote_folder import RemoteFolder, is_uri
from sweep.vocabulary.errors import InputError, SweepFailed


@pytest.fixture(params=["{s3}/{name}", "{s3}/{name}?region=us-east-1", "{files}/{name}"])
def remote(request: pytest.FixtureRequest, object_store: str, tmp_path: Path) -> RemoteFolder:
    name = secrets.token_hex(4)
    files = (tmp_path / "a b ε").as_uri()
    return RemoteFolder(str(request.param).format(s3=object_store, files=files, name=name))


def test_nothing_is_where_nothing_was_written(remote: RemoteFolder) -> None:
    assert remote.files() == set()
    assert remote.read("a") is None
    remote.delete("a")


def test_what_is_written_is_read_and_replaced(remote: RemoteFolder) -> None:
    for content in (b"first", b"", b"\x00" * 10_000):
        remote.write("deep/er/a", content)
        assert remote.read("deep/er/a") == content
    assert remote.files() == {"deep/er/a"}
    remote.delete("deep/er/a")
    assert remote.files() == set()


def test_files_are_copied_there_and_back(remote: RemoteFolder, tmp_path: Path) -> None:
    for content in (b"some", b""):
        (tmp_path / "source").write_bytes(content)
        remote.send(tmp_path / "source", "b")
        remote.fetch("b", tmp_path / "deep" / "target")
        assert (tmp_path / "deep" / "target").read_bytes() == content


def test_file_that_has_gone_is_told_and_leaves_nothing(
    remote: RemoteFolder, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        remote.send(tmp_path / "gone", "b")
    with pytest.raises(FileNotFoundError):
        remote.fetch("b", tmp_path / "target")
    assert remote.files() == set()


def test_folder_below_is_part_of_it(remote: RemoteFolder) -> None:
    remote.below("trials", "t0000").write("a", b"1")
    assert remote.files() == {"trials/t0000/a"}


def test_names_that_lead_out_of_a_folder_are_passed_over(object_store: str) -> None:
    import boto3

    client = boto3.client("s3")  # which, unlike pyarrow, lets one write them
    bucket = object_store.removeprefix("s3://")
    for name in ("fine", "../outside", "a/../../outside", "/root", "a//b", "a/./b"):
        client.put_object(Bucket=bucket, Key=f"hostile/{name}", Body=b"")
    client.close()
    assert RemoteFolder(f"{object_store}/hostile").files() == {"fine"}


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("foo://x", "Unrecognized filesystem type"),
        ("s3://", "must name a bucket"),
        ("fsspec+nope://x", "Protocol not known"),
    ],
)
def test_uri_without_a_filesystem_is_the_users_mistake(uri: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        RemoteFolder(uri)
    assert caught.value.mistakes[0].key == uri


def test_store_that_refuses_is_named_with_its_reason(object_store: str) -> None:
    with pytest.raises(SweepFailed, match=r"cannot write s3://no-such-bucket/x/a: .*bucket"):
        RemoteFolder("s3://no-such-bucket/x").write("a", b"")


@pytest.mark.parametrize(("text", "is_one"), [("s3://b/x", True), ("a/b", False), ("/a", False)])
def test_paths_are_no_uris(text: str, is_one: bool) -> None:
    assert is_uri(text) is is_one
