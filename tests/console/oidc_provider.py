"""A small OpenID provider as a process of its own: discovery, authorization, token and keys, and the faults it is told.

Run as a program: prints its port. `POST /control` with a JSON object changes how it behaves from then on:
claims: laid over those of the next ID tokens; header: likewise; key: which of its keys signs; hidden_keys: not in its
JWK set; algorithm; email, sub, name: who signs in; document: laid over the discovery document; deny: true refuses.
`GET /control` tells how often each path was asked.
"""

import asyncio
import base64
import hashlib
import secrets
import time
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OctKey, RSAKey

CLIENT_ID, CLIENT_SECRET = "tidegate-test", "s3cret/with:odd chars"
PERSON = {"sub": "person-1", "email": "ada@example.com", "email_verified": True, "name": "Ada"}


class Provider:
    def __init__(self) -> None:
        self.issuer = ""
        self.control: dict[str, Any] = {}
        self.asked: dict[str, int] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.keys: dict[str, Key] = {
            "rsa": RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"}, private=True),
            "ec": ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"}, private=True),
            "stranger": RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"}, private=True),
            "shared": OctKey.import_key(CLIENT_SECRET, {"kid": "shared"}),
        }

    @web.middleware
    async def count(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked[request.path] = self.asked.get(request.path, 0) + 1
        return await handler(request)

    async def set_control(self, request: web.Request) -> web.Response:
        self.control = await request.json()
        return web.json_response({})

    async def get_control(self, _: web.Request) -> web.Response:
        return web.json_response(self.asked)

    async def discovery(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize?tenant=x",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                **self.control.get("document", {}),
            }
        )

    async def jwks(self, _: web.Request) -> web.Response:
        hidden = {"stranger", "shared", *self.control.get("hidden_keys", ())}
        shown = [key.as_dict(private=False) for name, key in self.keys.items() if name not in hidden]
        return web.json_response({"keys": [*shown, {"kty": "quantum", "kid": "q"}]})

    async def authorize(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        assert query["response_type"] == "code" and query["code_challenge_method"] == "S256"
        assert query["client_id"] == CLIENT_ID and "openid" in query["scope"].split() and query["tenant"] == "x"
        back = {"state": query["state"], "iss": self.issuer}
        if self.control.get("deny"):
            back["error"] = "access_denied"
        else:
            back["code"] = secrets.token_urlsafe(16)
            self.codes[back["code"]] = query
        raise web.HTTPFound(f"{query['redirect_uri']}?{urlencode(back)}")

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = self.codes.pop(str(form.get("code")), None)
        verifier = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if asked is None or challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        if not self.knows(request, {name: str(value) for name, value in form.items()}):
            return web.json_response({"error": "invalid_client"}, status=401)
        return web.json_response({"access_token": "a", "token_type": "Bearer", "id_token": self.id_token(asked)})

    def knows(self, request: web.Request, form: dict[str, str]) -> bool:
        head = request.headers.get("authorization", "")
        if head.startswith("Basic "):
            name, _, secret = base64.b64decode(head[6:]).decode().partition(":")
            return (name, secret) == (CLIENT_ID, "s3cret%2Fwith%3Aodd+chars")
        return (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)

    def id_token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **PERSON,
            **self.control.get("claims", {}),
        }
        for name in ("exp", "iat", "nbf"):
            if isinstance(claims.get(name), str):  # "+60": from now
                claims[name] = now + int(claims[name])
        claims = {name: value for name, value in claims.items() if value is not None}
        name = self.control.get("key", "rsa")
        algorithm = self.control.get("algorithm", "ES256" if name == "ec" else "RS256")
        if algorithm == "none":
            parts = (b'{"alg":"none"}', web.json_response(claims).body)
            return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."
        key = self.keys[name]
        header = {"alg": algorithm, "kid": key.kid, **self.control.get("header", {})}
        header = {name: value for name, value in header.items() if value is not None}
        return jwt.encode(header, claims, key, algorithms=[algorithm])


async def main() -> None:
    provider = Provider()
    app = web.Application(middlewares=[provider.count])
    app.router.add_get("/.well-known/openid-configuration", provider.discovery)
    app.router.add_get("/keys", provider.jwks)
    app.router.add_get("/authorize", provider.authorize)
    app.router.add_post("/token", provider.token)
    app.router.add_post("/control", provider.set_control)
    app.router.add_get("/control", provider.get_control)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    provider.issuer = f"http://127.0.0.1:{port}"
    print(port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
