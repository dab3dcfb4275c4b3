"""The ledger: what a role left behind on a host, so that looking takes seconds instead of a run.

Not a model of what a role should make, but a record of what it made. A callback plugin (`callback/`), active
under plain `ansible-playbook` too, notes from Ansible's own results what each step of the site's playbook
touches on a host; a file on that host keeps its state together with a keyed digest of the step's inputs. See
docs/decisions/0013-ledger.md.

- `remote_look`: the program that runs on hosts: begin, record, look.
- `watch`: from a task's result to the items to be watched.
- `steps`: which steps of the playbook concern which host; `inputs`: what each depends on.
- `look`: one SSH round trip to every host; `compare`: what it means.
"""
