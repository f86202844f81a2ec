"""PEM files of TLS, looked at before gRPC gets them: it says nothing of what is wrong with them."""

import os
import ssl
from pathlib import Path

from ...errors import ServiceError


def read_pair(certificate: Path, key: Path) -> tuple[bytes, bytes]:
    """A certificate and its key; `ServiceError` where they do not belong together, or the key needs a password."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_refuse_password)
    except ssl.SSLError as error:
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        reason = "the key is that of another certificate" if mismatch else f"they are no PEM files ({error.reason})"
        raise ServiceError(f"{certificate} and {key} cannot be used: {reason}") from None
    except OSError as error:
        raise ServiceError(f"{certificate} or {key} cannot be read ({error.strerror})") from None
    return certificate.read_bytes(), key.read_bytes()


def read_authority(source: bytes | str | os.PathLike[str]) -> bytes:
    """The certificates of authorities in a PEM file, or in its bytes; `ServiceError` where there are none."""
    name = "the authority" if isinstance(source, bytes) else str(source)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=data.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError, ValueError):
        raise ServiceError(f"{name} must be the PEM file of an authority's certificate, but is not") from None
    except OSError as error:
        raise ServiceError(f"{name} cannot be read ({error.strerror})") from None
    return data


def _refuse_password() -> str:
    raise ServiceError("the key must not be encrypted: nobody is there to give its password")
