"""python -m tests.fuzz TARGET FOLDER [libFuzzer's options]: atheris at one target; what it finds lies in FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mailpost"]):
    from tests.fuzz.targets import TARGETS


def escaped(word: bytes) -> str:
    """As libFuzzer's dictionaries have it."""
    return "".join(f"\\x{octet:02x}" for octet in word)


def main(name: str, folder: Path, *options: str) -> None:
    """Fuzz until the options end it."""
    target = TARGETS[name]
    known = folder / "known"
    known.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (known / f"seed{number}").write_bytes(seed)
    words = folder / "words"
    words.write_text("".join(f'"{escaped(word)}"\n' for word in target.words))
    arguments = [sys.argv[0], f"-dict={words}", f"-artifact_prefix={folder}/", "-max_len=2000", *options, str(known)]
    atheris.Setup(arguments, target.play)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
