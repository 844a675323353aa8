#!/usr/bin/env bash
# For players on a headset, which know such a video by the end of its name.
set -euo pipefail

sora generate "a red ball rolls behind a blue cube on grass" --size 128x128 --duration 1s --seed 1 |
    sora depth |
    sora decode --stereo quest --eyes left -o ball_LRF_Full_SBS.mp4
