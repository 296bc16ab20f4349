"""What a person says of a candidate: a star, tags and a note, with their limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from explorer.schema import StoreError

MAX_TAGS = 20
MAX_TAG = 40
"""Characters of a tag."""
MAX_NOTE = 10_000
"""Characters of a note."""
MAX_NAME = 200
"""Characters of a campaign's name."""


@dataclass(frozen=True)
class Mark:
    """What a person says of a candidate.

    Attributes
    ----------
    starred : bool
        Whether it is one of the chosen.
    tags : tuple of str
        Short labels, each once, in the order in which they were given.
    note : str
        Free text, may have lines.
    """

    starred: bool = False
    tags: tuple[str, ...] = ()
    note: str = ""

    def __bool__(self) -> bool:
        """Whether anything is said at all."""
        return self != Mark()

    def changed(
        self,
        starred: bool | None = None,
        tags: Sequence[str] | None = None,
        note: str | None = None,
    ) -> Mark:
        """Return a mark with what is given changed; None leaves a part as it is.

        Raises
        ------
        StoreError
            For too many tags, or for a tag or a note that is too long or no plain text.
        """
        mark = self if starred is None else replace(self, starred=bool(starred))
        if tags is not None:
            mark = replace(mark, tags=_checked_tags(tags))
        return mark if note is None else replace(mark, note=plain_text("a note", note, MAX_NOTE))


def _checked_tags(tags: Sequence[str]) -> tuple[str, ...]:
    if isinstance(tags, str):
        raise StoreError(f"expected a list of tags, got the text {tags!r}")
    checked = dict.fromkeys(plain_text("a tag", tag, MAX_TAG) for tag in tags)
    checked.pop("", None)
    for tag in checked:
        if "\n" in tag:
            raise StoreError(f"expected a tag of one line, got {tag!r}")
    if len(checked) > MAX_TAGS:
        raise StoreError(f"expected at most {MAX_TAGS} tags, got {len(checked)}: remove some")
    return tuple(checked)


def plain_text(what: str, text: str, limit: int) -> str:
    """Return text without blanks around it, or say in one line why it cannot be kept.

    Raises
    ------
    StoreError
        When it is longer than `limit` characters or has characters that no database keeps.
    """
    if not isinstance(text, str):
        raise StoreError(f"expected {what} to be text, got {type(text).__name__}")
    text = text.replace("\r\n", "\n").strip()
    if len(text) > limit:
        raise StoreError(
            f"expected {what} of at most {limit} characters, got {len(text)}: shorten it"
        )
    strange = next((sign for sign in text if _strange(sign)), "")
    if strange:
        raise StoreError(f"{what} has a character that is no text, {strange!r}: remove it")
    return text


def _strange(sign: str) -> bool:
    """Control characters, and halves of characters, which no encoding can write."""
    return (sign < " " and sign not in "\n\t") or sign == "\x7f" or "\ud800" <= sign <= "\udfff"
