"""Settings: one TOML file for each service, typed; secrets come from the environment only."""

from __future__ import annotations

import os
import ssl
import tomllib
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from enpilot.errors import ConfigurationError

__all__ = ["MqttSettings", "SettingsError", "load_settings", "require_environment"]

_Settings = TypeVar("_Settings", bound=msgspec.Struct)


class SettingsError(ConfigurationError):
    """A settings file or an environment variable that cannot be used."""


class MqttSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How to reach the broker; the password comes from the environment, never from a file.

    TLS begins with ``tls_ca_file``, the authority of the broker's certificate. Who is known to the
    broker by a certificate of its own names it and its key.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 1883
    username: str | None = None
    password_variable: str = "ENPILOT_MQTT_PASSWORD"  # noqa: S105  # a name, not a password
    tls_ca_file: Path | None = None
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    protocol: Literal["3.1.1", "5"] = "3.1.1"
    keepalive_s: Annotated[int, Meta(ge=1, le=65535)] = 30

    def password(self) -> str | None:
        """Return the password from the environment, None if none is set."""
        return os.environ.get(self.password_variable)

    def tls_context(self) -> ssl.SSLContext | None:
        """Return how the connection is secured, None without TLS.

        Raises
        ------
        SettingsError
            If a file cannot be used, or a certificate is named without the authority or its key.
        """
        if self.tls_ca_file is None:
            if self.tls_cert_file is not None or self.tls_key_file is not None:
                raise SettingsError("a certificate needs `tls_ca_file` too - at `$.mqtt`")
            return None
        try:
            context = ssl.create_default_context(cafile=str(self.tls_ca_file))
        except OSError as error:  # also what ssl raises for a file without certificates
            raise SettingsError(
                f"{self.tls_ca_file}: no certificates of an authority can be read: {error} - at "
                "`$.mqtt.tls_ca_file`"
            ) from error
        if self.tls_cert_file is None:
            if self.tls_key_file is not None:
                raise SettingsError("a key needs its certificate - at `$.mqtt.tls_cert_file`")
            return context
        try:
            context.load_cert_chain(self.tls_cert_file, self.tls_key_file, password=_no_password)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"{self.tls_cert_file}: the certificate and its key "
                f"({self.tls_key_file or 'in the same file'}) cannot be used: {error} - at "
                "`$.mqtt.tls_cert_file`"
            ) from error
        return context


def load_settings(file: Path | None, kind: type[_Settings]) -> _Settings:
    """Read a settings file.

    Parameters
    ----------
    file
        A TOML file, or None for the defaults.
    kind
        The structure to read; unknown keys are refused if it forbids them.

    Raises
    ------
    SettingsError
        With file, path in the file and what is wrong there.
    """
    try:
        document = tomllib.loads(file.read_text("utf-8")) if file is not None else {}
        return msgspec.convert(document, kind, dec_hook=_path)
    except FileNotFoundError as error:
        raise SettingsError(f"{file}: there is no such file") from error
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: not TOML in UTF-8: {error}") from error
    except msgspec.ValidationError as error:
        raise SettingsError(f"{file or 'defaults'}: {error}") from error


def require_environment(variable: str, purpose: str) -> str:
    """Return an environment variable that must be set.

    Raises
    ------
    SettingsError
        Naming the variable and what it is for.
    """
    value = os.environ.get(variable, "")
    if not value:
        raise SettingsError(f"set {variable}: {purpose}")
    return value


def _no_password() -> str:
    # Otherwise OpenSSL asks on the terminal, which a service does not have.
    raise ValueError("the key is encrypted; give one that is not, readable by the service alone")


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    # msgspec adds the path in the file to a ValueError, and to no other.
    raise ValueError(f"Expected `str`, got `{type(value).__name__}`")
