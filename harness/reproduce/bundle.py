"""A run in one file: what replay needs of a run directory, and on demand the history that it is judged by.

Owns what a bundle may hold. It comes from elsewhere: nothing in it is trusted to name a path, and its size is bounded.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from harness.engine.rundir import RunDir
from harness.errors import UnfitEnvironmentError
from harness.report.files import RESULT_FILE
from harness.scenario.plugins import Vocabulary
from harness.session.check_again import saved_run

NEEDED: Final = ("scenario.yaml", "plan.json", "run.json")
"""Without these there is nothing to replay."""
_ALSO: Final = ("facts.json", "manifest.json", RESULT_FILE)
_HISTORY: Final = "history"
_BYTES_MAX: Final = 2_000_000_000
_MEMBERS_MAX: Final = 2_000


def write_bundle(run_dir: Path, to: Path, *, history: bool = False, words: Vocabulary | None = None) -> list[str]:
    """Pack a run directory into a ``.tar.gz``, whole or not at all; return the names of what is in it.

    Args:
        run_dir: The run directory.
        to: The file.
        history: Whether the journals go in, too, so that `harness check` can judge the run elsewhere.
        words: What its scenario may name; None = everything registered.

    Raises:
        UnfitEnvironmentError: It is no run directory whose plan can be made again, or the file cannot be written.
    """
    saved_run(RunDir(run_dir), words)  # a bundle that could not be replayed is none
    names = [name for name in (*NEEDED, *_ALSO) if (run_dir / name).is_file()]
    if history:
        journals = sorted(path for path in (run_dir / _HISTORY).iterdir() if path.is_file() and not path.is_symlink())
        names += [f"{_HISTORY}/{path.name}" for path in journals]
    try:
        with tempfile.NamedTemporaryFile(dir=to.parent, prefix=f".{to.name}.", delete=False) as file:
            place = Path(file.name)
            try:
                # Without times, owners and modes: two bundles of one run are the same file.
                with (
                    gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
                    tarfile.open(fileobj=packed, mode="w") as tar,
                ):
                    for name in names:
                        _add(tar, run_dir.name, name, run_dir / name)
            except BaseException:
                place.unlink()
                raise
        place.chmod(0o644)
        place.replace(to)
    except OSError as error:
        raise UnfitEnvironmentError(f"cannot write {to}: {error.strerror or error}") from error
    return names


def _add(tar: tarfile.TarFile, folder: str, name: str, path: Path) -> None:
    member = tarfile.TarInfo(f"{folder}/{name}")
    member.size = path.stat().st_size
    with path.open("rb") as file:
        tar.addfile(member, file)


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """Give the run directory that a path means: itself, or what a bundle holds, which is gone afterwards.

    Raises:
        UnfitEnvironmentError: The file is no bundle, or holds what a bundle may not.
    """
    if not path.is_file():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="harness-bundle-") as folder:
        run_dir = Path(folder, "run")
        run_dir.mkdir()
        (run_dir / _HISTORY).mkdir()
        try:
            _unpack(path, run_dir)
        except (tarfile.TarError, EOFError, gzip.BadGzipFile, OSError, ValueError) as error:
            raise UnfitEnvironmentError(f"{path} is not a bundle: {error}") from error
        for name in NEEDED:
            if not (run_dir / name).is_file():
                raise UnfitEnvironmentError(f"{path} is not a bundle: it has no {name}")
        yield run_dir


def _unpack(path: Path, run_dir: Path) -> None:
    left = _BYTES_MAX
    with tarfile.open(path, "r:gz") as tar:
        for count, member in enumerate(tar, start=1):
            inner = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            known = str(inner) in {*NEEDED, *_ALSO} or (len(inner.parts) == 2 and inner.parts[0] == _HISTORY)
            if not member.isreg() or not known or ".." in inner.parts:
                raise ValueError(f"it holds {member.name!r}, which no bundle has")
            left -= member.size
            if left < 0 or count > _MEMBERS_MAX:
                raise ValueError(f"it holds more than {_BYTES_MAX:,} bytes or {_MEMBERS_MAX:,} files")
            source = tar.extractfile(member)
            assert source is not None
            with source, (run_dir / inner).open("xb") as target:
                while part := source.read(io.DEFAULT_BUFFER_SIZE * 16):
                    target.write(part)
