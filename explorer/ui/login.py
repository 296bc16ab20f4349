"""Who looks at the page: whoever logged in, by Panel's basic login or by OAuth."""

from __future__ import annotations

from pathlib import Path

import panel as pn

from explorer.figures.words import escape
from explorer.schema import StoreError
from explorer.ui.theme import words
from explorer.users import User

GUEST = "guest"  # what Panel calls everybody whose cookie says so, signed or not
LOOK = """
:host { color: #b9c6d8; font-size: 13px; margin-right: 18px; text-align: right;
  white-space: nowrap; }
a { color: inherit; margin-left: 12px; }
span { display: inline-block; overflow: hidden; text-overflow: ellipsis; vertical-align: bottom;
  max-width: 28vw; }
@media (max-width: 700px) { :host { margin: 0 4px 0 10px; } span { max-width: 15vw; } }
"""


class LoginError(StoreError):
    """The page was asked for by somebody who has not logged in."""


def current_user() -> User | None:
    """Return who opened the page; None on a server without login, where one user may do all.

    A server that signs cookies has a login: Panel demands a cookie secret for either kind.

    Raises
    ------
    LoginError
        When the server has a login and this request does not come from it, or when its login does
        not tell its users apart.
    """
    name, passwords = pn.state.user, pn.config.basic_auth
    if not pn.config.cookie_secret:
        return None
    if isinstance(passwords, str) and not Path(passwords).is_file():
        raise LoginError(
            "the server has one password for all, so anybody could take any name: start it with "
            "--basic-auth and a JSON file of users and their passwords"
        )
    if not name or (name == GUEST and not pn.config.oauth_optional):
        raise LoginError("nobody is logged in: go to the server's first page and log in")
    return User.named(name)


def login_words(user: User | None) -> list[pn.pane.HTML]:
    """Return what the page's header says of who is logged in, with the way out."""
    if user is None:
        return []
    who = escape(user.name) + (" (admin)" if user.admin else "")
    return [words(f"<span title='{who}'>{who}</span><a href='logout'>Log out</a>", LOOK)]
