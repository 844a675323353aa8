#!/usr/bin/env bash
# usage: stereo-youtube.sh [DEPTH_MODEL]   As YouTube takes it: half of the width for each eye, and a box in the mp4 that says so.
set -euo pipefail

sora generate "a red ball rolls behind a blue cube on grass" --size 64x64 --frames 9 --seed 1 |
    sora depth --model "${1:-Depth-Anything-V2-Small-hf}" -o deep.latent
sora decode deep.latent --stereo youtube --max-disparity 2 -o youtube.mp4
