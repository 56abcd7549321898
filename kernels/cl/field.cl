// Arithmetic of a 31-bit Montgomery prime field, for every kernel of this crate.
//
// A word holds x * 2^32 mod P and is canonical: below P. Every function takes canonical words and returns canonical
// words. P < 2^31, so sums of two words fit in 32 bits and products of two in 62.
//
// Options:
//   -DPRIME=<P>u
//   -DMU=<P^-1 mod 2^32>u     (the positive inverse, p3's MONTY_MU)
//   -DVEC=16 or -DVEC=1       width of V: 16 on CPUs, 1 on GPUs
//
// f_*: one element in a uint. v_*: VEC elements in a V, element by element; with VEC == 1 the same as f_*.
// Global memory is only 4-byte aligned where it was adopted from the host, so vectors pass through v_load and
// v_store and no pointer to a vector in global memory is ever formed.
// OpenCL C 1.2, no extensions.

#ifndef STARKWRIGHT_FIELD
#define STARKWRIGHT_FIELD

#define INLINE static inline __attribute__((always_inline))

// 1 as a Montgomery word: 2^32 mod P.
#define F_ONE ((uint)(0x100000000UL % PRIME))

// ---- one element ----

// min(s, s - P): where s < P the subtraction wraps to a huge value and min keeps s.
INLINE uint f_add(uint a, uint b) {
    uint s = a + b;
    return min(s, s - PRIME);
}

// Where a < b the difference wraps to a huge value and adding P brings it back below P.
INLINE uint f_sub(uint a, uint b) {
    uint d = a - b;
    return min(d, d + PRIME);
}

INLINE uint f_neg(uint a) {
    return f_sub(0u, a);
}

// Montgomery product a * b / 2^32 (Montgomery 1985, the subtracting form): with q = a * b * P^-1 mod 2^32 the low
// halves of a * b and q * P agree, and the difference of the high halves lies in (-P, P).
INLINE uint f_mul(uint a, uint b) {
    uint q = a * b * MU;
    uint d = mul_hi(a, b) - mul_hi(q, PRIME);
    return min(d, d + PRIME);
}

INLINE uint f_sqr(uint a) {
    return f_mul(a, a);
}

// a / 2: an odd word becomes even by adding P, which is odd.
INLINE uint f_halve(uint a) {
    return (a >> 1) + ((0u - (a & 1u)) & ((PRIME + 1u) >> 1));
}

// a^e for any 32-bit e; a^0 is 1, also for a = 0.
INLINE uint f_pow(uint a, uint e) {
    uint r = F_ONE;
    for (; e != 0u; e >>= 1) {
        if (e & 1u) r = f_mul(r, a);
        a = f_sqr(a);
    }
    return r;
}

// 1 / a by Fermat's little theorem; 0 for a = 0.
INLINE uint f_inv(uint a) {
    return f_pow(a, PRIME - 2u);
}

// ---- VEC elements ----

#if VEC == 16

typedef uint16 V;

INLINE V v_add(V a, V b) {
    V s = a + b;
    return min(s, s - (V)PRIME);
}

INLINE V v_sub(V a, V b) {
    V d = a - b;
    return min(d, d + (V)PRIME);
}

INLINE V v_neg(V a) {
    return v_sub((V)0u, a);
}

INLINE V v_halve(V a) {
    return (a >> 1) + (((V)0u - (a & (V)1u)) & (V)((PRIME + 1u) >> 1));
}

// CPUs multiply 32 x 32 -> 64 bits in 64-bit lanes, so a product takes the even and the odd elements apart.
#define LOW_HALF ((ulong8)0xffffffffUL)
#define EVEN(v) (as_ulong8(v) & LOW_HALF)
#define ODD(v) (as_ulong8(v) >> 32)

// One word in the low half of every lane.
INLINE ulong8 v_lanes(uint w) {
    return as_ulong8((V)w) & LOW_HALF;
}

// v_low_product(a, b): the products of the low halves of the lanes.
// v_low(p): p where only the low halves matter.
#ifdef __AVX512F__
// Otherwise LLVM 14 (PoCL 3.1) loses the proof below, and a radix-4 butterfly takes a quarter longer.
INLINE ulong8 v_low_product(ulong8 a, ulong8 b) {
    ulong8 product;
    __asm__("vpmuludq %2, %1, %0" : "=v"(product) : "v"(a), "v"(b));
    return product;
}

#define v_low(p) (p)
#else
// Compilers use the instruction for it where they can prove the high halves 0, else one at three times the cost. The
// masks are that proof, and cost nothing. But compilers drop a mask whose product is masked again, and the proof with
// it; a shuffle with 0 they keep.
INLINE ulong8 v_low_product(ulong8 a, ulong8 b) {
    return (a & LOW_HALF) * (b & LOW_HALF);
}

INLINE ulong8 v_low(ulong8 p) {
    V v = as_uint16(p);
    return as_ulong8((V)(v.s0, 0u, v.s2, 0u, v.s4, 0u, v.s6, 0u, v.s8, 0u, v.sa, 0u, v.sc, 0u, v.se, 0u));
}
#endif

// The high halves of the lanes of `even` and `odd`, back in their places.
INLINE V v_interleave_high(ulong8 even, ulong8 odd) {
    V e = as_uint16(even), o = as_uint16(odd);
    return (V)(e.s1, o.s1, e.s3, o.s3, e.s5, o.s5, e.s7, o.s7,
               e.s9, o.s9, e.sb, o.sb, e.sd, o.sd, e.sf, o.sf);
}

// Montgomery reduction of every lane, p < 2^32 P: with q = -p / P mod 2^32, p + q P is a multiple of 2^32, and its high
// half is below 2 P. (The adding form: its constants are positive, which the proof above needs.)
INLINE V v_reduce(ulong8 even, ulong8 odd) {
    ulong8 factor = (ulong8)(ulong)(0u - MU), prime = (ulong8)(ulong)PRIME;
    even += v_low_product(v_low(v_low_product(even, factor)), prime);
    odd += v_low_product(v_low(v_low_product(odd, factor)), prime);
    V d = v_interleave_high(even, odd);
    return min(d, d - (V)PRIME);
}

INLINE V v_mul(V a, V b) {
    return v_reduce(v_low_product(as_ulong8(a), as_ulong8(b)), v_low_product(ODD(a), ODD(b)));
}

// Every element of a times the same b.
INLINE V v_scale(V a, uint b) {
    ulong8 w = as_ulong8((V)b);
    return v_reduce(v_low_product(as_ulong8(a), w), v_low_product(ODD(a), w));
}

// a * s + b * t with one reduction for both products.
INLINE V v_dot2(V a, uint s, V b, uint t) {
    ulong8 ws = as_ulong8((V)s), wt = as_ulong8((V)t);
    return v_reduce(v_low_product(as_ulong8(a), ws) + v_low_product(as_ulong8(b), wt),
                    v_low_product(ODD(a), ws) + v_low_product(ODD(b), wt));
}

INLINE V v_load(const __global uint *p) {
    return vload16(0, p);
}

INLINE void v_store(V v, __global uint *p) {
    vstore16(v, 0, p);
}

// The first n elements from p, the rest 0; n <= 16. Reads nothing past p + n.
INLINE V v_load_n(const __global uint *p, uint n) {
    uint t[16];
    for (uint i = 0; i < 16u; i++) t[i] = i < n ? p[i] : 0u;
    return vload16(0, t);
}

// The first n elements to p; n <= 16. Writes nothing past p + n.
INLINE void v_store_n(V v, __global uint *p, uint n) {
    uint t[16];
    vstore16(v, 0, t);
    for (uint i = 0; i < 16u; i++) {
        if (i < n) p[i] = t[i];
    }
}

#else

typedef uint V;

INLINE V v_add(V a, V b) { return f_add(a, b); }
INLINE V v_sub(V a, V b) { return f_sub(a, b); }
INLINE V v_neg(V a) { return f_neg(a); }
INLINE V v_halve(V a) { return f_halve(a); }
INLINE V v_mul(V a, V b) { return f_mul(a, b); }
INLINE V v_scale(V a, uint b) { return f_mul(a, b); }
INLINE V v_dot2(V a, uint s, V b, uint t) {
    ulong sum = (ulong)a * s + (ulong)b * t;
    uint d = (uint)(sum >> 32) - mul_hi((uint)sum * MU, PRIME);
    return min(d, d + PRIME);
}
INLINE V v_load(const __global uint *p) { return *p; }
INLINE void v_store(V v, __global uint *p) { *p = v; }
INLINE V v_load_n(const __global uint *p, uint n) { return n != 0u ? *p : 0u; }
INLINE void v_store_n(V v, __global uint *p, uint n) { if (n != 0u) *p = v; }

#endif

#endif
