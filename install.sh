#!/usr/bin/env bash
# Builds sora and installs it for this user; see usage below.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
prefix=${HOME:-/root}/.local
demo=no
action=install
packages=

usage() {
    cat <<'END'
Usage: ./install.sh [--prefix FOLDER] [--demo] [--packages local|nuget] [--prerequisites | --uninstall]

Installs what the build needs (Debian packages, as root or with sudo), builds sora, and installs the program,
its built-in model, manual pages and shell completions under FOLDER (default: ~/.local). May be run again.

  --prefix FOLDER          where to install
  --demo                   then make demo.mp4 from a prompt, in the current folder
  --packages local|nuget   libtorch and ffmpeg of the system, or the packages TorchSharp and FFMpegCore with CUDA;
                           without it: nuget where there is an NVIDIA driver and a feed that serves them, else local
  --prerequisites          install only the Debian packages
  --uninstall              remove what an earlier run installed under FOLDER (Debian packages stay)
END
}

say() { echo "install.sh: $*"; }
die() {
    echo "install.sh: $*" >&2
    exit 1
}

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
            --prefix) [ $# -gt 1 ] || die "--prefix needs a folder"; prefix=$2; shift ;;
            --prefix=*) prefix=${1#*=} ;;
            --packages) [ $# -gt 1 ] || die "--packages needs local or nuget"; packages=$2; shift ;;
            --packages=*) packages=${1#*=} ;;
            --demo) demo=yes ;;
            --prerequisites) action=prerequisites ;;
            --uninstall) action=uninstall ;;
            -h | --help) usage; exit ;;
            *) usage >&2; exit 2 ;;
        esac
        shift
    done
    case $packages in '' | local | nuget) ;; *) die "--packages is local or nuget, not '$packages'" ;; esac
    case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
}

need_sdk() {
    command -v dotnet >/dev/null || die "the .NET 10 SDK is missing: install it, so that 'dotnet --version' works"
    (cd "$here" && dotnet --version >/dev/null 2>&1) || die "the .NET SDK here is too old: version 10 is needed"
}

has_nvidia() { [ -e /proc/driver/nvidia/version ] || { command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; }; }

# What every restore that follows takes its packages from; one that succeeds is the proof that the feed serves them.
feed_serves_packages() { dotnet restore "$here/src/Sora.Cli" -p:Packages=nuget --nologo -v quiet >/dev/null 2>&1; }

choose_packages() {
    if [ -n "$packages" ]; then
        say "packages: $packages (as asked)"
    elif ! has_nvidia; then
        packages=local
        say "packages: local, on the system's libtorch and ffmpeg, because there is no NVIDIA driver"
    elif feed_serves_packages; then
        packages=nuget
        say "packages: nuget (TorchSharp with CUDA, FFMpegCore), because there is an NVIDIA driver and the feed serves them"
    else
        packages=local
        say "packages: local, on the system's libtorch and ffmpeg: there is an NVIDIA driver, but no feed that serves TorchSharp"
    fi
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Debian packages: ffmpeg always; for the local build what compiles the C++ shim, and libtorch with a parallel BLAS
# (without it libtorch falls back to a slow one; that of OpenMP shares libtorch's threads, where that with threads of its
# own fights with them for the processors), unless LIBTORCH names another libtorch.
install_prerequisites() {
    local wanted=(ffmpeg) missing=() package as_root=()
    if [ "$packages" != nuget ]; then
        wanted+=(cmake g++ make)
        if [ -z "${LIBTORCH:-}" ]; then wanted+=(libtorch-dev libopenblas0-openmp); fi
    fi
    for package in "${wanted[@]}"; do
        if ! is_installed "$package"; then missing+=("$package"); fi
    done
    if [ ${#missing[@]} = 0 ]; then
        say "Debian packages: all there (${wanted[*]})"
        return
    fi
    command -v apt-get >/dev/null || die "missing: ${missing[*]}; this isn't a Debian system: install what corresponds to them"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "missing: ${missing[*]}; run this as root, or install sudo"
        as_root=(sudo)
    fi
    say "Debian packages: installing ${missing[*]}"
    "${as_root[@]}" apt-get -o Acquire::Retries=3 update -qq </dev/null
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 install -y -qq \
        --no-install-recommends "${missing[@]}" </dev/null >/dev/null
}

runtime() {
    case $(uname -m) in
        x86_64) echo linux-x64 ;;
        aarch64) echo linux-arm64 ;;
        *) die "no build for $(uname -m)" ;;
    esac
}

# Puts a file that it reads from standard input in place.
put() {
    mkdir -p "$(dirname "$1")"
    cat >"$1"
}

install_program() {
    local lib=$prefix/lib/sora bin=$prefix/bin/sora
    mkdir -p "$prefix/lib" "$prefix/bin" || die "$prefix can't be written: choose another --prefix"
    say "building (ReadyToRun, $(runtime))"
    rm -rf "$lib.new"
    dotnet publish "$here/src/Sora.Cli" -c Release -r "$(runtime)" --self-contained false -p:Packages="$packages" \
        -o "$lib.new" --nologo -v quiet
    rm -rf "$lib" && mv "$lib.new" "$lib"
    ln -sfn ../lib/sora/sora "$bin"
    if ! env -u DOTNET_ROOT "$bin" --version >/dev/null 2>&1; then
        # A .NET that lies where programs don't look for it.
        rm "$bin"
        printf '#!/bin/sh\nDOTNET_ROOT=%q exec %q "$@"\n' "$(dirname "$(readlink -f "$(command -v dotnet)")")" "$lib/sora" | put "$bin"
        chmod +x "$bin"
    fi
    say "installed $("$bin" --version): program in $lib, command $bin"
}

install_docs() {
    local page share=$prefix/share
    for page in "$here"/man/*.1; do put "$share/man/man1/$(basename "$page")" <"$page"; done
    "$prefix/bin/sora" completions bash | put "$share/bash-completion/completions/sora"
    "$prefix/bin/sora" completions zsh | put "$share/zsh/site-functions/_sora"
    "$prefix/bin/sora" completions fish | put "$share/fish/vendor_completions.d/sora.fish"
    say "installed manual pages (man -M $share/man sora) and completions for bash, zsh and fish under $share"
}

check_path() {
    case :$PATH: in
        *:"$prefix/bin":*) ;;
        *) say "$prefix/bin is not on your PATH; add: export PATH=\"$prefix/bin:\$PATH\"" ;;
    esac
}

make_demo() {
    local prompt="a red ball rolls left on sand at sunset, the camera zooms in"
    say "making demo.mp4: sora generate \"$prompt\" | sora decode -o demo.mp4"
    "$prefix/bin/sora" generate "$prompt" | "$prefix/bin/sora" decode -o demo.mp4
    say "made $PWD/demo.mp4"
}

uninstall() {
    rm -rf "$prefix/lib/sora" "$prefix/lib/sora.new"
    rm -f "$prefix/bin/sora" "$prefix"/share/man/man1/sora.1 "$prefix"/share/man/man1/sora-*.1 \
        "$prefix/share/bash-completion/completions/sora" "$prefix/share/zsh/site-functions/_sora" \
        "$prefix/share/fish/vendor_completions.d/sora.fish"
    say "removed sora from $prefix; Debian packages stay"
}

parse "$@"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_HOME=${DOTNET_CLI_HOME:-${HOME:-/tmp}}
case $action in
    uninstall) uninstall ;;
    prerequisites) need_sdk; install_prerequisites ;;
    install)
        need_sdk
        choose_packages
        install_prerequisites
        install_program
        install_docs
        check_path
        if [ $demo = yes ]; then make_demo; fi
        ;;
esac
