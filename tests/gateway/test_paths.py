"""Every path that is a model call, in whatever version of its maker's, needs a key and is served."""

from collections.abc import Iterator

import httpx2 as httpx
import pytest

from conformance.home import start_before
from conformance.mock_provider import MockProvider
from rig.gateway import Gateway

PROMPT = {"contents": [{"role": "user", "parts": [{"text": "What is two and two?"}]}]}
CALL = "models/some-model:generateContent"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with MockProvider() as mock:
        running = start_before(mock, tmp_path_factory.mktemp("home"), {"mock-chat": ["some-model"]})
        yield running
        running.stop()


@pytest.mark.parametrize(
    "root", ["/v1", "/v1beta", "/v1alpha", "/api/v1beta", "/v1beta1/projects/p/locations/l/publishers/google"]
)
def test_googles_paths_of_every_version_need_a_key_and_are_served(gateway: Gateway, root: str) -> None:
    """Google's SDKs take the version of the API as an option, and Vertex has its own."""
    path = f"{gateway.url}{root}/{CALL}"
    refused = httpx.post(path, json=PROMPT)
    assert (refused.status_code, refused.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    served = httpx.post(path, headers=gateway.headers, json=PROMPT)
    assert served.status_code == 200, served.text
    assert served.json()["candidates"][0]["content"]["parts"][0]["text"] == "Two and two are four."
