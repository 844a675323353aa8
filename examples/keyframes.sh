#!/usr/bin/env bash
# Pictures at both ends, or inside; the model generates the frames between them.
set -euo pipefail

sora generate "a red ball on snow" --size 64x64 --frames 1 --seed 1 | sora decode -o first.png
sora generate "a red ball on snow" --size 64x64 --frames 1 --seed 2 | sora decode -o last.png
sora generate "a red ball rolls on snow" --keyframe 0=first.png --keyframe end=last.png --size 64x64 --frames 17 --seed 3 |
    sora decode -o between.mp4
sora generate "a red ball rolls on snow" --keyframe 0.5s=first.png --keyframe 1s=last.png --size 64x64 --frames 33 --seed 3 |
    sora decode -o inside.mp4
