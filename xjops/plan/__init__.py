"""From what a site says to what is there: vCenter, then the bundle, then the hosts."""
