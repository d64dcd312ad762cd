"""All mistakes of a document are said at once, each with its path."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from enpilot.forms import form_mistakes


class Meter(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    code: str
    kind: Literal["water", "power"] = "power"
    ratio: Annotated[float, Meta(gt=0)] | None = None
    limits: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        if self.limits[0] > self.limits[1]:
            raise ValueError("the lower limit is above the upper one")


class Works(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: str
    meter: list[Meter] = []
    main: Meter | None = None


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"name": "a"}, []),
        ({"name": "a", "meter": [{"code": "m"}], "main": {"code": "n"}}, []),
        (
            {"meter": [{"code": 1, "kind": "gas"}, {"code": "m", "colour": "red"}, 7]},
            [
                "Object missing required field `name` - at `$`",
                "Expected `str`, got `int` - at `$.meter[0].code`",
                "Invalid enum value 'gas'; use one of: water, power - at `$.meter[0].kind`",
                (
                    "Object contains unknown field `colour` - at `$.meter[1]`"
                    " (there are: code, kind, limits, ratio)"
                ),
                "Expected `object`, got `int` - at `$.meter[2]`",
            ],
        ),
        (
            {"name": "a", "main": {"code": "m", "ratio": 0, "limits": [1, "2"]}},
            [
                "Expected `float` > 0.0 - at `$.main.ratio`",
                "Expected `int`, got `str` - at `$.main.limits[1]`",
            ],
        ),
        (
            {"name": "a", "meter": [{"code": "m", "limits": [2, 1]}]},
            ["the lower limit is above the upper one - at `$.meter[0]`"],
        ),
        ({"name": "a", "meter": {}}, ["Expected `array`, got `object` - at `$.meter`"]),
        ([], ["Expected `object`, got `array` - at `$`"]),
    ],
)
def test_each_mistake_has_its_path(written: object, expected: list[str]) -> None:
    assert list(form_mistakes(written, Works)) == expected


_ANYTHING = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["code", "kind", "meter", "main", "name", "x"]), inner)
    ),
)


@given(_ANYTHING)
def test_nothing_is_said_exactly_when_the_document_can_be_used(written: object) -> None:
    mistakes = list(form_mistakes(written, Works))
    try:
        msgspec.convert(written, Works)
    except msgspec.ValidationError:
        assert mistakes
    else:
        assert mistakes == []
