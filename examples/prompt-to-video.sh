#!/usr/bin/env bash
# A prompt becomes a video; the clip in between is kept, to inspect and reuse.
set -euo pipefail

sora generate "a red ball rolls left on sand at sunset, the camera zooms in" --size 128x128 --duration 2s --seed 7 -o ball.latent
sora info ball.latent
sora decode ball.latent -o ball.mp4
sora decode ball.latent -o ball.gif
