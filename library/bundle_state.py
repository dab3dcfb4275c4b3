#!/usr/bin/python
"""Ansible module: is a bundle on this machine what was signed; what does it lack of another one?"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_state
short_description: Verify a bundle, or compare it with the manifest of another one
description:
  - With O(public_key), the folder must be exactly what that key signed, else the task fails naming the files.
  - With O(manifest), the folder is compared with that manifest; nothing fails, the result says what to bring.
  - The rules are those of C(xjops bundle verify); role package_repository brings their code along.
options:
  path: {description: The bundle's folder., type: path, required: true}
  public_key: {description: OpenPGP public key on this machine., type: path}
  manifest: {description: Text of the manifest to compare with., type: str}
  remove_extra:
    description: Remove files that the folder's own manifest doesn't name, before it is verified.
    type: bool
    default: false
author: [xjops]
"""

EXAMPLES = r"""
- name: Verify the copy
  bundle_state:
    path: /srv/bundle
    public_key: /etc/apt/keyrings/xjops-bundle.asc
"""

RETURN = r"""
bring: {description: Files that are missing or other than in the manifest., returned: always, type: list}
extra: {description: Files that are (or were) not in the manifest., returned: always, type: list}
problems: {description: Every difference as text., returned: always, type: list, elements: str}
"""

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible.module_utils.bundle_verification import (  # type: ignore[import-not-found]  # isort: skip
    MANIFEST,
    SIGNATURE,
    check_signature,
    compare,
)


def differences(folder: Path, text: str) -> dict[str, Any]:
    """What the folder lacks of, and has beyond, the manifest `text`."""
    problems = compare(folder, json.loads(text))
    extra = [problem.file for problem in problems if problem.what.startswith("extra")]
    bring = [problem.file for problem in problems if problem.file not in extra]
    own = folder / MANIFEST
    if not own.is_file() or own.read_text(encoding="utf-8") != text or not (folder / SIGNATURE).is_file():
        bring += [MANIFEST, SIGNATURE]
    return {"bring": bring, "extra": extra, "problems": [str(problem) for problem in problems]}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "public_key": {"type": "path"},
            "manifest": {"type": "str"},
            "remove_extra": {"type": "bool", "default": False},
        },
        required_one_of=[("public_key", "manifest")],
        mutually_exclusive=[("public_key", "manifest")],
        supports_check_mode=True,
    )
    folder, key = Path(module.params["path"]), module.params["public_key"]
    try:
        if module.params["manifest"] is not None:
            found = differences(folder, module.params["manifest"])
            module.exit_json(changed=bool(found["bring"] or found["extra"]), **found)
        problem = check_signature(folder, Path(key))
        if problem:
            module.fail_json(msg=f"bundle {folder} refused: {problem} → xjops bundle build")
        found = differences(folder, (folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        module.fail_json(
            msg=f"bundle {folder} can't be verified: {error.filename} is missing → xjops bundle build"
        )
    removed = found["extra"] if module.params["remove_extra"] else []
    for name in removed:
        if not module.check_mode:
            (folder / name).unlink()
    left = [text for text in found["problems"] if text.partition(":")[0] not in removed]
    if left:
        more = f" (and {len(left) - 1} more)" if len(left) > 1 else ""
        module.fail_json(msg=f"bundle {folder} refused: {left[0]}{more} → xjops bundle build", **found)
    module.exit_json(changed=bool(removed), **found)


if __name__ == "__main__":
    main()
