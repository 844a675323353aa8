#!/usr/bin/env bash
# Installs what is missing, builds, and runs all tests; those of the kernels and the models run again without kernels and
# with other instructions of the processor. The last line is "N passed, N failed", and ", N skipped" if any were.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_HOME=${DOTNET_CLI_HOME:-${HOME:-/tmp}}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

passed=0 failed=0 skipped=0
finish() {
    local line="$passed passed, $failed failed"
    if [ "$skipped" != 0 ]; then line+=", $skipped skipped"; fi
    echo "$line"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
    exit
}
fail() {
    echo "tests/run.sh: $*" >&2
    failed=$((failed + 1))
}

# A count from one attribute of the <Counters> of a result file. There "notExecuted" is always 0: skipped tests are those
# of the total that were not executed.
count() { grep -o '<Counters [^>]*' "$2" | grep -o " $1=\"[0-9]*\"" | tr -cd '0-9'; }

# Runs tests and counts them: run NAME PROJECT [ARGUMENT...]. The name tells one run of a project from another.
run() {
    local name=$1 project=$2 file=$results/$1.trx status total executed misses
    shift 2
    dotnet test "$project" --no-build --nologo -v quiet "$@" \
        --logger "trx;LogFileName=$name.trx" --logger "console;verbosity=minimal" --results-directory "$results"
    status=$?
    if [ ! -s "$file" ]; then
        fail "$name gave no results"
        return
    fi
    total=$(count total "$file") executed=$(count executed "$file")
    misses=$((executed - $(count passed "$file")))
    passed=$((passed + executed - misses)) failed=$((failed + misses)) skipped=$((skipped + total - executed))
    if [ "$total" != "$executed" ]; then
        echo "tests/run.sh: $name: $((total - executed)) skipped:"
        grep -o 'testName="[^"]*"[^>]*outcome="NotExecuted"' "$file" | sed 's/testName="\([^"]*\)".*/  \1/'
    fi
    if [ "$total" = 0 ]; then
        fail "$name has no tests"
    elif [ "$misses" != 0 ]; then
        echo "tests/run.sh: $name: $misses failed" >&2
    elif [ "$status" != 0 ]; then
        fail "$name ended with status $status"
    fi
}

# Programs that read spatial videos and that Debian doesn't have, only for the tests that check ours with them. Those are skipped
# where these can't be installed.
install_readers() {
    local readers=(@remotion/compositor-linux-x64-gnu@4.0.529 mp4box@2.4.1)
    if ! npm install --prefix ~/.cache/sora-tests --ignore-scripts --no-audit --no-fund --silent "${readers[@]}" >/dev/null 2>&1; then
        echo "tests/run.sh: npm could not install ${readers[*]}: tests that need them are skipped" >&2
    fi
}
install_readers

./install.sh --prerequisites || { fail "the packages that the build needs could not be installed"; finish; }
dotnet build sora-cli.sln --nologo -v quiet || { fail "the build failed"; finish; }

{ dotnet tool restore > /dev/null && dotnet csharpier check . ; } || fail "some sources are not formatted: dotnet csharpier format ."

# The program as it is installed: compiled ahead of time, each of the hundreds of commands takes half a second less.
export SORA_BIN=$PWD/artifacts/bin
dotnet publish src/Sora.Cli -c Release -o "$SORA_BIN" --nologo -v quiet || { fail "the program could not be published"; finish; }

for project in $(grep -l "<IsTestProject>true" tests/*/*.csproj); do
    run "$(basename "$project" .csproj)" "$project"
done

# What is computed another way elsewhere: without a C++ compiler, by the plain code for other processors, and with AVX2.
kernels="FullyQualifiedName~Sora.Tests.Kernels"
SORA_KERNELS=off run without-kernels tests/Sora.Tests --filter "$kernels|FullyQualifiedName~Sora.Tests.Models"
ATEN_CPU_CAPABILITY=default run plain tests/Sora.Tests --filter "$kernels"
ATEN_CPU_CAPABILITY=avx2 run avx2 tests/Sora.Tests --filter "$kernels"
finish
