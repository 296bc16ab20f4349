"""What a campaign was asked, in words: every field has a name, every choice its words."""

from __future__ import annotations

from typing import Literal, get_args, get_origin

from explorer.campaign import CampaignSpec
from explorer.figures.asked import CHOICES, FIELDS, question_words


def test_every_field_has_a_name() -> None:
    """One that is added to the spec and not here would be missing from reports and comparisons."""
    assert set(FIELDS) == set(CampaignSpec.model_fields) - {"name"}
    assert len(set(FIELDS.values())) == len(FIELDS)


def test_every_choice_has_words() -> None:
    """All that a spec can be asked, and nothing else; words are told apart."""
    choices = {
        name: set(get_args(field.annotation))
        for name, field in CampaignSpec.model_fields.items()
        if get_origin(field.annotation) is Literal
    }
    assert choices == {name: set(words) for name, words in CHOICES.items()}
    assert all(len(set(words.values())) == len(words) for words in CHOICES.values())


def test_usual_values_are_left_out() -> None:
    """Elements, their number, the seed and the hull are told always."""
    told = question_words(CampaignSpec.parse(elements="Al-Ca-Cu", n=8, temperature=0.5))
    assert told["Temperature"] == "0.5"
    assert {"Elements", "Crystals to draw", "Seed", "Hull"} <= set(told)
    assert "Aim for crystals" not in told
    assert "Top p" not in told
