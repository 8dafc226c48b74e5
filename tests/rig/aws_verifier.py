"""Checks Signature Version 4 as AWS's servers do, from the bytes on the wire and the secret: no code of botocore's.

Written after "Create a signed AWS API request" of the IAM user guide.
"""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote, unquote


def signature(request: bytes, secrets: Mapping[str, str]) -> tuple[str, str]:
    """The signature that a request claims, and the one that its bytes deserve."""
    head, _, body = request.partition(b"\r\n\r\n")
    line, *raw = head.decode("latin-1").split("\r\n")
    method, target, _ = line.split(" ")
    headers = {name.lower(): " ".join(value.split()) for name, _, value in (item.partition(":") for item in raw)}
    scheme, _, rest = headers["authorization"].partition(" ")
    assert scheme == "AWS4-HMAC-SHA256"
    claims = dict(item.strip().split("=", 1) for item in rest.split(","))
    key_id, day, region, service, last = claims["Credential"].split("/")
    assert last == "aws4_request"
    assert headers["x-amz-date"].startswith(day)
    signed = claims["SignedHeaders"].split(";")
    assert "host" in signed
    assert all(name in signed for name in headers if name.startswith("x-amz-"))
    body_hash = hashlib.sha256(body).hexdigest()
    assert headers.get("x-amz-content-sha256", body_hash) == body_hash
    path, _, query = target.partition("?")
    canonical = "\n".join(
        (
            method,
            quote(path, safe="/-_.~"),  # the path as it is sent, encoded once more
            "&".join(sorted(f"{quote(unquote(n), safe='-_.~')}={quote(unquote(v), safe='-_.~')}"
                            for n, _, v in (pair.partition("=") for pair in query.split("&")) if n)),
            *(f"{name}:{headers[name]}" for name in signed),
            "",
            ";".join(signed),
            body_hash,
        )
    )  # fmt: skip
    scope = f"{day}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"AWS4" + secrets[key_id].encode()
    for piece in (day, region, service, "aws4_request"):
        key = hmac.new(key, piece.encode(), hashlib.sha256).digest()
    return claims["Signature"], hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
