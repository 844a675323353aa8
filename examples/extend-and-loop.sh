#!/usr/bin/env bash
# A clip goes on, begins earlier, and closes to a loop.
set -euo pipefail

sora generate "a blue cube slides right on grass" --size 64x64 --frames 17 --seed 5 -o cube.latent
sora extend cube.latent --after 1s --before 1s "it stops and spins" --seed 5 | sora decode -o long.mp4
sora extend cube.latent --loop --seed 5 | sora decode -o loop.gif
