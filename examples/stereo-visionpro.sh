#!/usr/bin/env bash
# Spatial video for Apple Vision Pro: a video of each eye in one file (MV-HEVC), with baseline and field of view.
set -euo pipefail

sora generate "a red ball rolls behind a blue cube on grass" --size 128x128 --duration 1s --seed 1 |
    sora depth |
    sora decode --stereo visionpro --baseline 0.065 --fov 60 -o spatial.mov
