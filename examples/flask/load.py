# SPDX-License-Identifier: Apache-2.0
"""A bounded load loop: python3 load.py [seconds] [requests per second], default 60 s at 5/s."""
import itertools
import os
import sys
import time
import urllib.error
import urllib.request

PATHS = ("/orders/1", "/orders/2", "/orders/3", "/slow", "/orders/4", "/orders/5", "/fail")


def main():
    seconds = min(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0, 3600.0)
    rate = min(float(sys.argv[2]) if len(sys.argv) > 2 else 5.0, 50.0)
    base = f"http://127.0.0.1:{os.environ.get('PORT', '5000')}"
    sent, end = 0, time.monotonic() + seconds
    for path in itertools.cycle(PATHS):
        if time.monotonic() >= end:
            break
        try:
            urllib.request.urlopen(base + path, timeout=10).read()
        except urllib.error.HTTPError:
            pass                                   # /fail answers 500 by intent
        except OSError as err:
            print(f"{path}: {err}", file=sys.stderr)
        sent += 1
        time.sleep(1 / rate)
    print(f"sent {sent} requests")


if __name__ == "__main__":
    main()
