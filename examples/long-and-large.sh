#!/usr/bin/env bash
# A long video, generated in windows, and a large still: long-and-large.sh [SECONDS] [SIZE], 60 and 2048x2048 by default.
set -euo pipefail

seconds=${1:-60} size=${2:-2048x2048}
sora generate "a red ball rolls left on sand" --duration "${seconds}s" --seed 5 --checkpoint minute.state | sora decode -o minute.mp4
sora generate "a red ball on sand" --size "$size" --frames 1 --seed 5 | sora decode -o still.png
