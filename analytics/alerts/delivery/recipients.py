"""Who gets which message: groups of people, their channels, and when notes wait."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from analytics.alerts.delivery.broker import BrokerChannel
from analytics.alerts.delivery.channels import AppriseChannel, Channel
from analytics.settings import AlertSettings, ChannelSettings, GroupSettings
from enpilot.settings import SettingsError

__all__ = ["Addressed", "Recipients", "is_quiet", "load_recipients", "named_groups", "receivers"]

_DEFAULT_GROUP = "default"


@dataclass(frozen=True, slots=True)
class Recipients:
    """A group of people, and the channels that reach it."""

    settings: GroupSettings
    channels: Sequence[Channel]


@dataclass(frozen=True, slots=True)
class Addressed:
    """What decides who gets a message; ``named``: what its rule says of recipients."""

    kind: str
    severity: str
    site: str
    named: str


def load_recipients(settings: AlertSettings) -> list[Recipients]:
    """Return the groups of the settings, with addresses from the environment and from files.

    Parameters
    ----------
    settings
        As written.

    Returns
    -------
    list of Recipients
        One for all messages if the settings name none but the variable holds addresses.

    Raises
    ------
    SettingsError
        If an address is missing or no service of apprise; addresses are not shown. F38.
    """
    if settings.group:
        names = [g.name for g in settings.group]
        for group in settings.group:
            channels = [c.name for c in group.channel]
            if names.count(group.name) > 1 or len(set(channels)) < len(channels):
                raise SettingsError(f"group {group.name!r} or one of its channels is there twice")
        return [
            Recipients(g, [_channel(settings, g, c) for c in g.channel]) for g in settings.group
        ]
    addresses = os.environ.get(settings.notify_variable, "").split()
    if not addresses:
        return []
    names = [f"{a.split(':')[0].lower()}-{n}" for n, a in enumerate(addresses, 1)]
    group = GroupSettings(
        name=_DEFAULT_GROUP,
        channel=[ChannelSettings(name=n, url_env=settings.notify_variable) for n in names],
    )
    where = settings.notify_variable
    return [
        Recipients(
            group,
            [
                AppriseChannel(name, address, where, "auto", settings.timeout_s)
                for name, address in zip(names, addresses, strict=True)
            ],
        )
    ]


def _channel(settings: AlertSettings, group: GroupSettings, channel: ChannelSettings) -> Channel:
    where = f"group {group.name!r}, channel {channel.name!r}"
    given = [channel.url_env is not None, channel.url_file is not None, channel.mqtt]
    if sum(given) != 1:
        raise SettingsError(f"{where}: one of `url_env`, `url_file` and `mqtt` is needed")
    if channel.mqtt:
        return BrokerChannel(channel.name, settings.mqtt, settings.timeout_s)
    if channel.url_env is not None:
        address, source = os.environ.get(channel.url_env, ""), channel.url_env
    else:
        assert channel.url_file is not None
        source = str(channel.url_file)
        try:
            address = channel.url_file.read_text("utf-8")
        except OSError as error:
            raise SettingsError(f"{where}: {source}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SettingsError(f"{where}: {source}: not UTF-8") from error
    if not address.strip():
        raise SettingsError(f"{where}: {source} holds no address")
    return AppriseChannel(
        channel.name, address.strip(), f"{where}: {source}", channel.form, settings.timeout_s
    )


def receivers(groups: Sequence[Recipients], message: Addressed) -> list[Recipients]:
    """Return the groups that get a message.

    Parameters
    ----------
    groups
        All of them.
    message
        What it is.

    Returns
    -------
    list of Recipients
        Those that the rule names, of any severity; if it names none, or none that there is, those
        that take the severity. Always those of the site only (F38).
    """
    of_site = [
        g for g in groups if not g.settings.sites or message.site in g.settings.sites
    ]  # fmt: skip
    if message.kind == "morning":
        return [g for g in of_site if g.settings.morning]
    named = [g for g in of_site if g.settings.name in named_groups(message.named)]
    return named or [
        g for g in of_site
        if not g.settings.severities or message.severity in g.settings.severities
    ]  # fmt: skip


def named_groups(recipients: str) -> frozenset[str]:
    """Return the names in what a rule says of recipients.

    Parameters
    ----------
    recipients
        Names with commas or spaces between.

    Returns
    -------
    frozenset of str
        None if it says nothing (F38).
    """
    return frozenset(re.split(r"[\s,;，；、]+", recipients)) - {""}


def is_quiet(group: GroupSettings, message: Addressed, at: dt.datetime, zone: ZoneInfo) -> bool:
    """Tell whether a message waits for the end of a group's quiet hours.

    Parameters
    ----------
    group
        Its settings.
    message
        Only notes of rules wait.
    at, zone
        The instant, and the site's zone.

    Returns
    -------
    bool
        Never of warnings and faults (F38).
    """
    if message.severity != "note" or message.kind in ("morning", "test"):
        return False
    local = at.astimezone(zone)
    minute = local.hour * 60 + local.minute
    for hours in group.quiet_hours:
        low, high = (int(h) * 60 + int(m) for h, m in (p.split(":") for p in hours.split("-")))
        inside = low <= minute < high if low < high else minute >= low or minute < high
        if inside:
            return True
    return False
