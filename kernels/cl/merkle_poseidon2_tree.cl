// Layers of a Merkle tree, with p3's TruncatedPermutation: the first eight words of the permuted concatenation of two
// digests. Needs poseidon2.cl at WIDTH 16 and merkle_rows.cl. Digests are eight words; offsets _at count words.

// next[i] = C(prev[2 i], prev[2 i + 1]) for n values of i; n is a power of two. With `inject` 1 the digests `rows` of
// shorter matrices' rows enter: next[i] = C(C(prev[2 i], prev[2 i + 1]), rows[i]).
GROUP __kernel void poseidon2_compress(
    const __global uint *prev, ulong prev_at, const __global uint *rows, ulong rows_at, uint inject,
    __global uint *next, ulong next_at, ulong n) {
    TILE(n)
    const __global uint *pair = prev + (prev_at + first * 16u);
    STATE
    LOAD8(pair, 16u, FIRST8)
    LOAD8(pair + 8, 16u, SECOND8)
    for (uint k = 0u; k <= inject; k++) {
        if (k == 1u) LOAD8(rows + (rows_at + first * 8u), 8u, SECOND8)
        PERMUTE
    }
    STORE8(next + (next_at + first * 8u), 8u, FIRST8)
}

// All layers above the n digests at word `at`, each layer stored behind the one below it. One work-group.
GROUP __kernel void poseidon2_top(__global uint *tree, ulong at, uint n) {
    while (n > 1u) {
        const __global uint *prev = tree + at;
        at += n * 8u;
        n /= 2u;
        const uint mask = min((uint)VEC, n) - 1u;
        for (uint first = (uint)get_local_id(0) * VEC; first < n; first += (uint)get_local_size(0) * VEC) {
            const __global uint *pair = prev + first * 16u;
            STATE
            LOAD8(pair, 16u, FIRST8)
            LOAD8(pair + 8, 16u, SECOND8)
            PERMUTE
            STORE8(tree + (at + first * 8u), 8u, FIRST8)
        }
        barrier(CLK_GLOBAL_MEM_FENCE);
    }
}
