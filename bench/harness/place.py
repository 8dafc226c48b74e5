"""Where a subject finds its provider, and the certificates of a provider that speaks TLS."""

from pathlib import Path

import msgspec
import trustme


class Place(msgspec.Struct, frozen=True):
    """A provider on loopback. ca_file: PEM of the authority that signed its certificate; None without TLS."""

    port: int
    ca_file: Path | None = None

    @property
    def origin(self) -> str:
        return f"{'https' if self.ca_file else 'http'}://127.0.0.1:{self.port}"


class Certificates(msgspec.Struct, frozen=True):
    """ca_file: what the subject trusts; chain_file: key and certificate of the provider, P-256, in one PEM."""

    ca_file: Path
    chain_file: Path


def make_certificates(folder: Path) -> Certificates:
    """An authority of this run, and a certificate for 127.0.0.1 and localhost."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificates(folder / "ca.pem", folder / "provider.pem")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(made.ca_file))
    leaf = authority.issue_cert("127.0.0.1", "localhost")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(made.chain_file))
    return made
