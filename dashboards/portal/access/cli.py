"""``enpilot portal invite | reset | sign-in | people | revoke``: people, from the command line."""

from __future__ import annotations

import datetime as dt
import getpass
import os

import cyclopts

from dashboards.errors import AccessError
from dashboards.portal.access import grants, links, people
from dashboards.portal.access.grants import Role
from dashboards.portal.access.people import Person
from enpilot.database import connect, database_url

__all__ = ["add_commands", "address_of"]

_INSIDERS = ("operator", "energy_manager", "administrator")


def add_commands(app: cyclopts.App) -> None:
    """Add the commands to ``enpilot portal``."""
    app.command(invite)
    app.command(reset)
    app.command(sign_in, name="sign-in")
    app.command(list_people, name="people")
    app.command(revoke)
    app.command(disable)


def address_of(path: str, port: int = 8080) -> str:
    """Return a link's whole address: ``ENPILOT_PORTAL_ADDRESS``, or this machine."""
    base = os.environ.get("ENPILOT_PORTAL_ADDRESS") or f"http://127.0.0.1:{port}"
    return base.rstrip("/") + path


def invite(
    login: str,
    *,
    role: Role,
    site: str | None = None,
    enterprise: str | None = None,
    everything: bool = False,
    name: str = "",
    reason: str = "invited on the command line",
    until: dt.date | None = None,
    trade_secrets: bool | None = None,
    crew: bool | None = None,
    port: int = 8080,
) -> None:
    """Give a person a role, and print a one-time link if the person has no password yet.

    Parameters
    ----------
    login
        Who; made if there is no such person.
    role
        What the person may do (docs/reference/access.md).
    site
        Code of the site where it holds,
    enterprise
        or of the enterprise whose sites, as it owns them at any time,
    everything
        or everywhere.
    name
        The person's name.
    reason
        Why; it stays with the grant.
    until
        The first day on which it holds no more (UTC); a regulator's must say.
    trade_secrets
        Shows output, readings and load by the quarter hour; left out: all but regulators.
    crew
        Shows figures of single shifts; left out: all but viewers and regulators.
    port
        Port of the portal, for the printed address; ENPILOT_PORTAL_ADDRESS names another one.
    """
    codes = [f"site/{site}" if site else None, f"enterprise/{enterprise}" if enterprise else None,
             "*" if everything else None]  # fmt: skip
    chosen = [code for code in codes if code is not None]
    if len(chosen) != 1:
        raise AccessError("say where: one of --site, --enterprise, --everything",
                          "请说明范围：--site、--enterprise、--everything 之一")  # fmt: skip
    author = _author()
    with connect(database_url(), "portal", autocommit=True) as connection, connection.transaction():
        scope = grants.find_scope(connection, chosen[0])
        person = people.find_person(connection, login)
        person_id = (
            people.make_person(connection, login, name, author)
            if person is None
            else person.person_id
        )
        held = [g for g in grants.grants_of(connection, person_id)
                if g.in_force and g.role == role and g.scope == scope]  # fmt: skip
        if not held:
            grants.make_grant(
                connection, person_id, role, scope,
                trade_secrets=role != "regulator" if trade_secrets is None else trade_secrets,
                crew_figures=role in _INSIDERS if crew is None else crew,
                author=author, reason=reason,
                valid_to=None if until is None
                else dt.datetime.combine(until, dt.time(0), dt.UTC),
            )  # fmt: skip
        path = None
        if person is None or not person.has_password:
            path = links.make_link(connection, "invitation", person_id, author)
    print(f"{login} is {role} of {chosen[0]}" + (", and was before" if held else ""))
    if path is not None:
        print(f"one-time link, for 7 days: {address_of(path, port)}")


def reset(login: str, *, port: int = 8080) -> None:
    """Print a one-time link by which a person sets a new password.

    Parameters
    ----------
    login
        Who.
    port
        Port of the portal, for the printed address.
    """
    with connect(database_url(), "portal", autocommit=True) as connection, connection.transaction():
        person = _known(people.find_person(connection, login), login)
        path = links.make_link(connection, "reset", person.person_id, _author())
    print(f"one-time link, for 4 hours: {address_of(path, port)}")


def sign_in(login: str, *, port: int = 8080) -> None:
    """Print a one-time link that signs a person in without a password.

    Parameters
    ----------
    login
        Who.
    port
        Port of the portal, for the printed address.
    """
    with connect(database_url(), "portal", autocommit=True) as connection, connection.transaction():
        person = _known(people.find_person(connection, login), login)
        path = links.make_link(connection, "sign_in", person.person_id, _author())
    print(f"one-time link, for 24 hours: {address_of(path, port)}")


def list_people() -> None:
    """List persons and their grants."""
    with connect(database_url(), "portal") as connection:
        held = grants.list_grants(connection)
        for person in people.list_people(connection):
            state = "disabled" if person.disabled_at else (
                "password set" if person.has_password else "no password yet")  # fmt: skip
            print(f"{person.login} ({person.name}): {state}")
            for grant in (g for g in held if g.person_id == person.person_id):
                flags = ["trade secrets"] * grant.trade_secrets
                flags += ["crew figures"] * grant.crew_figures
                end = "" if grant.valid_to is None else f" to {grant.valid_to:%Y-%m-%d}"
                if grant.revoked_at is not None:
                    end = f", revoked {grant.revoked_at:%Y-%m-%d} by {grant.revoked_by}"
                print(
                    f"{grant.person_grant_id:6} {grant.role} of {grant.scope_code}"
                    f" from {grant.valid_from:%Y-%m-%d}{end};"
                    f" sees {', '.join(['period figures', *flags])}; {grant.author}: {grant.reason}"
                )


def revoke(number: int) -> None:
    """End a grant at once.

    Parameters
    ----------
    number
        Its number, as ``enpilot portal people`` lists it.
    """
    with connect(database_url(), "portal", autocommit=True) as connection, connection.transaction():
        grant = next(
            (g for g in grants.list_grants(connection) if g.person_grant_id == number), None
        )
        if grant is None:
            raise AccessError(f"there is no grant {number}: see `enpilot portal people`",
                              f"没有授权 {number}")  # fmt: skip
        grants.revoke_grant(connection, grant, _author())
    print(f"grant {number} is revoked")


def disable(login: str) -> None:
    """Let a person in no more; sessions end at once.

    Parameters
    ----------
    login
        Who.
    """
    with connect(database_url(), "portal", autocommit=True) as connection, connection.transaction():
        person = _known(people.find_person(connection, login), login)
        people.set_disabled(connection, person.person_id, _author(), disabled=True)
    print(f"{login} is disabled")


def _author() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # OSError from Python 3.13 on
        raise AccessError("this user has no name, and the log needs one: set LOGNAME",
                          "此用户没有名称，记录须写明由谁：请设置 LOGNAME") from error  # fmt: skip


def _known(person: Person | None, login: str) -> Person:
    if person is None:
        raise AccessError(f"there is no person {login!r}: see `enpilot portal people`",
                          f"没有“{login}”这个人")  # fmt: skip
    return person
