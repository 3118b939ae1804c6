"""Places that go wrong on purpose: a small file system, a folder without permission, a process with few rights.

Everything is mounted in a mount namespace of the test process alone, so nothing is left when it ends.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_CLONE_NEWNS = 0x00020000


@cache
def why_no_mounts() -> str:
    """Why nothing can be mounted here; empty when it can. The first call goes into a namespace of its own."""
    if os.geteuid() != 0:
        return "mounting needs root"
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(_CLONE_NEWNS):
        return f"no mount namespace: {os.strerror(ctypes.get_errno())}"
    done = subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, text=True, check=False)
    return done.stderr.strip()


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A tmpfs of this size (as mount has it: "4m") at a new folder."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """A folder on which nothing can be written, not even by root."""
    subprocess.run(["mount", "--bind", str(place), str(place)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path, spare: int = 0) -> Path:
    """A file that takes all the room but this: the file, to be removed."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as out:
        for size in (1 << 20, 1 << 16, 1 << 12):
            try:
                while True:
                    out.write(b"\0" * size)
            except OSError:
                continue
        if spare:
            out.truncate(out.tell() - spare)
    return filler


def as_somebody() -> tuple[str, ...]:
    """What to put before a command so that permissions of files hold for it even when root runs it."""
    if os.geteuid() != 0:
        return ()
    return "setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"


def few_files(most: int) -> tuple[str, ...]:
    """What to put before a command so that it may open so many files at most."""
    return "prlimit", f"--nofile={most}:{most}", "--"


def few_watches(most: int) -> tuple[str, ...]:
    """What to put before a command so that the kernel gives it so many inotify watches at most."""
    script = f'echo {most} > /proc/sys/user/max_inotify_watches && exec "$@"'
    return "unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"


@cache
def why_no_ext4() -> str:
    """Why no file system of ext4 can be mounted and be made to fail here; empty when it can."""
    if not Path("/sys/fs/ext4").is_dir() or not list(Path("/sys/fs/ext4").glob("*/trigger_fs_error")):
        return "the kernel has no ext4, or one that cannot be made to fail"
    if not Path("/dev/loop-control").exists():
        return "there are no loop devices"
    return "" if shutil.which("mkfs.ext4") else "mkfs.ext4 is not installed"


@contextmanager
def ext4_disk(place: Path, image: Path) -> Iterator[str]:
    """A file system in an image file, made if missing, that turns read-only when it finds an error: its device."""
    place.mkdir(exist_ok=True)
    if image.exists():
        subprocess.run(["e2fsck", "-fp", str(image)], capture_output=True, check=False)
    else:
        image.write_bytes(b"")
        os.truncate(image, 48 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop,errors=remount-ro", str(image), str(place)], check=True)
    try:
        done = subprocess.run(["findmnt", "-no", "SOURCE", str(place)], capture_output=True, text=True, check=True)
        yield Path(done.stdout.strip()).name
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fail(device: str) -> None:
    """Let an ext4 file system find an error."""
    Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1")
