#!/usr/bin/env bash
# Several clips go through one pipe; every stage maps over them.
set -euo pipefail

sora generate "a yellow cone spins on snow" -n 3 --seed 1 --size 64x64 --frames 9 | sora decode -o 'cone-%d.mp4'
ls cone-*.mp4
