// Layers of a Merkle tree, with p3's CompressionFunctionFromHasher: Keccak-256 of two digests, 64 bytes in one block.
// Needs keccak.cl. Digests are eight words; offsets _at count words.

// The digest of left (m0..m3) and right (m4..m7), into m0..m3.
#define HASH_PAIR { KECCAK_STATE \
    a0 = m0; a1 = m1; a2 = m2; a3 = m3; a4 = m4; a5 = m5; a6 = m6; a7 = m7; \
    a8 = (K)1UL; a9 = a10 = a11 = a12 = a13 = a14 = a15 = (K)0UL; a16 = (K)0x8000000000000000UL; \
    a17 = a18 = a19 = a20 = a21 = a22 = a23 = a24 = (K)0UL; \
    KECCAK_F \
    m0 = a0; m1 = a1; m2 = a2; m3 = a3; }

// As poseidon2_compress.
KECCAK_GROUP __kernel void keccak_compress(
    const __global uint *prev, ulong prev_at, const __global uint *rows, ulong rows_at, uint inject,
    __global uint *next, ulong next_at, ulong n) {
    KECCAK_TILE(n)
    const __global uint *pair = prev + (prev_at + first * 16u);
    const __global uint *row = rows + (rows_at + first * 8u);
    K m0, m1, m2, m3, m4, m5, m6, m7;
    LOAD_LANES8(pair, 16u, m0, m1, m2, m3, m4, m5, m6, m7)
    for (uint k = 0u; k <= inject; k++) {
        if (k == 1u) { LOAD_LANES4(row, 8u, m4, m5, m6, m7) }
        HASH_PAIR
    }
    __global uint *to = next + (next_at + first * 8u);
    STORE_LANES4(to, 8u, m0, m1, m2, m3)
}

// As poseidon2_top.
KECCAK_GROUP __kernel void keccak_top(__global uint *tree, ulong at, uint n) {
    while (n > 1u) {
        const __global uint *prev = tree + at;
        at += n * 8u;
        n /= 2u;
        const uint mask = min((uint)LANES, n) - 1u;
        for (uint first = (uint)get_local_id(0) * LANES; first < n; first += (uint)get_local_size(0) * LANES) {
            const __global uint *pair = prev + first * 16u;
            __global uint *to = tree + (at + first * 8u);
            K m0, m1, m2, m3, m4, m5, m6, m7;
            LOAD_LANES8(pair, 16u, m0, m1, m2, m3, m4, m5, m6, m7)
            HASH_PAIR
            STORE_LANES4(to, 8u, m0, m1, m2, m3)
        }
        barrier(CLK_GLOBAL_MEM_FENCE);
    }
}
