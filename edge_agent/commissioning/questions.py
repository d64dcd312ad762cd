"""What the engineer is asked, in both languages, and who answers: a person or a form."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol

from enpilot.errors import ConfigurationError
from enpilot.plant import Names

__all__ = [
    "QUESTIONS",
    "Asker",
    "FormAsker",
    "Language",
    "Question",
    "TerminalAsker",
    "form_text",
    "in_language",
]

Language = Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class Question:
    """One question. An answer is text as it was typed; ``kind`` says what it must be."""

    key: str
    text: Names
    kind: Literal["text", "decimal", "choice", "files"] = "text"
    choices: tuple[str, ...] = ()

    def mistake(self, answer: str) -> Names | None:
        """Return what is wrong with an answer."""
        if self.kind == "choice" and answer not in self.choices:
            listed = " / ".join(self.choices)
            return Names(zh=f"请回答：{listed}", en=f"answer one of: {listed}")
        if self.kind == "decimal" and not _is_decimal(answer):
            return Names(zh="请输入小数，例如 123.4", en="give a decimal number, such as 123.4")
        return None


def _is_decimal(answer: str) -> bool:
    whole, _, rest = answer.removeprefix("-").partition(".")
    digits = whole + rest
    return bool(whole) and digits.isascii() and digits.isdecimal() and len(digits) <= 18


def _q(key: str, zh: str, en: str, kind: Any = "text", *choices: str) -> Question:
    return Question(key, Names(zh=zh, en=en), kind, choices)


_ALL: Final = (
    _q("engineer", "调试工程师姓名", "Your name"),
    _q("serial", "表计铭牌上的序列号", "Serial number on the meter's nameplate"),
    _q("ct.primary_a", "互感器一次额定电流 (A)，直接接入填 1",
       "Primary current of the transformers (A), 1 if there are none", "decimal"),
    _q("ct.secondary_a", "互感器二次额定电流 (A)，直接接入填 1",
       "Secondary current of the transformers (A), 1 if there are none", "decimal"),
    _q("ct.turns", "一次导线穿心匝数", "Turns of the conductor through the window", "decimal"),
    _q("photo.nameplate", "铭牌照片文件，逗号分隔", "Photographs of the nameplate, by commas",
       "files"),
    _q("photo.display", "表显照片文件，逗号分隔", "Photographs of the display, by commas", "files"),
    _q("photo.wiring", "接线照片文件，逗号分隔", "Photographs of the wiring, by commas", "files"),
    _q("display.side", "表显是一次侧值(primary)还是二次侧值(secondary)？",
       "Does the display show primary or secondary values?", "choice", "primary", "secondary"),
    _q("display.unit", "表显单位，例如 kWh、MWh", "Unit on the display, such as kWh or MWh"),
    _q("display.first", "第一次表显读数（全部位数）", "First display reading, with all its digits",
       "decimal"),
    _q("display.first_at", "第一次读数的时刻（仅表单）", "When that was (in a form only)"),
    _q("flow", "此刻本测点：用电(import)、送电(export)、不清楚(either)？",
       "Just now energy is taken (import), fed in (export), or it is not known (either)?",
       "choice", "import", "export", "either"),
    _q("clamp.instrument", "钳表型号与编号", "Type and number of the clamp meter"),
    _q("clamp.L1", "钳表 L1 一次电流 (A)", "Clamp on L1, primary current (A)", "decimal"),
    _q("clamp.L2", "钳表 L2 一次电流 (A)", "Clamp on L2, primary current (A)", "decimal"),
    _q("clamp.L3", "钳表 L3 一次电流 (A)", "Clamp on L3, primary current (A)", "decimal"),
    _q("load_step.kw",
       "准备投切一个已知负荷：其功率 (kW)，不知道填 0；回答后两分钟内投切",
       "Be ready to switch a known load: its power (kW), 0 if not known; switch it within two "
       "minutes after answering", "decimal"),
    _q("display.second", "第二次表显读数", "Second display reading", "decimal"),
    _q("display.second_at", "第二次读数的时刻（仅表单）", "When that was (in a form only)"),
    _q("remarks", "备注", "Remarks"),
)  # fmt: skip
QUESTIONS: Final = MappingProxyType({q.key: q for q in _ALL})


class Asker(Protocol):
    """Who answers."""

    async def ask(self, question: Question) -> str | None:
        """Return an answer that is right in form, or None where there is none."""

    def say(self, text: Names) -> None:
        """Tell something."""


def in_language(text: Names, language: Language) -> str:
    """Return a text in the language chosen."""
    return text.zh if language == "zh" else text.en


class TerminalAsker:
    """A person at a terminal; an empty line leaves a question out."""

    def __init__(
        self,
        language: Language,
        read: Callable[[str], str] = input,
        write: Callable[[str], object] = print,
    ) -> None:
        self._language = language
        self._read = read
        self._write = write

    async def ask(self, question: Question) -> str | None:
        """Ask until the answer is right in form; the end of the input ends the walk."""
        if question.key.endswith("_at"):
            return None  # a person answers at once
        while True:
            prompt = f"{in_language(question.text, self._language)}: "
            try:
                # Nothing else runs meanwhile, and a thread could not be interrupted.
                answer = self._read(prompt).strip()
            except EOFError:
                raise KeyboardInterrupt from None
            if not answer:
                return None
            mistake = question.mistake(answer)
            if mistake is None:
                return answer
            self.say(mistake)

    def say(self, text: Names) -> None:
        """Write a line."""
        self._write(in_language(text, self._language))


class FormAsker:
    """A form in TOML, read anew for each question: what is missing may be filled in meanwhile."""

    def __init__(
        self, file: Path, language: Language, write: Callable[[str], object] = print
    ) -> None:
        self._file = file
        self._language = language
        self._write = write
        self._answers()

    async def ask(self, question: Question) -> str | None:
        """Return what the form says; raises `ConfigurationError` where it is wrong in form."""
        answer = self._answers().get(question.key)
        if answer is None:
            return None
        mistake = question.mistake(answer)
        if mistake is not None:
            said = in_language(mistake, self._language)
            raise ConfigurationError(f"{self._file}: {question.key} = {answer!r}: {said}")
        return answer

    def say(self, text: Names) -> None:
        """Write a line."""
        self._write(in_language(text, self._language))

    def _answers(self) -> dict[str, str]:
        try:
            # Digits stay as they were written: they tell the display's resolution.
            document = tomllib.loads(self._file.read_text("utf-8"), parse_float=str)
        except FileNotFoundError as error:
            raise ConfigurationError(f"{self._file}: there is no such form") from error
        except OSError as error:
            raise ConfigurationError(f"{self._file}: cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{self._file}: {error}") from error
        answers = dict(_flat(document))
        unknown = sorted(set(answers) - set(QUESTIONS))
        if unknown:
            raise ConfigurationError(
                f"{self._file}: no question {', '.join(unknown)}; there are: {', '.join(QUESTIONS)}"
            )
        return {k: v for k, v in answers.items() if v != ""}


def _flat(table: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in table.items():
        name = f"{before}{key}"
        if isinstance(value, dict):
            found += _flat(value, f"{name}.")
        elif isinstance(value, list):
            found.append((name, ", ".join(map(str, value))))
        elif hasattr(value, "isoformat"):
            found.append((name, value.isoformat()))
        else:
            found.append((name, str(value).strip()))
    return found


def form_text(language: Language) -> str:
    """Return an empty form with every question."""
    lines: list[str] = []
    for q in _ALL:
        lines.append(f"# {in_language(q.text, language)}")
        if q.choices:
            lines.append(f"# {' | '.join(q.choices)}")
        lines.append(f'{q.key} = ""')
    return "\n".join(lines) + "\n"
