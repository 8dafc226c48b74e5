"""Asks the running labeller for its report, over the socket that the gateway's workers use."""

import socket
from pathlib import Path
from typing import Final

import msgspec

from tidegate.core.errors import TidegateError
from tidegate.core.sample import FRAME_HEAD_BYTES, Report, ReportAsk, decode_report, frame

ASK_S: Final = 5.0


def ask_report(path: Path, texts: int = 0) -> Report:
    """Raises TidegateError where no labeller listens, or it does not answer."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ASK_S)
            connection.connect(str(path))
            connection.sendall(frame(ReportAsk(texts)))
            with connection.makefile("rb") as file:
                size = int.from_bytes(file.read(FRAME_HEAD_BYTES), "big")
                return decode_report(file.read(size))
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise TidegateError(f"no labeller listens at {path}; `tidegate serve` or `tidegate up` starts it") from error
    except TimeoutError as error:
        raise TidegateError(f"the labeller at {path} did not answer within {ASK_S:g} s") from error
    except (OSError, msgspec.MsgspecError) as error:
        raise TidegateError(f"the labeller at {path} cannot be asked: {error}") from error
