import json
import subprocess
import sys

import numpy as np
from PIL import Image


def test_photos_put_while_server_and_clients_are_killed_give_the_cache_of_presize(tmp_path):
    """A few of the instants that the study tries."""
    for i in range(80):
        folder = tmp_path / "photos" / f"{i % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (60, 80, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03d}.png")
    command = [sys.executable, "-m", "onewarp.benchmarks.put_recovery", str(tmp_path / "photos")]
    command += ["--size=32", "--label=parent", "--split=hash:0.2", "--kills=2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["same"]
    assert found["kills"] == found["server"] + found["first"] + found["second"]
    assert found["resumed"] >= 1
