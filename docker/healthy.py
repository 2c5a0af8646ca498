"""What a container's health check asks of the service in it: `python healthy.py edge|server|worker`.

It reads the variables that the service reads, so that it asks where that listens. Exit code 0 is healthy.
"""

import os
import ssl
import sys
import urllib.request

ASKED = {
    "edge": ("SECONDSIGHT_METRICS", "127.0.0.1:9410", "/metrics"),
    "server": ("SECONDSIGHT_HTTP", "127.0.0.1:8080", "/readyz"),
    "worker": ("SECONDSIGHT_WORKER_HTTP", "127.0.0.1:8081", "/readyz"),
}


def main(service: str) -> None:
    variable, default, path = ASKED[service]
    host, _, port = os.environ.get(variable, default).rpartition(":")
    if host in ("0.0.0.0", "[::]"):
        host = "127.0.0.1"
    secured = service == "server" and "SECONDSIGHT_TLS_CERTIFICATE" in os.environ
    # The certificate is for the name that others use, and this is the same machine.
    context = ssl._create_unverified_context() if secured else None
    url = f"{'https' if secured else 'http'}://{host}:{port}{path}"
    urllib.request.urlopen(url, timeout=4, context=context).close()


if __name__ == "__main__":
    main(sys.argv[1])
