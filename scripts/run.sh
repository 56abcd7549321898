#!/usr/bin/env bash
# The main job on a real file: proves on the CPU that its bytes have their Keccak-256 digest, verifies the proof, does the
# same on an OpenCL device where there is one, and shows that both proofs are the same bytes.
#
#   FILE=... scripts/run.sh        (default: this repository's README.md)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

file=${FILE:-README.md}
target=${CARGO_TARGET_DIR:-target}
out=$target/run
starkwright=$target/release/starkwright

if [ ! -f "$file" ] || [ ! -r "$file" ]; then
    echo "make run: cannot read the file $file" >&2
    exit 2
fi

# Prove and verify on one back end: $1 its selector, $2 the proof's file.
prove_on() {
    printf '\n== %s: prove, then verify\n' "$1"
    "$starkwright" prove keccak -i "$file" -o "$2" --backend "$1"
    "$starkwright" verify "$2" -i "$file"
}

# A device is listed with its selector, "opencl:0". No OpenCL library, or none with a device, is no error here.
opencl_device_found() {
    # All of it first: grep leaves at the first match, and what is written after that would fail.
    local listed
    listed=$("$starkwright" devices --json 2>/dev/null) || return 1
    grep -Eq '"opencl(:[^"]*)?"[[:space:]]*([],}]|$)' <<<"$listed"
}

"${CARGO:-cargo}" build --release -p starkwright
mkdir -p "$out"
rm -f "$out"/*.proof

prove_on cpu "$out/cpu.proof"
if ! opencl_device_found; then
    printf '\nNo OpenCL device here: proved and verified on the CPU (%s).\n' "$out/cpu.proof"
    printf 'With a driver installed (PoCL serves any CPU: pocl-opencl-icd), run again to compare both proofs.\n'
    exit 0
fi
prove_on opencl "$out/opencl.proof"

printf '\n== both proofs\n'
(cd "$out" && { sha256sum cpu.proof opencl.proof 2>/dev/null || cksum cpu.proof opencl.proof; })
cmp "$out/cpu.proof" "$out/opencl.proof" || { echo "make run: the proofs differ" >&2; exit 1; }
printf 'The CPU and the OpenCL device made the same %d bytes.\n' "$(wc -c <"$out/cpu.proof")"
