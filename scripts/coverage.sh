#!/usr/bin/env bash
# Compares what the device tests ran with what they must run, and prints it as a table suite x runtime/variant.
#
#   scripts/coverage.sh EXPECTED MISSING [REPORT..]
#
# EXPECTED is scripts/coverage.tsv. MISSING is a comma-separated list of runtimes that this machine lacks: their cells
# are shown as `missing` and judged by the caller. A REPORT has lines `runtime TAB variant TAB suite TAB cases`; cases of the
# same cell add up. Exit status 1: an expected cell is empty, or a report names what is not expected or cannot be read.
set -euo pipefail

expected=$1 missing=$2
shift 2

awk -F '\t' -v missing=",$missing," -v expected="$expected" '
    function fault(text) { faults[++fault_count] = text }

    # The expectations: the header names the runtimes, and each further line is a suite.
    FILENAME == expected {
        if (/^#/ || NF == 0) next
        if (!columns) { columns = NF; for (i = 2; i <= NF; i++) runtime[i] = $i; next }
        if (NF != columns) { fault("line " FNR " of " FILENAME " has " NF " columns, not " columns); next }
        suite[++suites] = $1
        for (i = 2; i <= NF; i++) {
            if ($i !~ /^(v|s|vs|-)$/) fault("line " FNR " of " FILENAME ": " $i)
            if ($i ~ /v/) want[$1, runtime[i], "vector"] = 1
            if ($i ~ /s/) want[$1, runtime[i], "scalar"] = 1
        }
        next
    }

    # The reports.
    NF != 4 || $4 !~ /^[0-9]+$/ { fault("not a report line: " FILENAME ":" FNR ": " $0); next }
    !(($3, $1, $2) in want)     { unexpected[$3 " on " $1 "/" $2] = 1; next }
                                { cases[$3, $1, $2] += $4 }

    END {
        if (suites == 0) fault("no suite is expected: " expected " is empty")
        split("vector scalar", variant, " ")
        printf "%-24s", "suite"
        for (i = 2; i <= columns; i++) for (v = 1; v <= 2; v++) printf " %9s", runtime[i]
        printf "\n%-24s", ""
        for (i = 2; i <= columns; i++) for (v = 1; v <= 2; v++) printf " %9s", variant[v]
        printf "\n"
        for (s = 1; s <= suites; s++) {
            printf "%-24s", suite[s]
            empty = ""
            for (i = 2; i <= columns; i++) for (v = 1; v <= 2; v++) {
                key = suite[s] SUBSEP runtime[i] SUBSEP variant[v]
                if (!(key in want)) cell = "-"
                else if (cases[key] > 0) cell = cases[key]
                else if (index(missing, "," runtime[i] ",")) cell = "missing"
                else { cell = "EMPTY"; empty = empty " " runtime[i] "/" variant[v] }
                printf " %9s", cell
            }
            printf "\n"
            if (empty != "") fault(suite[s] " did not run on" empty)
        }
        for (text in unexpected) fault("reported but not expected, add it to " expected ": " text)
        for (f = 1; f <= fault_count; f++) print "coverage: " faults[f]
        exit fault_count > 0
    }
' "$expected" "$@"
