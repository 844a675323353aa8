#!/usr/bin/env bash
# From the end of one clip to the start of another.
set -euo pipefail

sora generate "a red ball rolls left on sand" --size 64x64 --frames 17 --seed 1 -o a.latent
sora generate "a red ball bounces on sand" --size 64x64 --frames 17 --seed 2 -o b.latent
sora interpolate a.latent b.latent --duration 1s --seed 3 | sora decode -o between.mp4
sora interpolate a.latent b.latent --from 0.5s --to 0.2s --duration 1s --seed 3 | sora decode -o inside.mp4

# Clips of different sizes or frame rates don't join: the error shows the command that fixes that.
sora generate "a red ball bounces on sand" --size 96x64 --frames 9 --seed 2 -o wide.latent
! sora interpolate a.latent wide.latent --seed 3 -o never.latent
sora decode wide.latent | sora encode --size 64x64 --fps 16 -o same.latent
sora interpolate a.latent same.latent --duration 1s --seed 3 | sora decode -o mended.mp4
