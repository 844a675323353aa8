#!/usr/bin/env bash
# For red and cyan glasses, in three ways to mix the colours.
set -euo pipefail

sora generate "a red ball rolls behind a blue cube on grass" --size 128x128 --duration 1s --seed 1 |
    sora depth -o deep.latent
for colours in grey colour dubois; do
    sora decode deep.latent --stereo "anaglyph:$colours" -o "anaglyph-$colours.mp4"
done
