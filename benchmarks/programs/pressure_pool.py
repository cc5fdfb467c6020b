"""A fast producer in front of slow consumers, with the standard library: ``pressure_pool pool|futures COUNT WORKERS``.

`Pool.imap_unordered` takes its input as its pipe to the workers empties; `ProcessPoolExecutor.map` takes all of it at once.
"""

import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

from benchmarks.programs.work import payloads, swallow

if __name__ == "__main__":
    count, workers = map(int, sys.argv[2:])
    if sys.argv[1] == "futures":
        with ProcessPoolExecutor(workers) as executor:
            done = sum(1 for _ in executor.map(swallow, payloads(count)))
    else:
        with multiprocessing.Pool(workers) as pool:
            done = sum(1 for _ in pool.imap_unordered(swallow, payloads(count)))
            pool.close()
            pool.join()
    print(json.dumps({"tasks": done}))
