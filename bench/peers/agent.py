"""An agent in Python, as small as it can be: what the program `molecule` is measured beside.

    python agent.py httpx|requests register|run

It reads the variables of the platform's snippets, stores its token, registers and says so. With `run` it then sends heartbeats and reads its feed.
"""

import importlib
import os
import sys
import time

name, command = sys.argv[1:]
client = importlib.import_module(name)
url, workspace = os.environ["PLATFORM_URL"], os.environ["WORKSPACE_ID"]
token, home = os.environ["MOLECULE_WORKSPACE_TOKEN"], os.environ["MOLECULE_HOME"]

session = client.Client(timeout=10) if name == "httpx" else client.Session()
session.headers.update({"Authorization": f"Bearer {token}", "Origin": url})

os.makedirs(home, mode=0o700, exist_ok=True)
with open(os.open(os.path.join(home, "token"), os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
    file.write(token)
    file.flush()
    os.fsync(file.fileno())

card = {"name": "peer", "description": "", "skills": []}
body = {"id": workspace, "url": "", "agent_card": card, "delivery_mode": "poll"}
session.post(f"{url}/registry/register", json=body).raise_for_status()
print("registered", flush=True)

started = time.monotonic()
beat_at = started
while command == "run":
    if time.monotonic() >= beat_at:
        beat_at += 30
        beat = {"workspace_id": workspace, "uptime_seconds": int(time.monotonic() - started), "active_tasks": 0, "error_rate": 0.0}
        session.post(f"{url}/registry/heartbeat", json=beat).raise_for_status()
        session.get(f"{url}/workspaces/{workspace}/state").raise_for_status()
    session.get(f"{url}/workspaces/{workspace}/activity", params={"limit": 500}).raise_for_status()
    time.sleep(5)
