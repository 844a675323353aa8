#!/usr/bin/env bash
# usage: stereo-tb.sh [DEPTH_MODEL]   The left eye above the right one, each at full size.
set -euo pipefail

sora generate "a red ball rolls behind a blue cube on grass" --size 64x64 --frames 9 --seed 1 |
    sora depth --model "${1:-Depth-Anything-V2-Small-hf}" -o deep.latent
sora decode deep.latent --stereo tb -o tb.mp4
