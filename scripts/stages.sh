#!/usr/bin/env bash
# One stage of the checks: scripts/stages.sh NAME. scripts/ci.sh runs them all; each can be run alone.
#
#   runtimes             installs and checks the OpenCL runtimes        (scripts/runtimes.sh)
#   fmt clippy doc       the formatter, the linter, the documentation, no warning let through
#   policy               licences, bans and sources of every dependency (deny.toml)
#   build                every test of the development profile (optimised, with debug assertions)
#   host                 unit, integration and documentation tests that need no OpenCL device, and the kernels' own on PoCL
#   device-RUNTIME       on one runtime, the conformance tests in one process and the runtime layer's in another: pocl,
#                        intel, rusticl; the conformance tests alone on oclgrind, twice
#   release              the tests that must run without debug assertions (tests/release_*.rs)
#   run                  the main job on a real file (make run) on the CPU and on PoCL
#   portable             the distribution build, for any CPU of the target
#   bench                every criterion bench, once, untimed
#
# Test files are sorted by name, so that none is forgotten: conformance* and runtime* run on each runtime, release_* without
# debug assertions, and every other on the host. The tests of a runtime are told
#   STARKWRIGHT_TEST_RUNTIME    the runtime's name
#   STARKWRIGHT_TEST_VARIANTS   the kernel variants to test, comma-separated
#   STARKWRIGHT_TEST_REPORT     a file to append to: runtime TAB variant TAB suite TAB cases   (scripts/coverage.sh)
#   STARKWRIGHT_OCLGRIND_LOG    under Oclgrind, where its messages arrive
#
# Exit status: 0 passed, 4 a runtime that the stage needs is missing, anything else failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo=${CARGO:-cargo}
target=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)
results=$target/ci
mkdir -p "$results"

# A lock file that does not fit its manifests is an error in CI, and a thing to be updated at a desk.
locked=()
[ "${CI:-}" != true ] || locked=(--locked)

# The conformance tests link libOpenCL (their second way to launch kernels); without it the rest is tested.
# One selection for every stage: cargo unifies features over it, and another one would build Plonky3 again.
workspace=(--workspace)
can_link() { ! grep -qs '^loader:' "$target/opencl/missing.txt"; }
can_link || workspace+=(--exclude starkwright-hw-tests)
if [ -e "$target/opencl/env/loader.env" ]; then
    # shellcheck disable=SC1091  # written by scripts/runtimes.sh
    . "$target/opencl/env/loader.env"
fi

need_link() {
    can_link && return
    echo "missing: loader: libOpenCL.so, which the device tests link" >&2
    exit 4
}

# --- tests by name --------------------------------------------------------------------------------

test_names() {
    local path
    for path in */tests/*.rs */tests/*/main.rs; do
        [ -e "$path" ] || continue
        can_link || [[ $path != hw-tests/* ]] || continue
        path=${path%/main.rs}
        path=${path##*/}
        printf '%s\n' "${path%.rs}"
    done | sort -u
}

# `--test NAME` for every test file whose name matches the pattern, or with `not`, does not.
test_flags() {
    local name keep
    while read -r name; do
        keep=no
        [[ ! $name =~ $2 ]] || keep=yes
        [ "$1" = is ] && [ $keep = no ] && continue
        [ "$1" = not ] && [ $keep = yes ] && continue
        printf -- '--test\n%s\n' "$name"
    done < <(test_names)
}

host_tests() {
    local flags
    mapfile -t flags < <(test_flags not '^(conformance|runtime|release_)')
    local status=0
    if [ -e "$target/opencl/env/pocl.env" ]; then
        # shellcheck disable=SC1091  # written by scripts/runtimes.sh
        . "$target/opencl/env/pocl.env"
    fi
    "$cargo" test "${locked[@]}" "${workspace[@]}" --no-fail-fast --lib "${flags[@]}" || status=$?
    "$cargo" test "${locked[@]}" "${workspace[@]}" --no-fail-fast --doc || status=$?
    return "$status"
}

# One process for each test file: drivers compile their programs once in it. One test at a time: the runtime itself uses every core, and
# deadlines and memory counts are then about one test.
device_tests() {
    local pass=$1 runtime=$2 variants=$3 files='^(conformance|runtime)' flags
    shift 3
    need_link
    # Interpreted, the runtime layer's tests would show nothing new.
    [ "$runtime" != oclgrind ] || files='^conformance'
    mapfile -t flags < <(test_flags is "$files")
    [ ${#flags[@]} -gt 0 ] || { echo "there is no test file named conformance*" >&2; exit 1; }
    rm -f "$results/report-$pass.tsv"
    scripts/runtimes.sh exec "$runtime" env \
        STARKWRIGHT_TEST_RUNTIME="$runtime" STARKWRIGHT_TEST_VARIANTS="$variants" \
        STARKWRIGHT_TEST_REPORT="$results/report-$pass.tsv" RUST_TEST_THREADS="${RUST_TEST_THREADS:-1}" "$@" \
        "$cargo" test "${locked[@]}" "${workspace[@]}" --no-fail-fast "${flags[@]}"
}

# What needs no device for its verdict, but is the better for one. (CI has every runtime, or has failed already.)
on_pocl_if_there() {
    if [ -e "$target/opencl/env/pocl.env" ]; then
        scripts/runtimes.sh exec pocl env STARKWRIGHT_TEST_RUNTIME=pocl "$@"
    else
        "$@"
    fi
}

# --- Oclgrind -------------------------------------------------------------------------------------

# Oclgrind empties its log file each time a context opens, and a test process opens many. A named pipe cannot be
# emptied: this shell holds it open throughout, and a reader keeps what passes through.
oclgrind_tests() {
    local pass=$1 variants=$2 status=0 reader
    shift 2
    local log=$results/$pass.log pipe=$results/$pass.pipe
    rm -f "$pipe"
    mkfifo "$pipe"
    cat "$pipe" >"$log" &
    reader=$!
    exec 9>"$pipe"
    (device_tests "$pass" oclgrind "$variants" \
        OCLGRIND_LOG="$pipe" STARKWRIGHT_OCLGRIND_LOG="$log" "$@" 9>&-) || status=$?
    exec 9>&-
    wait "$reader"
    rm -f "$pipe"
    [ "$status" = 0 ] || return "$status"
    judge_oclgrind_log "$log"
}

# Every message is a title, then a line `Kernel: NAME`, then indented details. The kernels that are wrong on purpose are
# named planted_*: their races must be there, which proves that Oclgrind ran and looked; nothing else may be.
judge_oclgrind_log() {
    awk '
        /^\tKernel: planted_/ { if (title ~ /data race/) races++; else planted++; title = ""; next }
        /^\tKernel: /         { bad[title " in " $2]++; title = ""; next }
        /^[^\t]/              { if (title != "") bad[title]++; title = $0; sub(/ at (local|global|private|constant) memory address.*/, "", title) }
        END {
            if (title != "") bad[title]++
            for (message in bad) { printf "oclgrind: %d times: %s\n", bad[message], message; faults++ }
            printf "oclgrind: %d messages of planted races, %d of other planted faults, %d kinds of fault\n", races, planted, faults
            if (races == 0) print "oclgrind: the planted race is not in the log: Oclgrind did not run or did not look"
            exit (races == 0 || faults > 0)
        }' "$1"
}

# --- tools ----------------------------------------------------------------------------------------

# cargo-deny at a fixed version, unoptimised: it builds in under a minute and checks in a second.
cargo_deny() {
    local version=0.20.2 tools=$target/tools
    if [ "$(cargo-deny --version 2>/dev/null)" = "cargo-deny $version" ]; then
        cargo-deny "$@"
        return
    fi
    if [ "$("$tools/bin/cargo-deny" --version 2>/dev/null)" != "cargo-deny $version" ]; then
        CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_OPT_LEVEL=0 "$cargo" install cargo-deny --version "$version" \
            --locked --debug --no-default-features --root "$tools" --target-dir "$tools/build" || {
            echo "missing: cargo-deny $version, to check deny.toml (cargo install needs the network)" >&2
            exit 4
        }
        rm -rf "$tools/build"
    fi
    "$tools/bin/cargo-deny" "$@"
}

# --- the stages -----------------------------------------------------------------------------------

case ${1:-} in
    runtimes) scripts/runtimes.sh install || exit 4 ;;
    fmt) "$cargo" fmt --all --check ;;
    clippy) "$cargo" clippy "${locked[@]}" --workspace --all-targets -- -D warnings ;;
    doc) RUSTDOCFLAGS="-D warnings" "$cargo" doc "${locked[@]}" --workspace --no-deps ;;
    policy) cargo_deny "${locked[@]}" check licenses bans sources ;;
    build)
        mapfile -t flags < <(test_flags not '^release_')
        "$cargo" test "${locked[@]}" "${workspace[@]}" --no-run --lib "${flags[@]}"
        ;;
    host) host_tests ;;
    device-pocl) device_tests pocl pocl vector,scalar ;;
    device-intel) device_tests intel intel vector,scalar ;;
    device-rusticl) device_tests rusticl rusticl scalar ;;
    # The scalar variant is what a GPU runs: Oclgrind's default limits (32 KiB of local memory) are part of the test.
    device-oclgrind-scalar) oclgrind_tests oclgrind-scalar scalar ;;
    device-oclgrind-vector) oclgrind_tests oclgrind-vector vector OCLGRIND_LOCAL_MEM_SIZE=1048576 ;;
    release)
        need_link
        on_pocl_if_there "$cargo" test "${locked[@]}" "${workspace[@]}" --no-fail-fast --release --test 'release_*'
        ;;
    run) on_pocl_if_there scripts/run.sh ;;
    portable)
        # Apart from the native build: the same folder would be rebuilt at every change between the two.
        "$cargo" build "${locked[@]}" --release -p starkwright --config .cargo/portable.toml \
            --target-dir "$target/portable"
        ;;
    bench)
        need_link
        on_pocl_if_there "$cargo" bench "${locked[@]}" "${workspace[@]}" --benches -- --test
        ;;
    *)
        echo "usage: $0 STAGE  (see the head of this file)" >&2
        exit 2
        ;;
esac
