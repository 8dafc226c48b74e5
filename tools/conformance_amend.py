"""A pytest plugin of `tools/conformance.py`: amends requests of an SDK's own tests where the gateway must refuse them.

What is amended stands in tools/conformance.toml (`[[amend]]`, with its reason) and comes here in CONFORMANCE_AMEND.
The tests stay as they are: what they assert of the reply is still theirs.
"""

import json
import os
from typing import Any

AMENDMENTS: list[dict[str, Any]] = json.loads(os.environ.get("CONFORMANCE_AMEND", "[]"))


def pytest_configure() -> None:
    if not AMENDMENTS:
        return
    from openai._base_client import BaseClient

    build: Any = BaseClient._build_request

    def amended(self: Any, options: Any, **more: Any) -> Any:
        for entry in AMENDMENTS:
            if options.method == "post" and options.url == entry["path"] and isinstance(options.json_data, dict):
                kept = {name: value for name, value in options.json_data.items() if name not in entry.get("drop", ())}
                options.json_data = entry.get("default", {}) | kept
        return build(self, options, **more)

    BaseClient._build_request = amended  # type: ignore[method-assign]
