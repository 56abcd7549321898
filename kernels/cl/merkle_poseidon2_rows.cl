// Hashes rows with the Poseidon2 sponge of p3's PaddingFreeSponge: rate WIDTH - 8, blocks overwrite the rate, a short
// last block overwrites only its part. Needs poseidon2.cl and merkle_rows.cl.

#define RATE (WIDTH - 8)

#define ZERO_WORD(i) s##i = (V)0u;
#define RESUME_WORD(i) s##i = v_load(states + (first * WIDTH + (i) * VEC));
#define SAVE_WORD(i) v_store(s##i, states + (first * WIDTH + (i) * VEC));
#define PUT_WORD(i) case i: s##i = word; break;

// Bits of `flags`.
#define RESUME 1u
#define FINISH 2u

// Hashes row i of up to four matrices, concatenated, for n values of i from 0 on; n is a power of two. A matrix begins
// at word _at of its buffer and has _width columns; an absent one has width 0. Digests are eight words each.
//
// With more than four matrices, a launch without FINISH leaves its states in `states` and one with RESUME goes on
// there; `position` is the number of words absorbed by then, modulo RATE. Otherwise `states` is not touched.
GROUP __kernel void poseidon2_rows(
    const __global uint *a, ulong a_at, uint a_width, const __global uint *b, ulong b_at, uint b_width,
    const __global uint *c, ulong c_at, uint c_width, const __global uint *d, ulong d_at, uint d_width,
    ulong n, __global uint *digests, ulong digests_at, __global uint *states, uint position, uint flags) {
    TILE(n)
    STATE
    if (flags & RESUME) { EACH_WORD(RESUME_WORD) } else { EACH_WORD(ZERO_WORD) }

    uint matrix = 0u, column = 0u, width = a_width;
    const __global uint *row = a + (a_at + first * a_width);
    for (;;) {
        while (column == width && matrix < 3u) {
            matrix++;
            column = 0u;
            width = matrix == 1u ? b_width : matrix == 2u ? c_width : d_width;
            row = matrix == 1u ? b + b_at : matrix == 2u ? c + c_at : d + d_at;
            row += first * width;
        }
        const uint left = width - column;
        if (position == 0u && left >= RATE) {
            LOAD8(row + column, width, FIRST8)
#if RATE == 16
            LOAD8(row + column + 8u, width, SECOND8)
#endif
            column += RATE;
        } else if (left != 0u) {
            for (const uint end = min(width, column + (RATE - position)); column < end; column++, position++) {
                const V word = COLUMN(row + column, width);
                switch (position) {
                    PUT_WORD(0) PUT_WORD(1) PUT_WORD(2) PUT_WORD(3) PUT_WORD(4) PUT_WORD(5) PUT_WORD(6) PUT_WORD(7)
#if RATE == 16
                    PUT_WORD(8) PUT_WORD(9) PUT_WORD(10) PUT_WORD(11) PUT_WORD(12) PUT_WORD(13) PUT_WORD(14) PUT_WORD(15)
#endif
                }
            }
            if (position < RATE) continue;
        } else if (position == 0u || (flags & FINISH) == 0u) {
            break;
        }
        PERMUTE
        position = 0u;
    }

    if (flags & FINISH) {
        STORE8(digests + (digests_at + first * 8u), 8u, FIRST8)
    } else {
        EACH_WORD(SAVE_WORD)
    }
}
