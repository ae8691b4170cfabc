"""A model's JSON, written so that a person can read and change it."""

import json


def write_description(path, spec):
    members = []
    for key, value in spec.items():
        if isinstance(value, list) and value:
            text = "[\n" + ",\n".join(f"    {json.dumps(entry)}" for entry in value) + "\n  ]"
        else:
            text = json.dumps(value)
        members.append(f"  {json.dumps(key)}: {text}")
    path.write_text("{\n" + ",\n".join(members) + "\n}\n")
