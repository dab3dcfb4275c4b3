"""The console script `registry` (Django's manage.py)."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run a management command; `registry help` lists them."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
