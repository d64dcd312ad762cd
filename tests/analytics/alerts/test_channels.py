"""Addresses, secrets, refusals, who gets what when, and the order of a channel."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.alerts.delivery.channels import AppriseChannel, redacted
from analytics.alerts.delivery.letters import letter_of_test
from analytics.alerts.delivery.recipients import Addressed, is_quiet, load_recipients
from analytics.alerts.delivery.schedule import WAITS, Waiting, next_for, wait_after
from analytics.alerts.delivery_cli import send_test_messages
from analytics.errors import ChannelError
from analytics.settings import AlertSettings, ChannelSettings, GroupSettings
from enpilot.errors import PermanentError
from enpilot.settings import SettingsError, load_settings
from tests.analytics.alerts.receivers import Mailbox, Webhook, mailbox, webhook

NOW = dt.datetime(2026, 3, 2, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
TOKEN = "a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6a7b8c9d0a1b2"
LETTER = letter_of_test("zh", "duty", "robot")


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as one:
        yield one


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as one:
        yield one


def channel(address: str, timeout_s: float = 10.0) -> AppriseChannel:
    return AppriseChannel("robot", address, "TEST_ROBOT", "auto", timeout_s)


@pytest.mark.parametrize(
    ("address", "form"),
    [
        (f"dingtalk://{TOKEN}/", "markdown"),
        ("wecombot://1a2b3c4d-1a2b-1a2b-1a2b-1a2b3c4d5e6f/", "text"),
        ("feishu://1a2b3c4d-1a2b-1a2b-1a2b-1a2b3c4d5e6f/", "text"),
        ("lark://1a2b3c4d-1a2b-1a2b-1a2b-1a2b3c4d5e6f/", "text"),
        ("mailto://mail.example.org/?from=a@example.org&to=b@example.org", "text"),
        ("jsons://hooks.example.org/alerts", "text"),
        ("bulksms://user:password/+8613800000000", "short"),
    ],
)
def test_each_kind_of_service_is_known_and_gets_its_form(address: str, form: str) -> None:
    assert channel(address)._form == form


# Each answers 200 to what it refuses.
@pytest.mark.parametrize(
    ("address", "where", "answer"),
    [
        (f"dingtalk://{TOKEN}/", "notify_url", b'{"errcode": 310000, "errmsg": "no keyword"}'),
        (
            "wecombot://1a2b3c4d-1a2b-1a2b-1a2b-1a2b3c4d5e6f/",
            "api_url",
            b'{"errcode": 93000, "errmsg": "no keyword"}',
        ),
        (
            "feishu://1a2b3c4d-1a2b-1a2b-1a2b-1a2b3c4d5e6f/",
            "notify_url",
            b'{"code": 19024, "msg": "no keyword"}',
        ),
        (
            "lark://1a2b3c4d-1a2b-1a2b-1a2b-1a2b3c4d5e6f/",
            "webhook_url",
            b'{"code": 19024, "msg": "no keyword"}',
        ),
    ],
)
def test_a_robot_that_refuses_with_200_did_not_take_it(
    hook: Webhook, address: str, where: str, answer: bytes
) -> None:
    robot = channel(address)
    service: Any = robot._service
    setattr(service, where, f"http://127.0.0.1:{hook.port}/{{token}}")
    service.request_rate_per_sec = 0
    hook.answers = [(200, answer), (200, b'{"errcode": 0, "code": 0}'), (200, b"ok")]
    with pytest.raises(ChannelError, match="no keyword"):
        robot.send(LETTER)
    robot.send(LETTER)
    robot.send(LETTER)
    assert hook.asked == 3


@pytest.mark.parametrize(
    "address", ["nonsense", f"nosuch://{TOKEN}/", "dingtalk://", "mailto://:secret-word@"]
)
def test_an_address_that_is_none_is_refused_without_being_shown(address: str) -> None:
    with pytest.raises(SettingsError, match="TEST_ROBOT: not an apprise address") as refusal:
        channel(address)
    assert TOKEN not in str(refusal.value)
    assert "secret-word" not in str(refusal.value)


def test_no_secret_of_an_address_is_said(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ChannelError) as refusal:
        channel(f"json://operator:{TOKEN}@127.0.0.1:1/{TOKEN}?-key=other-secret").send(LETTER)
    assert str(refusal.value) == "A Connection error occurred sending JSON notification to ***."
    said = "".join(capfd.readouterr())
    assert TOKEN not in said
    assert "other-secret" not in said


@given(st.text("abz09%4@ +é", min_size=3, max_size=12), st.sampled_from(["user", "path", "query"]))
def test_whatever_the_secret_a_sentence_with_it_is_said_without(secret: str, where: str) -> None:
    written = quote(secret, safe="")
    address = {
        "user": f"json://me:{written}@127.0.0.1:1/",
        "path": f"json://127.0.0.1:1/{written}/",
        "query": f"json://127.0.0.1:1/?-key={written}",
    }[where]
    for form in (secret, written):
        said = redacted(f"Failed at |{form}|.", channel(address)._secrets)
        assert f"|{form}|" not in said


def test_a_receiver_that_hangs_is_given_up(hook: Webhook) -> None:
    hook.open.clear()
    with pytest.raises(ChannelError):
        channel(hook.address, timeout_s=0.2).send(LETTER)
    hook.open.set()


def of(**said: Any) -> GroupSettings:
    return GroupSettings(name="duty", channel=[ChannelSettings(name="c", url_env="X")], **said)


@pytest.mark.parametrize(
    ("local", "severity", "kind", "quiet"),
    [
        ("21:59", "note", "firing", False),
        ("22:00", "note", "firing", True),
        ("06:59", "note", "resolved", True),
        ("07:00", "note", "firing", False),
        ("12:30", "note", "firing", True),
        ("23:00", "warning", "firing", False),
        ("23:00", "fault", "firing", False),
        ("23:00", "note", "morning", False),
    ],
)
def test_quiet_hours(local: str, severity: str, kind: str, quiet: bool) -> None:
    zone = ZoneInfo("Asia/Shanghai")
    at = dt.datetime.combine(dt.date(2026, 3, 2), dt.time.fromisoformat(local), zone)
    group = of(quiet_hours=["22:00-07:00", "12:00-13:00"])
    assert is_quiet(group, Addressed(kind, severity, "works", ""), at, zone) is quiet


def test_settings_name_groups_and_their_secrets_come_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: Webhook, box: Mailbox,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    secret = tmp_path / "hook"
    secret.write_text(f"{hook.address}{TOKEN}\n", "utf-8")
    monkeypatch.setenv("TEST_MAIL", box.address)
    file = tmp_path / "alerts.toml"
    file.write_text(
        '[[group]]\nname = "duty"\nlanguage = "zh"\n'
        '[[group.channel]]\nname = "mail"\nurl_env = "TEST_MAIL"\n'
        f'[[group.channel]]\nname = "hook"\nurl_file = "{secret}"\n'
        '[[group]]\nname = "managers"\n[[group.channel]]\nname = "mail"\nurl_env = "TEST_MAIL"\n',
        "utf-8",
    )
    send_test_messages(file, group="duty")
    assert capsys.readouterr().out.split() == ["group", "channel", "duty", "mail", "sent", "duty",
                                               "hook", "sent"]  # fmt: skip
    assert box.mails[0]["Subject"] == "【测试】告警通道畅通"
    hook.answers = [(403, b"")]
    with pytest.raises(PermanentError, match="1 of 3 channels"):
        send_test_messages(file)
    said = capsys.readouterr().out
    assert "error=403" in said
    assert TOKEN not in said


@pytest.mark.parametrize(
    ("channels", "sentence"),
    [
        ([ChannelSettings(name="a")], "one of `url_env`, `url_file` and `mqtt` is needed"),
        ([ChannelSettings(name="a", mqtt=True, url_env="X")], "is needed"),
        ([ChannelSettings(name="a", url_env="TEST_NOT_SET")], "TEST_NOT_SET holds no address"),
        ([ChannelSettings(name="a", url_file=Path("/nowhere"))], "/nowhere: No such file"),
        ([ChannelSettings(name="a", mqtt=True)] * 2, "is there twice"),
    ],
)
def test_a_channel_that_cannot_be_is_refused(
    channels: list[ChannelSettings], sentence: str
) -> None:
    settings = AlertSettings(group=[GroupSettings(name="duty", channel=channels)])
    with pytest.raises(SettingsError, match=sentence):
        load_recipients(settings)


def test_a_secret_in_the_settings_file_is_no_setting(tmp_path: Path) -> None:
    file = tmp_path / "alerts.toml"
    file.write_text(
        '[[group]]\nname = "duty"\n[[group.channel]]\nname = "m"\nurl = "json://x/"\n', "utf-8"
    )
    with pytest.raises(SettingsError, match="url"):
        load_settings(file, AlertSettings)


def test_addresses_of_the_variable_are_one_group_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENPILOT_ALERT_URLS", "json://127.0.0.1:1/ json://127.0.0.1:2/")
    (group,) = load_recipients(AlertSettings())
    assert [c.name for c in group.channels] == ["json-1", "json-2"]
    monkeypatch.delenv("ENPILOT_ALERT_URLS")
    assert load_recipients(AlertSettings()) == []


def test_waits_grow_and_stay() -> None:
    minutes = [wait_after(n) / MINUTE for n in range(1, 7)]
    assert minutes == [1, 5, 15, 60, 60, 60]


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 5))
def test_a_channel_that_is_down_for_a_while_gets_all_in_order(down: list[bool], count: int) -> None:
    """Whatever the outage, what it takes at last comes in order, and nothing twice."""
    waiting = {n: Waiting(n) for n in range(count)}
    taken: list[int] = []
    now = NOW
    steps = [*down, *([False] * (count + len(WAITS)))]
    for is_down in steps:
        while (chosen := next_for([waiting[n] for n in sorted(waiting)], now)) is not None:
            held = waiting.pop(chosen)
            if not is_down:
                taken.append(chosen)
                continue
            attempts = held.attempts + 1
            waiting[chosen] = Waiting(chosen, attempts, now + wait_after(attempts), now)
        now += 60 * MINUTE
    assert taken == list(range(count))


def test_a_message_that_alone_is_refused_holds_up_nobody() -> None:
    later = NOW + 60 * MINUTE
    bad = Waiting(1, len(WAITS), later, NOW)
    assert next_for([bad, Waiting(2), Waiting(3)], NOW) == 2  # one behind it is tried too
    refused = Waiting(2, 1, NOW + MINUTE, NOW)
    assert next_for([bad, refused, Waiting(3)], NOW + MINUTE) is None  # so the channel is down
    again = Waiting(1, len(WAITS) + 1, later + 60 * MINUTE, later)
    assert next_for([again, refused, Waiting(3)], later) == 3  # another one, next time
    overtaken = Waiting(1, len(WAITS), later, NOW, overtaken=True)
    assert next_for([overtaken, Waiting(3)], NOW) == 3
    assert next_for([overtaken], NOW) is None
    assert next_for([overtaken], later) == 1
