#!/usr/bin/env bash
# The left eye above the right one, each at full size.
set -euo pipefail

sora generate "a red ball rolls behind a blue cube on grass" --size 128x128 --duration 1s --seed 1 |
    sora depth |
    sora decode --stereo tb -o tb.mp4
