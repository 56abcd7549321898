#!/usr/bin/env bash
# Runs the stages of scripts/stages.sh one after the other, whatever fails, and ends with the failures' last lines, the
# minutes per stage, the table of what ran on each runtime, and the number of tests.
#
#   scripts/ci.sh          what CI runs
#   scripts/ci.sh long     that with more cases (STARKWRIGHT_LONG=1, PROPTEST_CASES), the portable build and the benches
#   STAGES="fmt host" scripts/ci.sh    some of the stages
#
# With CI=true anything missing (a runtime, a tool) is a failure; at a desk it is named, and the rest decides.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

all="runtimes fmt clippy doc policy build host device-pocl device-intel device-rusticl device-oclgrind-scalar
     device-oclgrind-vector release run"
readonly target_minutes=40 alarm_minutes=60
# Past this CI stops by itself, so that what it has to say is said before whatever called it runs out of patience.
limit_minutes=82

# The short run draws the same cases each time, the long one new ones; either prints the smallest case that fails.
case ${1:-} in
    '') export PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED:-31}" ;;
    long)
        export STARKWRIGHT_LONG=1 PROPTEST_CASES="${PROPTEST_CASES:-2048}"
        all="$all portable bench"
        limit_minutes=$((24 * 60))
        ;;
    *)
        echo "usage: $0 [long]" >&2
        exit 2
        ;;
esac
read -r -d '' -a stages <<<"${STAGES:-$all}" || true

# Plain logs; no incremental builds, whose files a fresh clone never uses again.
if [ "${CI:-}" = true ]; then
    export CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never CARGO_INCREMENTAL=0
fi
export RUST_BACKTRACE="${RUST_BACKTRACE:-1}" CARGO_NET_RETRY="${CARGO_NET_RETRY:-5}"

results=${CARGO_TARGET_DIR:-target}/ci
mkdir -p "$results"
rm -f "$results"/*.log "$results"/*.tsv "$results"/*.pipe

declare -A outcome seconds
failures=()
fail() { failures+=("$*"); }

tests_wanted() { [[ " ${stages[*]} " =~ \ (host|device-[a-z-]+|release)\  ]]; }

# Tests counted from the lines `test result: ok. N passed; N failed; N ignored; ...` of a stage's log: passed failed ignored.
count_tests() {
    awk '
        /^test result: / {
            for (i = 4; i <= NF; i++) {
                if ($i == "passed;") passed += $(i - 1)
                if ($i == "failed;") failed += $(i - 1)
                if ($i == "ignored;") ignored += $(i - 1)
            }
        }
        END { print passed + 0, failed + 0, ignored + 0 }' "$@"
}

# Runs one stage within what is left of the time, and keeps its log.
run_stage() {
    local stage=$1 log=$results/stage-$1.log status=0 start=$SECONDS left=$((limit_minutes * 60 - SECONDS))
    printf '\n===== %s (minute %d)\n' "$stage" $((SECONDS / 60))
    if [ "$left" -le 0 ]; then
        outcome[$stage]='not run' seconds[$stage]=0
        fail "$stage was not run: $limit_minutes minutes had passed"
        return
    fi
    timeout --kill-after=10 "$left" scripts/stages.sh "$stage" </dev/null 2>&1 | tee "$log" || status=${PIPESTATUS[0]}
    seconds[$stage]=$((SECONDS - start))
    case $status in
        0) outcome[$stage]=passed ;;
        4) outcome[$stage]=missing ;;
        124 | 137) outcome[$stage]='timed out' ;;
        *) outcome[$stage]=failed ;;
    esac
    case $stage:$status in
        host:0 | device-*:0 | release:0)
            if [ "$(count_tests "$log" | cut -d ' ' -f 1)" = 0 ]; then
                outcome[$stage]=empty
                fail "$stage ran no test"
            fi
            ;;
        *:0) ;;
        *:4) [ "${CI:-}" != true ] || fail "$stage: something it needs is missing" ;;
        *) fail "$stage ${outcome[$stage]}" ;;
    esac
}

# The end of each failed stage's log, again, where it is found at once.
print_failed_logs() {
    local stage
    for stage in "${stages[@]}"; do
        case ${outcome[$stage]} in
            failed | 'timed out')
                printf '\n----- the last lines of %s\n' "$stage"
                tail -n 40 "$results/stage-$stage.log"
                ;;
        esac
    done
}

print_minutes() {
    local stage
    printf '\n%-24s %8s  %s\n' stage minutes outcome
    for stage in "${stages[@]}"; do
        printf '%-24s %8s  %s\n' "$stage" "$(minutes "${seconds[$stage]}")" "${outcome[$stage]}"
    done
    printf '%-24s %8s  target %d, alarm %d\n' total "$(minutes "$SECONDS")" "$target_minutes" "$alarm_minutes"
    if [ "$SECONDS" -ge $((alarm_minutes * 60)) ]; then
        echo "ALARM: more than $alarm_minutes minutes: move cases to make test-long"
    elif [ "$SECONDS" -ge $((target_minutes * 60)) ]; then
        echo "over the target of $target_minutes minutes"
    fi
}

minutes() { awk -v s="$1" 'BEGIN { printf "%.1f", s / 60 }'; }

# The table, where any stage that reports into it was asked for.
print_coverage() {
    [[ " ${stages[*]} " == *" device-"* ]] || return 0
    local lacking
    lacking=$(sed -n 's/^\([a-z]*\):.*/\1/p' "${CARGO_TARGET_DIR:-target}"/opencl/missing.txt /dev/null 2>/dev/null |
        paste -s -d , -) || true
    # Without libOpenCL to link there are no device tests at all.
    [[ ,$lacking, != *,loader,* ]] || lacking=pocl,intel,rusticl,oclgrind
    local reports=()
    mapfile -t reports < <(find "$results" -name 'report-*.tsv' | sort)
    printf '\ncases run:\n'
    # Where only some stages were asked for, the table has holes for that reason.
    scripts/coverage.sh scripts/coverage.tsv "$lacking" "${reports[@]}" || [ -n "${STAGES:-}" ] ||
        fail "the table of what ran has faults"
}

# Each stage says `missing: NAME: what to do` of what it lacks.
print_missing() {
    local lines
    lines=$(cat "$results"/stage-*.log | grep '^missing: ' | sort -u) || return 0
    printf '\n%s\n' "$lines"
}

main() {
    local stage passed failed ignored failure
    for stage in "${stages[@]}"; do run_stage "$stage"; done

    print_failed_logs
    print_minutes
    print_coverage
    print_missing

    read -r passed failed ignored < <(count_tests "$results"/stage-*.log)
    if tests_wanted && [ "$passed" = 0 ]; then fail "no test ran"; fi
    printf '\n'
    for failure in "${failures[@]}"; do printf 'FAILED: %s\n' "$failure"; done
    if tests_wanted; then printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$ignored"; fi
    [ ${#failures[@]} -eq 0 ]
}

main
