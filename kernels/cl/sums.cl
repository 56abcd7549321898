// Sums of products of field elements, reduced once at the end.
//
// A product of two words is below P^2 < P * 2^31, so a sum below BOUND = P * 2^32 takes two more products and stays
// below 2 * BOUND < 2^64. One conditional subtraction of BOUND, a multiple of P, then brings it back. A Montgomery
// reduction takes all that is below BOUND: (BOUND + 2^32 P) / 2^32 = 2 P.

#ifndef STARKWRIGHT_SUMS
#define STARKWRIGHT_SUMS

#define BOUND ((ulong)PRIME << 32)

// Back below BOUND from below 2 * BOUND: where s < BOUND the subtraction wraps to a huge value and min keeps s.
#define BOUNDED(s) min(s, (s) - BOUND)

// The Montgomery reduction s / 2^32 of a sum below BOUND.
INLINE uint f_reduce(ulong s) {
    uint d = (uint)(s >> 32) - mul_hi((uint)s * MU, PRIME);
    return min(d, d + PRIME);
}

// SUMS: one sum for each element of a V, changed in place. s_mul and s_scale add a product to each; s_bound must follow
// every second one.
// LANES: sums in which it does not matter which element a product came from.
#if VEC == 16

typedef struct { ulong8 even, odd; } SUMS;

INLINE void s_clear(SUMS *s) {
    s->even = s->odd = (ulong8)0;
}

INLINE void s_bound(SUMS *s) {
    s->even = BOUNDED(s->even);
    s->odd = BOUNDED(s->odd);
}

INLINE void s_mul(SUMS *s, V x, V w) {
    s->even += EVEN(x) * EVEN(w);
    s->odd += ODD(x) * ODD(w);
}

INLINE void s_scale(SUMS *s, V x, uint w) {
    s->even += EVEN(x) * v_lanes(w);
    s->odd += ODD(x) * v_lanes(w);
}

// The sums, below BOUND, as field elements.
INLINE V s_value(const SUMS *s) {
    return v_reduce(s->even, s->odd);
}

INLINE void s_load(SUMS *s, const __global ulong *p) {
    s->even = vload8(0, p);
    s->odd = vload8(1, p);
}

INLINE void s_store(const SUMS *s, __global ulong *p) {
    vstore8(s->even, 0, p);
    vstore8(s->odd, 1, p);
}

typedef ulong8 LANES;

// s + x * w; even and odd products meet in one lane.
INLINE LANES l_mul(LANES s, V x, V w) {
    s += EVEN(x) * EVEN(w) + ODD(x) * ODD(w);
    return BOUNDED(s);
}

// The sum of all lanes.
INLINE uint l_value(LANES s) {
    ulong4 a = s.lo + s.hi;
    a = BOUNDED(a);
    ulong2 b = a.lo + a.hi;
    b = BOUNDED(b);
    ulong c = b.x + b.y;
    return f_reduce(BOUNDED(c));
}

#else

typedef ulong SUMS;

INLINE void s_clear(SUMS *s) { *s = 0; }
INLINE void s_bound(SUMS *s) { *s = BOUNDED(*s); }
INLINE void s_mul(SUMS *s, V x, V w) { *s += (ulong)x * w; }
INLINE void s_scale(SUMS *s, V x, uint w) { *s += (ulong)x * w; }
INLINE V s_value(const SUMS *s) { return f_reduce(*s); }
INLINE void s_load(SUMS *s, const __global ulong *p) { *s = *p; }
INLINE void s_store(const SUMS *s, __global ulong *p) { *p = *s; }

typedef ulong LANES;

INLINE LANES l_mul(LANES s, V x, V w) {
    s += (ulong)x * w;
    return BOUNDED(s);
}

INLINE uint l_value(LANES s) { return f_reduce(s); }

#endif

// VEC columns of a row, of which `left` remain, from word `at` of a matrix that ends at word `end`; 0 for columns beyond
// the row.
INLINE V row_load(const __global uint *matrix, ulong at, ulong end, ulong left) {
#if VEC == 16
    if (left >= 16) return v_load(matrix + at);
    if (at + 16 > end) return v_load_n(matrix + at, (uint)left);
    const uint16 lane = (uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return v_load(matrix + at) & as_uint16(lane < (uint16)(uint)left);
#else
    return matrix[at];
#endif
}

#endif
