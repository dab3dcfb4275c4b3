"""The offline bundle: everything that hosts install, in one folder with a signed manifest of hashes."""

from __future__ import annotations

from xjops.bundle.refusal import BundleError, verify

__all__ = ["BundleError", "verify"]
