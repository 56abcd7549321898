// The bare permutation, for conformance tests and benchmarks. Needs poseidon2.cl and merkle_rows.cl.

// Permutes n states in place, each WIDTH consecutive words; n is a power of two.
GROUP __kernel void poseidon2_permute(__global uint *states, ulong n) {
    TILE(n)
    __global uint *p = states + first * WIDTH;
    STATE
    LOAD8(p, WIDTH, FIRST8)
    LOAD8(p + 8, WIDTH, SECOND8)
#if WIDTH == 24
    LOAD8(p + 16, WIDTH, THIRD8)
#endif
    PERMUTE
    STORE8(p, WIDTH, FIRST8)
    STORE8(p + 8, WIDTH, SECOND8)
#if WIDTH == 24
    STORE8(p + 16, WIDTH, THIRD8)
#endif
}
