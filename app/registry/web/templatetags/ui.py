"""Small parts of pages: icons, numbers, masked values, code names."""

from __future__ import annotations

from typing import Any

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from registry.students.fields_codes import code_label
from registry.students.numbers import mask_id, mask_phone

register = template.Library()


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """An icon of the sprite that app/assets/build makes from the names found in templates."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true"><use href="{}#{}"></use></svg>',
        classes,
        static("vendor/icons.svg"),
        name,
    )


@register.filter
def grouped(number: Any) -> str:
    """12345 → 12,345; nothing for what is not a number."""
    return f"{number:,}" if isinstance(number, (int, float)) else ""


@register.filter
def percent(part: int, whole: int) -> str:
    """The share of `part` in `whole`, one decimal; a dash where there is no whole."""
    return f"{100 * part / whole:.1f}%" if whole else "–"


@register.filter
def masked_id(number: str) -> str:
    """An id or student number with its middle hidden."""
    return mask_id(number)


@register.filter
def masked_phone(number: str) -> str:
    """A telephone number with its middle hidden."""
    return mask_phone(number)


@register.filter
def code_name(code: str, code_set: str) -> str:
    """The name behind a code: `{{ student.sex|code_name:"sex" }}`."""
    return code_label(code_set, code) if code else ""


@register.filter
def initial(name: str) -> str:
    """The last character of a name, for the placeholder of a photo."""
    return name[-1:] if name else ""
