"""What is claimed is in the code, what is announced is tested, and the documentation says the same."""

import pytest

from tests.architecture.register import ROOT, Claim, citations, claims, support_table

CLAIMS = claims()


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.number)
def test_claimed_sections_are_cited_in_the_code(claim: Claim) -> None:
    cited = citations("mailpost").get(claim.number, set())
    assert set(claim.sections) <= cited, sorted(set(claim.sections) - cited)


@pytest.mark.parametrize("claim", [c for c in CLAIMS if c.capabilities], ids=lambda claim: claim.number)
def test_announced_capabilities_have_a_test_that_cites_their_rfc(claim: Claim) -> None:
    assert claim.number in citations("tests"), f"no test cites RFC {claim.number}"


def test_the_support_table_is_printed_from_the_register() -> None:
    assert (ROOT / "docs" / "support.md").read_text() == support_table()
