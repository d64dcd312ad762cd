"""What a page is: an address, a question it answers, how its model is read and how it is shown.

A page lives in a folder of its own below `pages` and names itself there as ``PAGE``; the catalogue
lists them all, and one set of routes serves each as a page and as JSON under the same address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar
from urllib.parse import quote, urlencode

import msgspec
import psycopg

from dashboards.portal.answers import Answer
from dashboards.portal.live import LiveTask
from dashboards.portal.period import Period, period_name
from dashboards.portal.site import Indicator, Site
from enpilot.text import Language, pick

__all__ = [
    "GROUPS",
    "Choice",
    "Group",
    "Head",
    "OfSite",
    "Page",
    "PeriodControl",
    "Visit",
    "address",
    "month_steps",
    "with_query",
]

Group = Literal["daily", "todo", "ledger", "plant"]
GROUPS: dict[Group, tuple[str, str]] = {
    "daily": ("日常", "Daily"),
    "todo": ("要处理", "To do"),
    "ledger": ("台账", "Records"),
    "plant": ("", ""),
}


class Choice(msgspec.Struct, frozen=True):
    """One of several addresses of a page: another year, another indicator."""

    name: str
    address: str
    chosen: bool = False


class PeriodControl(msgspec.Struct, frozen=True, kw_only=True):
    """The period shown, and the addresses of its neighbours."""

    name: str
    previous: str | None = None
    following: str | None = None
    latest: str | None = None  # None: this is it
    choices: list[Choice] = []  # shown instead of the steps: a few years


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What the shell shows of a page around its content."""

    period: PeriodControl | None = None  # None: the page is of this moment
    kinds: list[Choice] = []  # day, week, month, year
    scopes: list[Choice] = []  # indicators, meters, shifts: a menu
    indicator: Indicator | None = None  # whose factors the bottom line names
    completeness: float | None = None
    factor_verified: bool = True
    printable: bool = False
    exports: list[Choice] = []  # CSV, Excel: addresses of the API with the same query


@dataclass(frozen=True, kw_only=True)
class Visit:
    """Someone's look at a page: in which language, at which address."""

    language: Language
    site: Site
    path: str
    query: Mapping[str, str]
    live: LiveTask
    pages: Sequence[Page[Any]] = ()  # that the visitor may open
    permissions: frozenset[str] = frozenset()  # of the visitor at the site
    person: str | None = None  # the visitor's name
    csrf: str = ""  # what the visitor's forms send back
    answered: Answer | None = None  # what came of what the visitor asked for before

    def say(self, zh: str, en: str) -> str:
        """Return the text of the visit's language."""
        return pick(self.language, zh, en)

    def address(self, page: str, **query: object) -> str:
        """Return the address of a page of this site; a query of None is left out."""
        return address(self.site.code, page, **query)

    def here(self, **changed: object) -> str:
        """Return this address with some of its query changed, or left out where None."""
        return with_query(self.path, {**self.query, **changed})


class OfSite(Protocol):
    """What every model has."""

    @property
    def site(self) -> Site:
        """The site it is of, with what the shell shows of it."""


_Model = TypeVar("_Model", bound=OfSite)


@dataclass(frozen=True, kw_only=True)
class Page(Generic[_Model]):
    """One page of a site.

    Attributes
    ----------
    code
        Names it in the rail and in the API's operation.
    path
        Below ``/s/{site}/``; words in braces are handed to ``load`` with the query.
    names
        Its title in Chinese (six characters at most) and English (18 letters).
    group
        Where in the rail; None keeps it out of it.
    question
        What it answers, for the API's description and the list of all pages.
    query
        The parameters it reads, each with what it means.
    load
        Reads its model in one snapshot, from the path's words and the query; None is a 404.
    head
        What stands around it.
    build
        Adds its elements to the page being built.
    permission
        What a person must be allowed at the site to open it.
    count
        SQL of one number that stands behind its name in the rail, of site ``%(site_id)s``.
    urgent
        Whether that number wants someone today.
    entry
        The same page without words in braces, where the rail leads; None is ``path``.
    offered
        Whether the rail names it at a site: a page without anything to show is not offered.
    phone
        Whether it has a place in the phone's bar.
    """

    code: str
    path: str
    names: tuple[str, str]
    group: Group | None
    question: tuple[str, str]
    load: Callable[[psycopg.Connection[Any], Site, Mapping[str, str]], _Model | None]
    build: Callable[[_Model, Visit], None]
    head: Callable[[_Model, Visit], Head] = lambda _model, _visit: Head()
    query: Mapping[str, str] = field(default_factory=dict)
    permission: str = "see"
    count: str | None = None
    urgent: bool = False
    entry: str | None = None
    offered: Callable[[Site], bool] = lambda _site: True
    phone: bool = False

    def name(self, language: Language) -> str:
        """Return its title."""
        return pick(language, *self.names)


def month_steps(visit: Visit, month: Period, **changed: object) -> PeriodControl:
    """Return the control of a page of one month; what is ``changed`` goes with every step."""
    following = month.following()
    ahead = following.first > visit.site.today
    return PeriodControl(
        name=period_name(visit.language, month),
        previous=visit.here(t=month.previous().text(), **changed),
        following=None if ahead else visit.here(t=following.text(), **changed),
        latest=visit.here(t=None, **changed),
    )


def address(site: str, page: str, **query: object) -> str:
    """Return the address of a page of a site; a query of None is left out."""
    return with_query(f"/s/{site}/{page}", query)


def with_query(path: str, query: Mapping[str, object]) -> str:
    """Return a path with a query, readable as it was typed: commas, colons and dots stay."""
    given = {key: str(value) for key, value in query.items() if value is not None}
    return f"{path}?{urlencode(given, safe=',:', quote_via=quote)}" if given else path
