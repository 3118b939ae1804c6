"""python -m tests.fuzz TARGET FOLDER SECONDS [libFuzzer's options]: atheris at one target; its finds lie in FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mailpost"]):
    from tests.fuzz.target import Watched
    from tests.fuzz.targets import TARGETS


def escaped(word: bytes) -> str:
    """As libFuzzer's dictionaries have it."""
    return "".join(f"\\x{octet:02x}" for octet in word)


def main(name: str, folder: Path, seconds: int, *options: str) -> None:
    """Fuzz for so long."""
    target = TARGETS[name]
    known = folder / "known"
    known.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (known / f"seed{number}").write_bytes(seed)
    words = folder / "words"
    words.write_text("".join(f'"{escaped(word)}"\n' for word in target.words))
    arguments = [
        sys.argv[0],
        f"-dict={words}",
        f"-artifact_prefix={folder}/",
        f"-max_total_time={seconds}",
        "-max_len=2000",
        "-rss_limit_mb=0",  # the watch looks at memory
        "-timeout=30",  # of the wall's clock: what truly hangs; the watch looks at the processor's
        *options,
        str(known),
    ]
    atheris.Setup(arguments, Watched(target.play, seconds))
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
