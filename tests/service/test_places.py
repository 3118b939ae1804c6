from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.accounts.account import UserNameError
from mailpost.service.places import place


def test_parts_of_a_name() -> None:
    assert place("/srv/{user}", "joe@example.org") == Path("/srv/joe@example.org")
    assert place("/srv/{domain}/{local}/mail", "joe@example.org") == Path("/srv/example.org/joe/mail")
    assert place("/srv/{local}", "joe") == Path("/srv/joe")
    assert place("/srv/{local}", "{domain}@x") == Path("/srv/{domain}"), "a name is not looked into"


@pytest.mark.parametrize("name", ["joe", "joe@", "@example.org", "joe@.", "joe@.org", ".joe@example.org", "a/b@c", "@"])
def test_names_that_have_no_place(name: str) -> None:
    with pytest.raises(UserNameError):
        place("/srv/{domain}/{local}", name)


@given(st.text(alphabet="ab@./{}\0 localdomainuser"))
def test_a_place_never_leaves_the_pattern(name: str) -> None:
    for pattern, depth in (("/srv/mail/{domain}/{local}", 5), ("/srv/mail/{user}", 4)):
        try:
            found = place(pattern, name)
        except UserNameError:
            continue
        assert len(found.parts) == depth
        assert found.parts[:3] == ("/", "srv", "mail")
        assert not any(part.startswith(".") for part in found.parts)
