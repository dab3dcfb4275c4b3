"""Small parts of pages: icons, numbers, masked values."""

from __future__ import annotations

from django import template

register = template.Library()
