#!/usr/bin/env bash
# As YouTube takes it: half of the width for each eye, and a box in the mp4 that says so.
set -euo pipefail

sora generate "a red ball rolls behind a blue cube on grass" --size 128x128 --duration 1s --seed 1 |
    sora depth |
    sora decode --stereo youtube --max-disparity 2 -o youtube.mp4
