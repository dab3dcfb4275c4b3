"""docs/reference/site.md says what the model says."""

from __future__ import annotations

from xjops.site import keys, reference


def test_the_page_is_current() -> None:
    page = reference.target().read_text(encoding="utf-8")
    assert reference.refreshed(page) == page, "run: python -m xjops.site.reference"


def test_every_section_and_key_is_on_the_page() -> None:
    page = reference.target().read_text(encoding="utf-8")
    for name, section in keys.SECTIONS.items():
        part = page.partition(f"### {name}\n")[2].partition("\n### ")[0]
        assert all(f"| `{key}` |" in part for key in section.model_fields)
