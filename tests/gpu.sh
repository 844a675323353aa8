#!/usr/bin/env bash
# Checks sora on an NVIDIA GPU: builds with CUDA, holds results against the reference tensors on the device, and measures
# speed and memory. Needs a GPU with its driver, and a NuGet feed that serves TorchSharp-cuda-linux.
# Not run yet, for want of a GPU. The last line is "gpu.sh: passed" or "gpu.sh: failed".
set -uo pipefail
cd "$(dirname "$0")/.." || exit
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_HOME=${DOTNET_CLI_HOME:-${HOME:-/tmp}}

fail() {
    echo "tests/gpu.sh: $*" >&2
    echo "gpu.sh: failed"
    exit 1
}

# What sora says of the machine, which must have the GPU: tests that need one are skipped where libtorch finds none.
find_gpu() {
    local system
    system=$(dotnet src/Sora.Cli/bin/Release/net10.0/sora.dll info --system) || return
    echo "$system"
    [[ $system == *cuda:0* ]]
}

nvidia-smi || fail "no NVIDIA GPU or driver"
dotnet build sora-cli.sln -c Release -p:Backend=cuda --nologo -v quiet || fail "the build failed; does the feed serve TorchSharp-cuda-linux?"
find_gpu || fail "libtorch finds no GPU"
dotnet test tests/Sora.Tests -c Release --no-build --nologo -v quiet --filter "Category=Gpu" \
    --logger "console;verbosity=normal" -- RunConfiguration.TreatNoTestsAsError=true || fail "tests failed"
dotnet run -c Release --no-build --project tests/bench -- gpu || fail "the measurement failed"
echo "gpu.sh: passed"
