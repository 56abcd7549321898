// Proof-of-work search for p3's serializing challenger over Keccak-256. Needs keccak.cl, -DPRIME and -DMU.

#if LANES == 8
#define OFFSETS (K)(0UL, 1UL, 2UL, 3UL, 4UL, 5UL, 6UL, 7UL)
#else
#define OFFSETS 0UL
#endif

#define START_LANE(i) a##i = (K)0UL;
#define ABSORB_LANE(i) if ((i) < 17) { \
    a##i ^= (K)message[block * 17u + (i)]; \
    if (block * 17u + (i) == lane) a##i ^= low; \
    if (block * 17u + (i) == lane + 1u) a##i ^= high; }

// Candidates base, base + 1, ..., LANES to a work-item, canonical, `count` of them and none from PRIME on. The message
// is `blocks` padded blocks of 17 lanes, with zeros where the candidate's Montgomery word goes, little-endian, from byte
// `at` on. A candidate passes if `bits` (a mask) is zero in the last four bytes of the digest, read as a little-endian
// word. The smallest that passes is min'ed into *found. to_montgomery is 2^64 mod P.
__kernel void grind_keccak(
    const __global ulong *message, uint blocks, uint at, uint bits, uint base, uint count, uint to_montgomery,
    __global uint *found) {
    const uint offset = (uint)get_global_id(0) * LANES;
    if (offset >= count || base + offset >= PRIME) return;
    const uint lanes = min(min(count - offset, PRIME - base - offset), (uint)LANES);

    // Montgomery product with 2^64 mod P, one to a lane.
    const K product = ((K)(ulong)(base + offset) + OFFSETS) * (K)(ulong)to_montgomery;
    const K q = (product * (K)(ulong)MU) & (K)0xffffffffUL;
    K word = (product >> 32) + (K)(ulong)PRIME - ((q * (K)(ulong)PRIME) >> 32);
    word = min(word, word - (K)(ulong)PRIME);

    const uint lane = at / 8u, shift = 8u * (at % 8u);
    const K low = word << shift, high = shift > 32u ? word >> (64u - shift) : (K)0UL;
    KECCAK_STATE
    EACH_LANE(START_LANE)
    for (uint block = 0u; block < blocks; block++) {
        EACH_LANE(ABSORB_LANE)
        KECCAK_F
    }
    const K sample = (a3 >> 32) & (K)(ulong)bits;
#if LANES == 8
    ulong samples[LANES];
    vstore8(sample, 0, samples);
    for (uint i = 0u; i < lanes; i++) {
        if (samples[i] == 0UL) { atomic_min(found, base + offset + i); return; }
    }
#else
    if (sample == 0UL) atomic_min(found, base + offset);
#endif
}
