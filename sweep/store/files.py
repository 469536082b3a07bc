"""Safe reading and writing: against kills, full disks and concurrent readers.

Failed reads raise `ResultsError`, failed writes `StorageFailed`, both naming the path. A line of a
``.jsonl`` file counts as written once its newline is there. Anything after the last newline is
torn and ignored.
"""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator
from pydantic_core.core_schema import typed_dict_field, typed_dict_schema

from sweep.vocabulary.errors import ResultsError, StorageFailed, one_line

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

T = TypeVar("T")
TEMPORARY = ".tmp"
"""Extension of the hidden temporary files of atomic writes."""

MOST_BYTES = 2**26
"""Largest size of a file that is read at once. Our files are far smaller."""
MOST_BYTES_OF_A_LINE = 2**20
CHUNK = 2**16
"""Bytes that are read at a time."""


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """Turn operating system errors on reading ``path`` into a `ResultsError`."""
    try:
        yield
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path | str, error: OSError) -> ResultsError:
    return ResultsError(f"cannot read {path}: {error.strerror or error}")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn operating system errors on writing ``path`` into a `StorageFailed`."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(
            f"cannot write {path}: {error.strerror or error}; earlier data are intact"
        ) from error


def make_folder(folder: Path) -> None:
    """Create a results folder and its parents; raises `ResultsError` if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        above = (one for one in (folder, *folder.parents) if one.exists())
        lowest = next(above, folder)
        is_file = lowest.exists() and not lowest.is_dir()
        why = f"{lowest} is a file, not a folder" if is_file else error.strerror or error
        raise ResultsError(f"cannot write to {folder}: {why}") from error


def own_file(path: str, flags: int) -> int:
    """Opener for regular files only, not links.

    A results folder may come from anywhere, and a link in it may point anywhere. Without
    O_NONBLOCK, opening a pipe would wait for a writer.
    """
    careful = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags | careful, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise OSError(error.errno, "it is a link, and may lead out of the folder") from None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is not a file")


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Strict JSON, ASCII only; raises ValueError for a nonfinite number."""
    return json.dumps(value, allow_nan=False, indent=indent)


def parse_json(text: str) -> Mapping[str, Any]:
    """Inverse of `to_json` for one object; raises ValueError for anything else."""
    value = json.loads(text, parse_constant=_finite, parse_float=_finite)
    if not isinstance(value, dict):
        raise ValueError(f"must be a JSON object, but got {type(value).__name__}")
    return value


def parsed(cls: type[T], values: Mapping[str, Any]) -> T:
    """An instance of the dataclass ``cls`` whose fields have the types that it declares.

    Unknown keys are ignored, so that old code can read files of newer code.

    Raises:
        ValueError: names every field that is missing or has the wrong type.
    """
    record: T = _checked(_adapter(cast(Any, cls)).validate_python, values)
    return record


def _checked(validate: Callable[[Any], Any], values: Mapping[str, Any]) -> Any:
    """``validate`` of the values; raises as `parsed`."""
    try:
        return validate(values)
    except ValidationError as error:
        wrong = (
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False)
        )
        raise ValueError("; ".join(wrong)) from None


def read_text(path: Path | str, most: int = MOST_BYTES) -> str:
    return read_bytes(path, most).decode(errors="backslashreplace")


def read_bytes(path: Path | str, most: int = MOST_BYTES) -> bytes:
    content = _first_bytes(path, most + 1)
    if len(content) > most:
        raise ResultsError(f"{path}: broken, larger than {most // 1024} KiB")
    return content


def _first_bytes(path: Path | str, most: int) -> bytes:
    """By calls of the system: a file object of Python takes longer than to read a small file.

    So does `reading`.
    """
    try:
        descriptor = own_file(os.fspath(path), os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            parts = []
            while most and (part := os.read(descriptor, min(most, CHUNK))):
                parts.append(part)
                most -= len(part)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unreadable(path, error) from error
    return parts[0] if len(parts) == 1 else b"".join(parts)


def read_json(path: Path | str, parse: Callable[[Mapping[str, Any]], T]) -> T:
    """``parse`` of the object in ``path``; raises `ResultsError` if it is broken."""
    with blaming(path):
        return parse(parse_json(read_text(path)))


def read_record(path: Path | str, cls: type[T]) -> T:
    """`parsed` of the object in ``path``; raises `ResultsError` if it is broken.

    Fast as `JsonLines`.
    """
    content, kind = read_bytes(path), cast(Any, cls)
    if not _is_odd(content):
        with suppress(ValidationError):
            record: T = _json_validator(kind).validate_json(content)
            return record
    return read_json(path, lambda values: parsed(cls, values))


def read_jsonl(path: Path | str, parse: Callable[[Mapping[str, Any]], T]) -> Iterator[T]:
    """``parse`` of each line in order, without a torn last line.

    Raises:
        ResultsError: an earlier line is broken; names file and line.
    """
    with reading(path), open(path, "rb", opener=own_file) as file:
        for _, value in parse_lines(file, path, parse):
            yield value


@dataclass(frozen=True, slots=True)
class JsonLines:
    """The complete lines of a file, each a JSON object, without a torn last line.

    Their fields are read fast: they become no instances, and `parse_json` reads only what the
    parser in Rust refuses. So a number too large for a float, in a key that is ignored, is no error
    here. A field that may be missing, of a type that can change, is missing here too.

    Args:
        path: of the file.
        lines: None where they are too long to be in memory.
    """

    path: Path | str
    lines: Sequence[bytes] | None

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Raises `ResultsError` where the file cannot be read."""
        content = _first_bytes(path, MOST_BYTES)
        lines = content.split(b"\n")
        is_long = len(content) == MOST_BYTES or max(map(len, lines)) >= MOST_BYTES_OF_A_LINE
        return cls(path, None if is_long or _is_odd(content) else lines[:-1])

    def fields(self, kind: type, only: int | None = None) -> list[dict[str, Any]]:
        """The fields of a ``kind`` in each line in order; raises as `read_jsonl`.

        Args:
            kind: a dataclass.
            only: the number of the one line to read, from 0; None: all.
        """
        fields = _fields_of(kind)
        wanted = slice(None) if only is None else slice(only, only + 1)
        if self.lines is not None:
            with suppress(ValidationError):
                return [*map(fields.of_json, self.lines[wanted])]
        return [*read_jsonl(self.path, lambda line: _checked(fields.of_values, line))][wanted]


def _is_odd(content: bytes) -> bool:
    """Whether the two parsers may differ about it."""
    # One byte is found many times faster than a word.
    return (b"N" in content and b"NaN" in content) or (b"I" in content and b"Infinity" in content)


def parse_lines(
    file: BinaryIO, path: Path | str, parse: Callable[[Mapping[str, Any]], T], *, after: int = 0
) -> Iterator[tuple[bytes, T]]:
    """``parse`` of each complete line from the current position of ``file``; raises as above.

    Args:
        after: number of lines before this place, for messages.
    """
    lines = iter(lambda: file.readline(MOST_BYTES_OF_A_LINE), b"")
    for number, line in enumerate(lines, start=after + 1):
        if len(line) == MOST_BYTES_OF_A_LINE:
            raise ResultsError(f"{path}:{number}: broken, longer than {len(line) // 1024} KiB")
        if not line.endswith(b"\n"):
            return
        with blaming(f"{path}:{number}"):
            value = parse(parse_json(line.decode()))
        yield line, value


def append_line(path: Path, line: str) -> None:
    """Append to an existing file with one write. A half-written line is removed again.

    The file is not created: if a results folder vanishes during a sweep, that must be an error.
    """
    rest = memoryview(f"{line}\n".encode())
    with writing(path), open(path, "r+b", buffering=0, opener=own_file) as file:
        end = file.seek(0, os.SEEK_END)
        try:
            while rest:  # usually once; again only to get the system's error for a partial write
                rest = rest[file.write(rest) :]
        except OSError:
            file.truncate(end)
            raise


def drop_torn_line(path: Path) -> None:
    """Remove a torn line at the end, left by a crash. Only the writer may do this."""
    with reading(path), open(path, "rb", opener=own_file) as file:
        size = file.seek(0, os.SEEK_END)
        start = file.seek(max(0, size - MOST_BYTES_OF_A_LINE))
        end = start + file.read().rfind(b"\n") + 1
    if start > 0 and end == start:
        raise ResultsError(f"{path}: broken, it ends in more than {(size - start) // 1024} KiB")
    if end < size:
        with writing(path):
            os.truncate(path, end)


def atomic_write_text(path: Path, text: str) -> None:
    """Write atomically: ``path`` has either its old content or all of ``text`` at any moment.

    Characters that UTF-8 cannot encode (undecodable file names in a traceback) are escaped.
    """
    atomic_write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(path: Path, values: Mapping[str, Any], *, indent: int = 2) -> None:
    """Write strict JSON for readers too, atomically; raises ValueError for a nonfinite number."""
    atomic_write_text(path, to_json(values, indent=indent) + "\n")


def atomic_write_bytes(path: Path, content: ReadableBuffer, *, keep: Path | None = None) -> None:
    """Write atomically: ``path`` has either its old content or all of ``content`` at any moment.

    This also holds after a power cut. The old content may then be back, unless `sync_folder`
    followed.

    Args:
        keep: new path of the old content. A kill in between leaves only that file.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    with writing(path):
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if keep is not None and path.exists():
                path.replace(keep)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def drop_temporary(folder: Path) -> None:
    """Delete temporary files of killed writers. Only the writer may do this."""
    for path in folder.glob(f".*{TEMPORARY}"):
        delete(path)


def delete(path: Path) -> None:
    """Delete a file if it exists."""
    with writing(path):
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush the directory entries of ``folder`` (new, renamed, deleted) to disk."""
    with writing(folder):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network shares cannot
                raise
        finally:
            os.close(handle)


def sync(path: Path) -> None:
    """Flush appended data of ``path`` to disk, so that they survive a power cut."""
    with writing(path), open(path, "r+b", opener=own_file) as file:
        os.fsync(file.fileno())


@contextmanager
def blaming(place: str | Path) -> Iterator[None]:
    """Turn a parser's errors into a `ResultsError` that names the place."""
    try:
        yield
    except KeyError as error:
        raise ResultsError(f"{place}: broken, {error} is missing") from error
    except json.JSONDecodeError as error:  # its line is always 1, or 2 at the end
        raise ResultsError(f"{place}: broken, it is not JSON: {error.msg}") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise ResultsError(f"{place}: broken, {one_line(str(error))}") from error


def _finite(number: str) -> float:
    if math.isfinite(value := float(number)):
        return value
    raise ValueError(f"{number} is not JSON")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@cache
def _json_validator(kind: Any) -> SchemaValidator:
    """As `_adapter`, but strict about numbers that are not finite, as `parse_json` is."""
    return SchemaValidator(_with_finite_floats(_adapter(kind).core_schema))


class _Fields(NamedTuple):
    """Validators of a dataclass that give its fields instead of an instance."""

    of_json: Callable[[bytes], dict[str, Any]]
    of_values: Callable[[Any], dict[str, Any]]


@cache
def _fields_of(kind: Any) -> _Fields:
    fields = {}
    for field in cast(Any, _adapter(kind).core_schema)["schema"]["fields"]:
        schema = field["schema"]
        may_be_missing = schema["type"] == "default"
        if may_be_missing and "default" not in schema:  # a factory takes longer than a look-up
            schema = schema["schema"]
        fields[field["name"]] = typed_dict_field(schema, required=not may_be_missing)
    every = typed_dict_schema(fields, extra_behavior="ignore")
    return _Fields(
        SchemaValidator(_with_finite_floats(every)).validate_json,
        SchemaValidator(every).validate_python,
    )


def _with_finite_floats(schema: Any) -> Any:
    if isinstance(schema, dict):
        found = {key: _with_finite_floats(value) for key, value in schema.items()}
        return found | {"allow_inf_nan": False} if schema.get("type") == "float" else found
    if isinstance(schema, list):
        return [*map(_with_finite_floats, schema)]
    return schema
