// The Poseidon2 permutation (Grassi, Khovratovich, Schofnegger 2023) over VEC states at once, bit for bit p3's.
//
// Needs field.cl, and from the host (kernels/src/ops/poseidon2.rs):
//   -DWIDTH=16 or 24, -DALPHA=3 or 7          state words, degree of the S-box
//   -DPARTIAL_ROUNDS=<n>
//   RC_FULL[8 * WIDTH]                        constants of the full rounds minus PRIME, four rounds before the
//                                             partial ones and four after
//   RC_PARTIAL[PARTIAL_ROUNDS + 1]            constants of the partial rounds (the first minus PRIME), then a correction
//   EACH_PAIR(X), EACH_SINGLE(X), SUM_EVEN, SUM_ODD     the internal layer, see below
//
// A state is the variables s0, s1, ... of type V: word i of VEC states. PERMUTE works on those in place.
//
// Words are canonical, in [0, P), except where a comment says "signed": then a word is a two's complement number in
// [-P, P). The sum of a canonical word and a constant minus P is signed, and costs one instruction instead of three.

#if WIDTH == 16
#define EACH_WORD(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define STATE V s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15;
#else
#define EACH_WORD(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) \
    X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23)
#define STATE V s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15, \
    s16, s17, s18, s19, s20, s21, s22, s23;
#endif

// ---- S-box: signed word to canonical word ----
//
// Signed Montgomery products: for |a|, |b| <= P the reduced product lies in (-P, P), since P^2 / 2^32 + P / 2 < P.
// So nothing is made canonical before the last product.

#if VEC == 16

// The low half, and the high half, of each lane as a signed number. The multiplication reads only the low half, so the
// first costs nothing and the second one shuffle. (A shift would do too, but Intel's CPUs have one port for vector
// shifts, and `min` needs it.)
#define LOW_SIGNED(x) (((x) << 32) >> 32)
#define HIGH_SIGNED(x) LOW_SIGNED(as_long8(as_uint16(x).s1133557799bbddff))

// The quotient p P^-1 mod 2^32 in the low half of each lane, garbage above it. LLVM takes the one-instruction widening
// product (vpmuldq) only where it does not see that the low half alone is used; else it takes a 64-bit product of three
// instructions. So the product passes through an empty statement that LLVM cannot look into, as in p3. Where there is no
// such statement, a 32-bit product does it in two instructions.
#if defined(__clang__) && defined(__AVX512DQ__)
#define HIDE(x) __asm__("" : "+v"(x))
#elif defined(HIDE_IN_ANY)
// For the compiler of Intel's CPU runtime, which runs apart from its code generator and knows no register classes.
#define HIDE(x) { double8 t_ = as_double8(x); __asm__("" : "+X"(t_)); x = as_long8(t_); }
#endif
#ifdef HIDE
INLINE long8 quotient(long8 p) {
    long8 q = LOW_SIGNED(p) * (long8)(long)(int)MU;
    HIDE(q);
    return q;
}
#else
INLINE long8 quotient(long8 p) {
    return as_long8(as_uint16(p) * (uint16)MU);
}
#endif

// The reduced product stands in the high half of each lane.
INLINE long8 reduce_lanes(long8 p) {
    return p - LOW_SIGNED(quotient(p)) * (long8)(long)PRIME;
}

INLINE long8 sbox_lanes(long8 x) {
    long8 square = HIGH_SIGNED(reduce_lanes(x * x));
#if ALPHA == 3
    return reduce_lanes(square * x);
#else
    long8 cube = HIGH_SIGNED(reduce_lanes(square * x)), fourth = HIGH_SIGNED(reduce_lanes(square * square));
    return reduce_lanes(fourth * cube);
#endif
}

INLINE V sbox(V word) {
    long8 x = as_long8(word);
    long8 even = sbox_lanes(LOW_SIGNED(x)), odd = sbox_lanes(HIGH_SIGNED(x));
    V d = v_interleave_high(as_ulong8(even), as_ulong8(odd));
    return min(d, d + (V)PRIME);
}

#else

INLINE int mul_signed(int a, int b) {
    uint q = (uint)a * (uint)b * MU;
    return mul_hi(a, b) - mul_hi((int)q, (int)PRIME);
}

INLINE uint sbox(uint word) {
    int x = (int)word, square = mul_signed(x, x);
#if ALPHA == 3
    uint d = (uint)mul_signed(square, x);
#else
    uint d = (uint)mul_signed(mul_signed(square, square), mul_signed(square, x));
#endif
    return min(d, d + PRIME);
}

#endif

// ---- external layer: circ(2 M, M, ..., M) with M = circ(2, 3, 1, 1) ----

#define MIX4(a, b, c, d) { \
    V ab = v_add(a, b), cd = v_add(c, d), all = v_add(ab, cd), t = v_add(all, b), u = v_add(all, d); \
    d = v_add(u, v_add(a, a)); b = v_add(t, v_add(c, c)); a = v_add(t, ab); c = v_add(u, cd); }

#if WIDTH == 16
#define SUM_COLUMN(a, b, c, d, e, f) v_add(v_add(a, b), v_add(c, d))
#define SPREAD(i, j, k, l, m, n, t) { V t_ = (t); \
    s##i = v_add(s##i, t_); s##j = v_add(s##j, t_); s##k = v_add(s##k, t_); s##l = v_add(s##l, t_); }
#define MIX_TAIL
#else
#define SUM_COLUMN(a, b, c, d, e, f) v_add(v_add(v_add(a, b), v_add(c, d)), v_add(e, f))
#define SPREAD(i, j, k, l, m, n, t) { V t_ = (t); \
    s##i = v_add(s##i, t_); s##j = v_add(s##j, t_); s##k = v_add(s##k, t_); s##l = v_add(s##l, t_); \
    s##m = v_add(s##m, t_); s##n = v_add(s##n, t_); }
#define MIX_TAIL MIX4(s16, s17, s18, s19) MIX4(s20, s21, s22, s23)
#endif

#define EXTERNAL_LAYER { \
    MIX4(s0, s1, s2, s3) MIX4(s4, s5, s6, s7) MIX4(s8, s9, s10, s11) MIX4(s12, s13, s14, s15) MIX_TAIL \
    SPREAD(0, 4, 8, 12, 16, 20, SUM_COLUMN(s0, s4, s8, s12, s16, s20)) \
    SPREAD(1, 5, 9, 13, 17, 21, SUM_COLUMN(s1, s5, s9, s13, s17, s21)) \
    SPREAD(2, 6, 10, 14, 18, 22, SUM_COLUMN(s2, s6, s10, s14, s18, s22)) \
    SPREAD(3, 7, 11, 15, 19, 23, SUM_COLUMN(s3, s7, s11, s15, s19, s23)) }

#define FULL_WORD(i) s##i = sbox(s##i + (V)rc[i]);
#define FULL_ROUND EACH_WORD(FULL_WORD) EXTERNAL_LAYER

// ---- internal layer: ones + diag(-2, v1, v2, ...) ----
//
// One round: x = (s0 + rc)^ALPHA, f = x + s1 + s2 + ..., then s0 = f - 2 x and si = f + vi si.
//
// Two words whose factors are v and -v are kept as their sum A and their difference B: then A' = v B + 2 f and
// B' = v A. Only sums enter f, so over two rounds A'' = v^2 A + 2 f', and B never appears: after the first round a
// pair costs one product by v^2 and one addition a round, half of the two words alone. The pair's first variable
// holds A of the even rounds, the second of the odd ones.
//
//   X(i, j, v, v2): words i, j with factors v, -v: the macros that multiply by v and by v^2
//   X(i, combine, v): a word alone, with combine = v_add for v, v_sub for -v
//   SUM_EVEN, SUM_ODD: s1 + s2 + ... by pairs, as a balanced tree

#define SAME(x) (x)
#define MUL2(x) v_add(x, x)
#define MUL3(x) v_add(v_add(x, x), x)
#define MUL4(x) SHIFT(x, 2)
#define MUL9(x) v_add(SHIFT(x, 3), x)
#if 0x80000000u - PRIME < 0x2000000u
#define MUL16(x) SHIFT(x, 4)
#else
#define MUL16(x) MUL2(SHIFT(x, 3))
#endif

// x 2^n: with h the bits that leave 31 bits, 2^n x - h P = (2^n x mod 2^31) + h (2^31 - P), which the caller has made
// sure is below 2 P.
INLINE V shift_left(V x, uint n) {
    V t = (x << n) - (x >> (31u - n)) * (V)PRIME;
    return min(t, t - (V)PRIME);
}
#define SHIFT(x, n) shift_left(x, n)

// (x + 1) / 2^n - 1 mod P, for 2^n dividing P - 1 = 2^n K: with x = 2^n h + l it is h + (2^n - 1 - l) K, canonical as
// it stands. It differs from x / 2^n by a constant, which the host follows through the rounds and takes out of the
// round constants.
#define DIV(x, n) (((x) >> (uint)(n)) + (~(x) & (V)((1u << (n)) - 1u)) * (V)((PRIME - 1u) >> (n)))

#define PAIR_SPLIT(i, j, v, v2) { V d_ = v_sub(s##i, s##j); s##i = v_add(s##i, s##j); s##j = d_; }
#define PAIR_FIRST(i, j, v, v2) s##j = v_add(v(s##j), twice);
#define PAIR_ODD(i, j, v, v2) s##j = v_add(v2(s##j), twice);
#define PAIR_EVEN(i, j, v, v2) s##i = v_add(v2(s##i), twice);
// After the last round A stands in one variable and v^-1 B in the other.
#define PAIR_JOIN_ODD(i, j, v, v2) { V a_ = v_halve(s##j), b_ = v_halve(v(s##i)); \
    s##i = v_add(a_, b_); s##j = v_sub(a_, b_); }
#define PAIR_JOIN_EVEN(i, j, v, v2) { V a_ = v_halve(s##i), b_ = v_halve(v(s##j)); \
    s##i = v_add(a_, b_); s##j = v_sub(a_, b_); }
#define SINGLE_NEXT(i, combine, v) s##i = combine(f, v(s##i));

// s0 is signed and has its constant added; sum is s1 + s2 + ... of this round; rc is the next round's constant. The next
// s0 waits for nothing but the S-box, which is the longest chain of the permutation.
#define PARTIAL_ROUND(rc, PAIR_NEXT, SUM) { \
    V x = sbox(s0), f = v_add(sum, x), twice = v_add(f, f); \
    s0 = v_add(sum, (V)(rc)) - x; \
    EACH_SINGLE(SINGLE_NEXT) EACH_PAIR(PAIR_NEXT) \
    sum = SUM; }

#define PARTIAL_ROUNDS_ALL { \
    EACH_PAIR(PAIR_SPLIT) \
    V sum = SUM_EVEN; \
    s0 += (V)RC_PARTIAL[0]; \
    PARTIAL_ROUND(RC_PARTIAL[1], PAIR_FIRST, SUM_ODD) \
    _Pragma("unroll 1") \
    for (uint r = 1; r + 1 < PARTIAL_ROUNDS; r += 2) { \
        PARTIAL_ROUND(RC_PARTIAL[r + 1], PAIR_EVEN, SUM_EVEN) \
        PARTIAL_ROUND(RC_PARTIAL[r + 2], PAIR_ODD, SUM_ODD) } \
    PARTIAL_END \
    s0 = min(s0, s0 + (V)PRIME); }

#if PARTIAL_ROUNDS % 2 == 0
#define PARTIAL_END PARTIAL_ROUND(RC_PARTIAL[PARTIAL_ROUNDS], PAIR_EVEN, SUM_EVEN) EACH_PAIR(PAIR_JOIN_EVEN)
#else
#define PARTIAL_END EACH_PAIR(PAIR_JOIN_ODD)
#endif

// Looped, so that the code of a permutation stays in the CPU's cache of decoded instructions.
#define PERMUTE { \
    EXTERNAL_LAYER \
    _Pragma("unroll 1") \
    for (uint half_ = 0; half_ < 2u; half_++) { \
        const __constant uint *rc = RC_FULL + half_ * (4u * WIDTH); \
        _Pragma("unroll 1") \
        for (uint r = 0; r < 4u; r++, rc += WIDTH) { FULL_ROUND } \
        if (half_ == 0u) PARTIAL_ROUNDS_ALL \
    } }
