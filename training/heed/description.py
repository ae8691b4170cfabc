"""A model's JSON and its labels, written so that a person can read and change it."""

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


def write_labels(path, labels):
    """labels: [{"id", "name"}] in the order of the classes; None where a class has no name"""
    path.write_text("[\n" + ",\n".join(f"  {json.dumps(label)}" for label in labels) + "\n]\n")
