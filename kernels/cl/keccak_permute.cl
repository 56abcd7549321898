// The bare permutation, for conformance tests and benchmarks. Needs keccak.cl.

#define LOAD_STATE_LANE(i) a##i = LOAD_LANE(p + 2 * (i), 50u);
#if LANES == 8
#define STORE_STATE_LANE(i) { ulong t[LANES]; vstore8(a##i, 0, t); \
    for (uint k = 0u; k <= mask; k++) vstore2(as_uint2(t[k]), (i), KECCAK_ROW(p, 50u, k)); }
#else
#define STORE_STATE_LANE(i) vstore2(as_uint2(a##i), (i), p);
#endif

// Permutes n states in place, each 25 lanes of two words; n is a power of two.
KECCAK_GROUP __kernel void keccak_permute(__global uint *states, ulong n) {
    KECCAK_TILE(n)
    __global uint *p = states + first * 50u;
    KECCAK_STATE
    EACH_LANE(LOAD_STATE_LANE)
    KECCAK_F
    EACH_LANE(STORE_STATE_LANE)
}
