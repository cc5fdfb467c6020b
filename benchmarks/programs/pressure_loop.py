"""The least memory that it can be done in: a loop that makes a payload and uses it up. ``pressure_loop COUNT``."""

import json
import sys

from benchmarks.programs.work import payloads, swallow

if __name__ == "__main__":
    print(json.dumps({"tasks": sum(1 for payload in payloads(int(sys.argv[1])) if swallow(payload) >= 0)}))
