"""The only code that talks to the outside: vCenter, SSH, Ansible, databases, balancers."""
