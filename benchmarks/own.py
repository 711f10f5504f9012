"""Five networks as their tutorials have them, put in unchanged: what their first training scores, what comes out of a
campaign that keeps the network, and how long it took.

    pytorch tutorial    two convolutions, three linear layers, for 32 px and 10 classes
    keras tutorial      three convolutions and augmentation, for 180 px
    keras textbook      one convolution with L2 and dropout, rotated by up to 72 degrees, for 32 px
    keras resnet50      from scratch, with Dense(1024), for 32 px
    timm resnet18       from scratch, for any size

Command: python benchmarks/own.py DATA [--networks ...] [--budget 5m] [--workers 1] [--any-network] [--json FILE]
Of every campaign: accuracy of the baseline's network and of the one that ships on the sealed test, the gain with its
95% interval, whether it is proven, and the seconds.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

USERS = Path(__file__).parent / "users"
NETWORKS = {
    "pytorch tutorial": "pytorch_tutorial.py:Net",
    "keras tutorial": "keras_tutorial.py:make",
    "keras textbook": "keras_textbook.py:small",
    "keras resnet50": "keras_textbook.py:resnet50",
    "timm resnet18": "timm_resnet18.py:make",
}


def campaign(name: str, arguments: argparse.Namespace) -> dict[str, object]:
    """One network through the command line."""
    out = Path(arguments.out) / f"{Path(arguments.data).name}-{name.replace(' ', '-')}-{arguments.seed}"
    program, model = Path(sys.executable).parent / "convlift", f"{USERS}/{NETWORKS[name]}"
    command = [
        str(program), "improve", arguments.data, "--model", model, "--budget", arguments.budget,
        "--seed", str(arguments.seed), "--out", str(out), "--json", "--quiet",
    ]  # fmt: skip
    command += ["--workers", str(arguments.workers)] if arguments.workers else []
    command += [] if arguments.any_network else ["--keep-network"]
    began = time.monotonic()
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.monotonic() - began
    if ended.returncode not in (0, 4):
        return {"network": name, "failed": ended.returncode, "seconds": round(seconds)}
    result = json.loads(ended.stdout)
    return {
        "data": arguments.data,
        "network": name,
        "kept": not arguments.any_network,
        "budget": arguments.budget,
        "seed": arguments.seed,
        "judged": result["judged"],
        "before": (result["baseline"] or {}).get("score"),
        "after": result["final"]["score"],
        "gain": result["gain"],
        "proven": result["proven"],
        "trials": result["trials"],
        "seconds": round(seconds),
    }


def main() -> None:
    """Run the networks that were asked for, one after another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--any-network", action="store_true")
    parser.add_argument("--out", default="own-runs")
    parser.add_argument("--json", type=Path, help="a line a campaign is added to this file")
    arguments = parser.parse_args()
    for name in arguments.networks:
        found = campaign(name, arguments)
        print(json.dumps(found), flush=True)
        if arguments.json:
            with arguments.json.open("a") as file:
                file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
