// Proof-of-work search for p3's duplex challenger over Poseidon2 of width 16. Needs poseidon2.cl.

#if VEC == 16
#define LANES (V)(0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 9u, 10u, 11u, 12u, 13u, 14u, 15u)
#else
#define LANES 0u
#endif

#define SET_WORD(i) s##i = slot == (i) ? candidate : (V)state[i];
#define GET_WORD(i) if (output == (i)) sample = s##i;

// Candidates base, base + 1, ..., VEC to a work-item, canonical, `count` of them and none from PRIME on. A candidate
// passes if, put into word `slot` of `state`, it makes the low bits `bits` (a mask) of the canonical word `output` of
// the permuted state zero. The smallest that passes is min'ed into *found. to_montgomery is 2^64 mod P.
__kernel void grind_poseidon2(
    const __global uint *state, uint slot, uint output, uint bits, uint base, uint count, uint to_montgomery,
    __global uint *found) {
    const uint offset = (uint)get_global_id(0) * VEC;
    if (offset >= count || base + offset >= PRIME) return;
    const uint lanes = min(min(count - offset, PRIME - base - offset), (uint)VEC);
    const V integer = (V)(base + offset) + LANES;
    const V candidate = v_scale(integer, to_montgomery);
    STATE
    EACH_WORD(SET_WORD)
    PERMUTE
    V sample = s0;
    EACH_WORD(GET_WORD)
    // A Montgomery product with the integer 1 leaves the canonical integer.
    sample = v_scale(sample, 1u) & (V)bits;
#if VEC == 16
    if (all(sample != (V)0u)) return;
    uint samples[VEC];
    vstore16(sample, 0, samples);
    for (uint i = 0; i < lanes; i++) {
        if (samples[i] == 0u) { atomic_min(found, base + offset + i); return; }
    }
#else
    if (sample == 0u) atomic_min(found, base + offset);
#endif
}
