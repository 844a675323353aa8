#!/usr/bin/env bash
# From the end of one clip to the start of another.
set -euo pipefail

sora generate "a red ball rolls left on sand" --size 64x64 --frames 17 --seed 1 -o a.latent
sora generate "a red ball bounces on sand" --size 64x64 --frames 17 --seed 2 -o b.latent
sora interpolate a.latent b.latent --duration 1s --seed 3 | sora decode -o between.mp4
