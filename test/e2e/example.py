# SPDX-License-Identifier: Apache-2.0
"""Runs one of examples/ against a server under test, as a person would: ./run.sh and environment variables."""
import os
import re
import signal
import subprocess
import threading
import urllib.error
import urllib.request

from server import API_KEY, ROOT


class Example:
    """with Example('express', yagura, env={...}) as app: app.get('/slow') → status"""

    def __init__(self, folder, node, env=None, log=None):
        host, port = node.dogstatsd
        self._folder = ROOT / "examples" / folder
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("DD_", "YAGURA_"))}
        self._env = {
            **keep, "YAGURA_API": f"http://{node.api}", "YAGURA_AGENT": f"http://{node.agent}",
            "YAGURA_DOGSTATSD": f"{host}:{port}", "YAGURA_API_KEY": API_KEY, "PORT": "0", **(env or {}),
        }
        self._lines = []

    def __enter__(self):
        self._proc = subprocess.Popen(["./run.sh"], cwd=self._folder, env=self._env, text=True,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.base = None
        for line in self._proc.stdout:
            self._lines.append(line)
            found = re.search(r"listening on (http://\S+)", line)
            if found:
                self.base = found[1]
                break
        if self.base is None:
            raise AssertionError(f"{self._folder.name} did not start (exit {self._proc.wait()}):\n{self.output}")
        threading.Thread(target=lambda: self._lines.extend(self._proc.stdout), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """SIGTERM, so that tracer and log shipper flush what they hold."""
        if self._proc.poll() is None:
            self._proc.send_signal(signal.SIGTERM)
            try:
                self._proc.wait(20)
            except subprocess.TimeoutExpired:
                self._proc.kill()
                self._proc.wait()

    @property
    def output(self):
        return "".join(self._lines[-60:])

    def get(self, path):
        try:
            return urllib.request.urlopen(self.base + path, timeout=20).status
        except urllib.error.HTTPError as err:
            return err.code
