#!/usr/bin/env bash
# Installs what is missing, builds, and runs all tests. The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.." || exit
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_HOME=${DOTNET_CLI_HOME:-${HOME:-/tmp}}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

passed=0 failed=0
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
    exit
}
fail() {
    echo "tests/run.sh: $*" >&2
    failed=$((failed + 1))
}

./install.sh --prerequisites || { fail "the packages that the build needs could not be installed"; finish; }
dotnet build sora-cli.sln --nologo -v quiet || { fail "the build failed"; finish; }

# A count from one attribute of the <Counters> of a result file.
count() { grep -o '<Counters [^>]*' "$2" | grep -o " $1=\"[0-9]*\"" | tr -cd '0-9'; }

for project in $(grep -l "<IsTestProject>true" tests/*/*.csproj); do
    name=$(basename "$project" .csproj)
    dotnet test "$project" --no-build --nologo -v quiet \
        --logger "trx;LogFileName=$name.trx" --logger "console;verbosity=minimal" --results-directory "$results"
    status=$?
    if [ ! -s "$results/$name.trx" ]; then
        fail "$name gave no results"
        continue
    fi
    passed=$((passed + $(count passed "$results/$name.trx")))
    misses=$(($(count total "$results/$name.trx") - $(count passed "$results/$name.trx") - $(count notExecuted "$results/$name.trx")))
    failed=$((failed + misses))
    if [ "$status" != 0 ] && [ "$misses" = 0 ]; then fail "$name ended with status $status"; fi
done
finish
