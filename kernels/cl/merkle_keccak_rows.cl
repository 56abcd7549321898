// Hashes rows with Keccak-256 over their words in little-endian bytes, as p3's SerializingHasher does for these fields.
// Needs keccak.cl.
//
// Keccak-256: rate 17 lanes = 34 words; the message is padded with a byte 1, zeros, and a bit 0x80 in the rate's last
// byte. (FIPS 202's SHA3-256 pads with a byte 6.)

#define RATE_WORDS 34u

// A block that does not lie in one piece in memory is put together here; all zero between blocks.
#define CLEAR_BLOCK \
    for (uint i = 0u; i < LANES; i++) { \
        vstore16((uint16)0u, 0, block + i * RATE_WORDS); \
        vstore16((uint16)0u, 0, block + i * RATE_WORDS + 16u); \
        vstore2((uint2)0u, 0, block + i * RATE_WORDS + 32u); }

// n words, n < 34, with overlapping vectors: the compiler must not make it a call.
#define COPY_TWICE(width, load, store) { \
    store(load(0, from), 0, to); store(load(0, from + n - (width)), 0, to + n - (width)); }
static inline __attribute__((always_inline)) void copy_words(uint *to, const __global uint *from, uint n) {
    if (n >= 16u) {
        if (n >= 32u) vstore16(vload16(1, from), 1, to);
        COPY_TWICE(16, vload16, vstore16)
    } else if (n >= 8u) {
        COPY_TWICE(8, vload8, vstore8)
    } else if (n >= 4u) {
        COPY_TWICE(4, vload4, vstore4)
    } else {
        if (n > 0u) to[0] = from[0];
        if (n > 1u) to[1] = from[1];
        if (n > 2u) to[2] = from[2];
    }
}

// Takes up a block of every row at p.
#define ABSORB(p, stride) { K t0, t1, t2, t3, t4, t5, t6, t7; \
    LOAD_LANES8(p, stride, t0, t1, t2, t3, t4, t5, t6, t7) \
    a0 ^= t0; a1 ^= t1; a2 ^= t2; a3 ^= t3; a4 ^= t4; a5 ^= t5; a6 ^= t6; a7 ^= t7; \
    LOAD_LANES8((p) + 16, stride, t0, t1, t2, t3, t4, t5, t6, t7) \
    a8 ^= t0; a9 ^= t1; a10 ^= t2; a11 ^= t3; a12 ^= t4; a13 ^= t5; a14 ^= t6; a15 ^= t7; \
    a16 ^= LOAD_LANE((p) + 32, stride); }

#define ZERO_LANE(i) a##i = (K)0UL;
#if LANES == 8
#define RESUME_LANE(i) a##i = as_ulong8(vload16(i, states + first * 50u));
#define SAVE_LANE(i) vstore16(as_uint16(a##i), i, states + first * 50u);
#else
#define RESUME_LANE(i) a##i = as_ulong(vload2(i, states + first * 50u));
#define SAVE_LANE(i) vstore2(as_uint2(a##i), i, states + first * 50u);
#endif

// Bits of `flags`.
#define RESUME 1u
#define FINISH 2u

// Arguments as those of poseidon2_rows; `position` counts words modulo RATE_WORDS.
KECCAK_GROUP __kernel void keccak_rows(
    const __global uint *a, ulong a_at, uint a_width, const __global uint *b, ulong b_at, uint b_width,
    const __global uint *c, ulong c_at, uint c_width, const __global uint *d, ulong d_at, uint d_width,
    ulong n, __global uint *digests, ulong digests_at, __global uint *states, uint position, uint flags) {
    KECCAK_TILE(n)
    KECCAK_STATE
    uint block[LANES * RATE_WORDS];
    CLEAR_BLOCK
    if (flags & RESUME) { EACH_LANE(RESUME_LANE) } else { EACH_LANE(ZERO_LANE) }

    uint matrix = 0u, column = 0u, width = a_width, more = 1u;
    const __global uint *row = a + (a_at + first * a_width);
    while (more) {
        while (column == width && matrix < 3u) {
            matrix++;
            column = 0u;
            width = matrix == 1u ? b_width : matrix == 2u ? c_width : d_width;
            row = matrix == 1u ? b + b_at : matrix == 2u ? c + c_at : d + d_at;
            row += first * width;
        }
        const uint left = width - column;
        if (position == 0u && left >= RATE_WORDS) {
            ABSORB(row + column, width)
            column += RATE_WORDS;
        } else {
            if (left != 0u) {
                const uint take = min(left, RATE_WORDS - position);
                for (uint i = 0u; i < LANES; i++) {
                    copy_words(block + (i * RATE_WORDS + position), KECCAK_ROW(row + column, width, i), take);
                }
                column += take;
                position += take;
                if (position < RATE_WORDS) continue;
            } else {
                more = 0u;
                if (flags & FINISH) {
                    for (uint i = 0u; i < LANES; i++) {
                        block[i * RATE_WORDS + position] = 1u;
                        block[(i + 1u) * RATE_WORDS - 1u] |= 0x80000000u;
                    }
                }
            }
            // A block taken up in two parts is the same as one taken up at once: the parts are added to the state.
            ABSORB(block, RATE_WORDS)
            CLEAR_BLOCK
            position = 0u;
            if (!more && (flags & FINISH) == 0u) break;
        }
        KECCAK_F
    }

    if (flags & FINISH) {
        __global uint *to = digests + (digests_at + first * 8u);
        STORE_LANES4(to, 8u, a0, a1, a2, a3)
    } else {
        EACH_LANE(SAVE_LANE)
    }
}
