"""Measures a running heed: posts the photos of a COCO-format split and computes COCO average precision.

    heed serve &
    python evaluate.py DIR/val.json --url http://localhost:8080

Photos lie in a folder beside the JSON with its name. Classes are matched by name: the server answers in the ids of
the model's labels, the data may use others. 100 detections a photo, from score 0.05, all sizes.
"""

import argparse
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from heed import coco

HERE = Path(__file__).parent


def detect(url, options, photo, image_id):
    """One photo's detections as COCO results; a full queue (429) is asked again when it says so."""
    query = urllib.parse.urlencode(options | {"image_id": image_id})
    request = urllib.request.Request(f"{url}/v1/detect?{query}", photo, {"Content-Type": "application/octet-stream"})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            if error.code != 429:
                raise SystemExit(f"image {image_id}: {error.code} {error.read().decode(errors='replace')}") from None
            time.sleep(float(error.headers.get("Retry-After", 1)))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("annotations", type=Path)
    p.add_argument("--url", default="http://localhost:8080")
    p.add_argument("--model", help="another than the server's default")
    p.add_argument("--labels", type=Path, default=HERE / "../config/labels/coco80.json")
    p.add_argument("--at-once", type=int, default=2, help="requests in flight")
    p.add_argument("--boxes-only", action="store_true")
    p.add_argument("--groups", action="store_true", help="box AP by group of COCO classes too")
    p.add_argument("--detections", type=Path, help="keep what the server found here")
    args = p.parse_args()

    content = coco.load_truth(args.annotations)
    label_names = {label["id"]: label["name"] for label in json.loads(args.labels.read_text()) if label}
    category_of = {c["name"]: c["id"] for c in content["categories"]}
    options = {"score": 0.05, "max": 100, "format": "coco", "masks": "none" if args.boxes_only else "rle"}
    if args.model:
        options["model"] = args.model

    def ask(image):
        photo = (args.annotations.with_suffix("") / image["file_name"]).read_bytes()
        found = detect(args.url, options, photo, image["id"])
        return [
            d | {"image_id": image["id"], "category_id": category_of[label_names[d["category_id"]]]}
            for d in found
            if label_names[d["category_id"]] in category_of
        ]

    started = time.monotonic()
    with ThreadPoolExecutor(args.at_once) as pool:
        detections = [d for found in pool.map(ask, content["images"]) for d in found]
    seconds = time.monotonic() - started
    print(f"{len(content['images'])} photos, {len(detections)} detections, {seconds:.1f} s")
    if args.detections:
        args.detections.write_text(json.dumps(detections))

    print("\n| part | what | AP | AP50 | AP75 |\n|---|---|---|---|---|")
    for part, kind, *precision in coco.table(content, detections, masks=not args.boxes_only):
        print(f"| {part} | {'boxes' if kind == 'bbox' else 'masks'} | " + " | ".join(f"{p:.3f}" for p in precision) + " |")
    if args.groups:
        print("\n| classes | boxes, AP | AP50 |\n|---|---|---|")
        for group, ap, ap50 in coco.group_table(content, detections):
            print(f"| {group} | {ap:.3f} | {ap50:.3f} |")


if __name__ == "__main__":
    main()
