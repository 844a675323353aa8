#!/usr/bin/env bash
# usage: stereo-quest.sh [DEPTH_MODEL]   For players on a headset, which know such a video by the end of its name.
set -euo pipefail

sora generate "a red ball rolls behind a blue cube on grass" --size 64x64 --frames 9 --seed 1 |
    sora depth --model "${1:-Depth-Anything-V2-Small-hf}" -o deep.latent
sora decode deep.latent --stereo quest --eyes left -o ball_LRF_Full_SBS.mp4
