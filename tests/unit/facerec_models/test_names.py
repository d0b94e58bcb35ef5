"""What may be called what."""

from __future__ import annotations

import pytest

from facerec_models.errors import InputError
from facerec_models.names import identity_of, person_id_of


@pytest.mark.parametrize(
    ("given", "person_id"),
    [
        (" Ada Lovelace ", "Ada_Lovelace"),
        ("Zoë", "Zo\u00eb"),
        ("Unknown Soldier", "Unknown_Soldier"),
        ("Strangers_Anonymous", "Strangers_Anonymous"),
        ("نیک‌نام", "نیک‌نام"),
    ],
)
def test_a_person_is_called_as_a_folder(given: str, person_id: str) -> None:
    assert person_id_of(given) == person_id


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "empty"),
        ("..", "empty"),
        ("a/b", "must not"),
        ("AC;DC", "semicolon"),
        ("a\nb", "control characters"),
        ("a\0b", "control characters"),
        ("\u202egpj.evil", "control characters"),
        ("\ud800", "control characters"),
        ("stranger-aaaaaaaaaa", "strangers are called"),
        ("Unknown 3", "strangers are called"),
        ("undecidable", "may be anybody"),
        ("unknown3", "strangers are called"),
    ],
)
def test_an_invalid_name_of_a_person_is_refused(given: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        person_id_of(given)


@pytest.mark.parametrize(
    ("person_id", "identity"), [("Barack_Obama", "Barack Obama"), ("Zoë", "Zoë"), ("A_B_C", "A B C"), (None, None)]
)
def test_an_identity_is_written_as_people_write_it(person_id: str | None, identity: str | None) -> None:
    assert identity_of(person_id) == identity
