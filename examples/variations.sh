#!/usr/bin/env bash
# Several clips go through one pipe, and every stage maps over them.
set -euo pipefail

for seed in 1 2 3; do
    sora generate "a yellow cone spins on snow" --size 64x64 --frames 9 --seed "$seed"
done | sora decode -o 'cone-%d.mp4'
ls cone-*.mp4
