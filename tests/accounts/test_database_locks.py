"""A process that has one SQLite database open twice keeps its locks, and so what it commits."""

import subprocess
import sys
from pathlib import Path

from tidegate.accounts.database import open_database, touch, url_in

ELSEWHERE = """
import sys
from tidegate.accounts.database import open_database, touch
database = open_database(sys.argv[1])
with database.writing() as connection:
    touch(connection)
print(database.version())
database.close()
"""


def in_another_process(url: str) -> int:
    """Write, read and leave, as a command of the operator's does."""
    done = subprocess.run([sys.executable, "-c", ELSEWHERE, url], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_what_is_committed_after_a_second_opening_is_not_lost(tmp_path: Path) -> None:
    """Else the other process deletes the write-ahead log under us, and sees nothing of what we write into it."""
    url = url_in(tmp_path)
    first = open_database(url)
    before = first.version()
    second = open_database(url)
    second.version()
    assert in_another_process(url) == before + 1
    for database in (first, second):
        with database.writing() as connection:
            touch(connection)
    assert in_another_process(url) == before + 4
    assert first.version() == second.version() == before + 4
    first.close()
    second.close()
