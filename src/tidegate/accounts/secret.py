"""The installation's secret, and what is made of it: the stored form of keys."""

import hashlib
import os
import re
import secrets
import time
from pathlib import Path

from tidegate.core.errors import ConfigError

SECRET_BYTES = 32
SECRET_TEXT = re.compile(rf"[0-9a-f]{{{2 * SECRET_BYTES}}}")


def hash_secret(pepper: bytes, secret: bytes) -> bytes:
    """The stored form of a key."""
    return hashlib.blake2b(secret, key=pepper, digest_size=32).digest()


def hint_of(secret: str) -> str:
    """What shows in lists: too little to guess the rest by."""
    return f"{secret[:9]}...{secret[-4:]}" if len(secret) >= 24 else "(given)"


def read_secret(home: Path, file: str = "") -> bytes:
    """The installation's secret (`secret` in the home, or another file; 0600), made at first use.

    Raises ConfigError for a damaged one: a new secret would silently lock every key out.
    """
    return read_random(Path(file).expanduser() if file else home / "secret", "make new keys")


def read_random(path: Path, mend: str) -> bytes:
    """32 random bytes as hex digits in a file that nobody else may read, made at first use.

    mend: what is left to do where the file was removed. Raises ConfigError for a damaged one.
    """
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(made, "w") as file:
            file.write(secrets.token_hex(SECRET_BYTES) + "\n")
    for _ in range(50):  # another process may be writing it this moment
        text = path.read_text(errors="replace").strip()
        if SECRET_TEXT.fullmatch(text):
            return bytes.fromhex(text)
        time.sleep(0.01)
    raise ConfigError(f"{path} is damaged: {2 * SECRET_BYTES} hex digits expected. Restore it, or remove it and {mend}")
