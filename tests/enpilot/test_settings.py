"""Settings files: every mistake is one SettingsError that names the file and the place in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.settings import EdgeSettings
from enpilot.settings import MqttSettings, SettingsError, load_settings, require_environment

REPOSITORY = Path(__file__).parents[2]
GOOD = 'plant = "plant.toml"\nagent = "gateway-1"\noutbox = "outbox.sqlite"\n'


def write(folder: Path, text: str) -> Path:
    file = folder / "agent.toml"
    file.write_text(text, "utf-8")
    return file


def test_left_out_keys_have_their_defaults(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD), EdgeSettings)
    assert settings.plant == Path("plant.toml")
    assert (settings.batch_s, settings.batch_readings, settings.limits.keep_confirmed_h) == (
        5,
        2000,
        72,
    )
    assert settings.mqtt.port == 1883
    assert settings.uplink.window == 32  # D13


def test_no_file_means_the_defaults() -> None:
    assert load_settings(None, MqttSettings) == MqttSettings()


def test_the_shipped_example_is_complete_and_says_the_defaults() -> None:
    shipped = load_settings(REPOSITORY / "deploy" / "edge" / "agent.toml", EdgeSettings)
    plain = EdgeSettings(plant=shipped.plant, agent=shipped.agent, outbox=shipped.outbox)
    for key in ("batch_s", "batch_readings", "drain_s"):
        assert getattr(shipped, key) == getattr(plain, key), key


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (GOOD + "bacth_s = 5\n", "unknown field `bacth_s`"),
        (GOOD + "[mqtt]\npost = 1883\n", "unknown field `post` - at `$.mqtt`"),
        (GOOD + '[mqtt]\nport = "1883"\n', "Expected `int`, got `str` - at `$.mqtt.port`"),
        (GOOD + "[mqtt]\nport = 70000\n", "`$.mqtt.port`"),
        (GOOD + "[uplink]\nwindow = 0\n", "`$.uplink.window`"),
        (GOOD + "batch_s = 0\n", "`$.batch_s`"),
        ('plant = 3\nagent = "a"\noutbox = "o"\n', "Expected `str`, got `int` - at `$.plant`"),
        ('plant = "p"\noutbox = "o"\n', "missing required field `agent`"),
        ("plant = \n", "not TOML in UTF-8"),
        ("= 1", "not TOML in UTF-8"),
    ],
)
def test_a_mistake_is_named_with_file_and_path(tmp_path: Path, text: str, sentence: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load_settings(file, EdgeSettings)
    assert str(caught.value).startswith(f"{file}: ")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_bytes('agent = "网关"'.encode("gb18030"))
    with pytest.raises(SettingsError, match="not TOML in UTF-8"):
        load_settings(file, EdgeSettings)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml: there is no such file"):
        load_settings(tmp_path / "nowhere.toml", EdgeSettings)
    with pytest.raises(SettingsError, match=f"{tmp_path}: Is a directory"):
        load_settings(tmp_path, EdgeSettings)


def test_a_password_comes_from_the_environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = MqttSettings(password_variable="ENPILOT_TEST_PASSWORD")
    assert settings.password() is None
    monkeypatch.setenv("ENPILOT_TEST_PASSWORD", "geheim")
    assert settings.password() == "geheim"


def test_a_variable_that_must_be_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENPILOT_TEST_URL", "")
    with pytest.raises(SettingsError, match="set ENPILOT_TEST_URL: where the database is"):
        require_environment("ENPILOT_TEST_URL", "where the database is")
