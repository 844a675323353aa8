#!/usr/bin/env bash
# Scores a model: builds tests/eval, gets the pictures and clips that the VAE is measured on, and runs it.
#   tests/eval/run.sh [--model DIR] [-o DIR] [--quick] [--vae-only | --attributes-only | --depth-only] [--count N]
#   tests/eval/run.sh judge train -o FILE | judge test
#   tests/eval/run.sh stereo
#   tests/eval/run.sh depth --model DEPTH_MODEL   How much the depth of a relative model flickers, before and after it is steadied.
# The pictures come from Debian packages and stay in a cache folder ($SORA_EVAL_CACHE, else ~/.cache/sora-eval).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${SORA_EVAL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sora-eval}
packages=(plasma-workspace-wallpapers mate-backgrounds gnome-backgrounds opencv-doc)
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
# One thread a clip, several clips at a time, in few pools of memory.
export OMP_NUM_THREADS=1 MALLOC_ARENA_MAX=2

# Lines "group kind size path", tabs between: a wallpaper in several resolutions is one picture, and variants of one
# motif are one group, so that no group is seen in training and in the evaluation.
pictures() {
    find usr/share/wallpapers usr/share/backgrounds usr/share/doc/opencv-doc/examples/data -type f -printf '%s\t%p\n' |
        grep -iE '\.(jpg|jpeg|png|webp|jxl)$' | awk -F'\t' -v OFS='\t' '{
            n = split($2, part, "/"); group = kind = $2
            if (part[3] == "wallpapers") {
                if (part[n] ~ /screenshot/) next
                group = part[1] "/" part[2] "/" part[3] "/" part[4]; kind = part[n - 1]
            } else if (part[3] == "backgrounds") {
                sub(/\.[^.]*$/, "", group); gsub(/-d|-l/, "", group)
            }
            print group, kind, $1, $2
        }' | LC_ALL=C sort -t$'\t' -k1,1 -k2,2 -k3,3n -k4,4
}

# Lines "number path": the middle resolution of each picture, and the number of its group.
chosen() {
    pictures | awk -F'\t' -v OFS='\t' '
        function flush() { if (n) { i = int(n / 2); if (size[i] >= 15000) print number, path[i] } n = 0 }
        $1 != group || $2 != kind { flush() }
        $1 != group { number++ }
        { group = $1; kind = $2; size[n] = $3; path[n++] = $4 }
        END { flush() }'
}

prepare() {
    local work=$cache/part number path part i=0
    rm -rf "$work"
    mkdir -p "$work/debs" "$work/files" "$work/data/photos" "$work/data/heldout" "$work/data/clips"
    (cd "$work/debs" && apt-get download "${packages[@]}" >&2)
    for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/files"; done
    cd "$work/files"
    while IFS=$'\t' read -r number path; do
        # Every sixth group is held out.
        [ $((number % 6)) = 0 ] && part=heldout || part=photos
        ffmpeg -nostdin -v error -y -i "$path" -vf "scale='min(768,iw)':'min(768,ih)':force_original_aspect_ratio=decrease:flags=area" \
            -frames:v 1 -pix_fmt rgb24 "$work/data/$part/$(printf "%03d-%03d" "$number" "$i").png"
        i=$((i + 1))
    done < <(chosen)
    cp usr/share/doc/opencv-doc/examples/data/vtest.avi "$work/data/"
    cp usr/share/doc/opencv-doc/examples/data/{Megamind,tree}.avi "$work/data/clips/"
    mv "$work/data" "$cache/data"
    rm -rf "$work"
}

# What needs no pictures and clips goes without them.
case " $* " in
*" judge "* | *" stereo "* | *" --depth-only "* | *" --attributes-only "*) data=() ;;
*)
    [ -d "$cache/data" ] || (prepare)
    data=(--data "$cache/data")
    ;;
esac
dotnet build "$here/eval.csproj" -c Release --nologo -v quiet >&2
exec dotnet "$here/bin/Release/net10.0/eval.dll" "${data[@]}" "$@"
