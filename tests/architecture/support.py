"""Writes docs/support.md from the register."""

from tests.architecture.register import ROOT, support_table

if __name__ == "__main__":
    (ROOT / "docs" / "support.md").write_text(support_table())
