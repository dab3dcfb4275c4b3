"""One truth: an Ansible inventory read into one typed, validated `Site`."""

from xjops.site.model import Host, Site

__all__ = ["Host", "Site"]
