"""
The function on this machine: the simulator in the place of the platform.

`python -m examples.digitalocean.local` runs it; PORT says where.
"""

from __future__ import annotations

import os

from werkzeug.serving import make_server

from examples.digitalocean.packages.shop.workflows.__main__ import main
from inngest_contrib.digitalocean.simulator import FULL_PATH, DigitalOceanSimulator


def run() -> None:
    """Serve until the process is interrupted."""
    app = DigitalOceanSimulator(main).app
    server = make_server("127.0.0.1", int(os.environ.get("PORT", "8000")), app, threaded=True)
    print(f"http://127.0.0.1:{server.port}{FULL_PATH}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    try:
        run()
    except KeyboardInterrupt:
        print("stopped")
