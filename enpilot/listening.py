"""Addresses that a service of ours listens on."""

from __future__ import annotations

import ipaddress
import socket

from enpilot.errors import ConfigurationError

__all__ = ["AddressRefusedError", "is_loopback", "listen"]


class AddressRefusedError(ConfigurationError):
    """The address cannot be listened on; names service, host, port and the system's reason."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(service: str, host: str, port: int) -> socket.socket:
    """Return a socket that listens, before anything slow is loaded.

    Parameters
    ----------
    service
        Who listens, for the message of an error.
    host, port
        Where; port 0 is a free one.

    Raises
    ------
    AddressRefusedError
        If there is no such address, another program listens there, or we may not.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, OverflowError) as error:
        raise AddressRefusedError(f"{service}: no address {host} port {port}: {error}") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        raise AddressRefusedError(
            f"{service}: cannot listen on {host} port {port}: {error}; choose another with --port"
        ) from error
    return listening
