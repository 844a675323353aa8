#!/usr/bin/env bash
# Builds sora and installs it for this user; see usage below.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
prefix=${HOME:-/root}/.local
demo=no
action=install
backend=

usage() {
    cat <<'END'
Usage: ./install.sh [--prefix FOLDER] [--demo] [--backend cpu|cuda] [--prerequisites | --uninstall]

Installs what the build needs (Debian packages, as root or with sudo), builds sora, and installs the program,
its built-in model, manual pages and shell completions under FOLDER (default: ~/.local). You can run it again.

  --prefix FOLDER      where to install; takes about 500 MB with libtorch for the CPU
  --demo               afterwards, make demo.mp4 from a prompt in the current folder
  --backend cpu|cuda   which libtorch to build with; by default cuda if there is an NVIDIA driver
                       and the NuGet feed serves TorchSharp-cuda-linux, else cpu
  --prerequisites      install only the Debian packages: ffmpeg, and cmake, g++ and make for sora's own kernels
  --uninstall          remove what an earlier run installed under FOLDER (Debian packages stay)
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
            --demo) demo=yes ;;
            --backend) [ $# -gt 1 ] || die "--backend needs cpu or cuda"; backend=$2; shift ;;
            --backend=*) backend=${1#*=} ;;
            --prerequisites) action=prerequisites ;;
            --uninstall) action=uninstall ;;
            -h | --help) usage; exit ;;
            *) usage >&2; exit 2 ;;
        esac
        shift
    done
    case $backend in '' | cpu | cuda) ;; *) die "--backend must be cpu or cuda, not '$backend'" ;; esac
    case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
}

need_x86() {
    [ "$(uname -sm)" = "Linux x86_64" ] || die "there is no libtorch package for $(uname -sm): sora runs on 64-bit x86 Linux"
}

need_sdk() {
    command -v dotnet >/dev/null || die "the .NET 10 SDK is missing: install it and make sure 'dotnet --version' works"
    (cd "$here" && dotnet --version >/dev/null 2>&1) || die "the .NET SDK here is too old: version 10 is needed"
}

has_nvidia() { [ -e /proc/driver/nvidia/version ] || { command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; }; }

# A restore that succeeds is the proof that the feed serves the packages.
feed_serves_cuda() {
    say "found an NVIDIA driver: asking the NuGet feed for TorchSharp-cuda-linux, which is several GB"
    dotnet restore "$here/src/Sora.Cli" -p:Backend=cuda --nologo -v quiet >/dev/null 2>&1
}

choose_backend() {
    if [ -n "$backend" ]; then
        say "backend: $backend (as asked)"
    elif ! has_nvidia; then
        backend=cpu
        say "backend: cpu, because there is no NVIDIA driver"
    elif feed_serves_cuda; then
        backend=cuda
        say "backend: cuda"
    else
        backend=cpu
        say "backend: cpu, because the NuGet feed does not serve TorchSharp-cuda-linux"
    fi
}

# Whether what a Debian package is wanted for is there; a C++ compiler may have another name than g++.
has() {
    case $1 in
        g++) command -v c++ >/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

go_on_without() {
    has ffmpeg || die "missing: $*; this isn't a Debian system: install the equivalents, at least ffmpeg"
    say "missing: $*; sora is built without its own kernels and runs more slowly"
}

# Debian packages: ffmpeg, which reads and writes videos, and what compiles the kernels.
install_prerequisites() {
    local wanted=(ffmpeg cmake g++ make) missing=() package as_root=()
    for package in "${wanted[@]}"; do
        if ! has "$package"; then missing+=("$package"); fi
    done
    if [ ${#missing[@]} = 0 ]; then
        say "Debian packages: all installed (${wanted[*]})"
        return
    fi
    if ! command -v apt-get >/dev/null; then
        go_on_without "${missing[@]}"
        return
    fi
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || die "missing: ${missing[*]}; run this as root, or install sudo"
        as_root=(sudo)
    fi
    say "Debian packages: installing ${missing[*]}"
    "${as_root[@]}" apt-get -o Acquire::Retries=3 update -qq </dev/null
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 install -y -qq \
        --no-install-recommends "${missing[@]}" </dev/null >/dev/null
}

# Puts a file that it reads from standard input in place.
put() {
    mkdir -p "$(dirname "$1")"
    cat >"$1"
}

install_program() {
    local lib=$prefix/lib/sora bin=$prefix/bin/sora
    mkdir -p "$prefix/lib" "$prefix/bin" || die "can't write to $prefix: choose another --prefix"
    say "building ($backend, ReadyToRun)"
    rm -rf "$lib.new"
    dotnet publish "$here/src/Sora.Cli" -c Release -p:Backend="$backend" -o "$lib.new" --nologo -v quiet
    # Symbols and the library's documentation are for developers.
    rm -f "$lib.new"/*.pdb "$lib.new"/*.xml
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
    say "removed sora from $prefix; the Debian packages stay installed"
}

parse "$@"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_HOME=${DOTNET_CLI_HOME:-${HOME:-/tmp}}
case $action in
    uninstall) uninstall ;;
    prerequisites) need_x86; need_sdk; install_prerequisites ;;
    install)
        need_x86
        need_sdk
        choose_backend
        install_prerequisites
        install_program
        install_docs
        check_path
        if [ $demo = yes ]; then make_demo; fi
        ;;
esac
