// The permutation Keccak-f[1600] (FIPS 202, section 3) on LANES states at once.
//
// -DLANES=8 (CPUs: eight states in a ulong8) or 1 (GPUs). A state is the variables a0 ... a24 of type K, lane x + 5 y of
// the standard's A[x, y]; KECCAK_F works on those in place.

#if LANES == 8
typedef ulong8 K;
#else
typedef ulong K;
#endif

#define KECCAK_STATE K a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, \
    a20, a21, a22, a23, a24;

__constant ulong KECCAK_RC[24] = {
    0x0000000000000001UL, 0x0000000000008082UL, 0x800000000000808aUL, 0x8000000080008000UL,
    0x000000000000808bUL, 0x0000000080000001UL, 0x8000000080008081UL, 0x8000000000008009UL,
    0x000000000000008aUL, 0x0000000000000088UL, 0x0000000080008009UL, 0x000000008000000aUL,
    0x000000008000808bUL, 0x800000000000008bUL, 0x8000000000008089UL, 0x8000000000008003UL,
    0x8000000000008002UL, 0x8000000000000080UL, 0x000000000000800aUL, 0x800000008000000aUL,
    0x8000000080008081UL, 0x8000000000008080UL, 0x0000000080000001UL, 0x8000000080008008UL};

#define ROT(x, n) rotate(x, (K)(n))

// Theta: every lane takes up the parities of two columns.
#define PARITY(A, x0, x1, x2, x3, x4) (A##x0 ^ A##x1 ^ A##x2 ^ A##x3 ^ A##x4)
#define THETA(A) \
    const K c0 = PARITY(A, 0, 5, 10, 15, 20), c1 = PARITY(A, 1, 6, 11, 16, 21), c2 = PARITY(A, 2, 7, 12, 17, 22), \
        c3 = PARITY(A, 3, 8, 13, 18, 23), c4 = PARITY(A, 4, 9, 14, 19, 24); \
    const K d0 = c4 ^ ROT(c1, 1), d1 = c0 ^ ROT(c2, 1), d2 = c1 ^ ROT(c3, 1), d3 = c2 ^ ROT(c4, 1), d4 = c3 ^ ROT(c0, 1);

// Rho, pi and chi for one row of the result: five lanes of A, theta applied, rotated and combined.
#define CHI(E, e0, e1, e2, e3, e4, b0_, b1_, b2_, b3_, b4_) { \
    const K b0 = b0_, b1 = b1_, b2 = b2_, b3 = b3_, b4 = b4_; \
    E##e0 = b0 ^ (~b1 & b2); E##e1 = b1 ^ (~b2 & b3); E##e2 = b2 ^ (~b3 & b4); \
    E##e3 = b3 ^ (~b4 & b0); E##e4 = b4 ^ (~b0 & b1); }

#define KECCAK_ROUND(A, E, rc) { THETA(A) \
    CHI(E, 0, 1, 2, 3, 4, A##0 ^ d0, ROT(A##6 ^ d1, 44), ROT(A##12 ^ d2, 43), \
        ROT(A##18 ^ d3, 21), ROT(A##24 ^ d4, 14)) \
    CHI(E, 5, 6, 7, 8, 9, ROT(A##3 ^ d3, 28), ROT(A##9 ^ d4, 20), ROT(A##10 ^ d0, 3), \
        ROT(A##16 ^ d1, 45), ROT(A##22 ^ d2, 61)) \
    CHI(E, 10, 11, 12, 13, 14, ROT(A##1 ^ d1, 1), ROT(A##7 ^ d2, 6), ROT(A##13 ^ d3, 25), \
        ROT(A##19 ^ d4, 8), ROT(A##20 ^ d0, 18)) \
    CHI(E, 15, 16, 17, 18, 19, ROT(A##4 ^ d4, 27), ROT(A##5 ^ d0, 36), ROT(A##11 ^ d1, 10), \
        ROT(A##17 ^ d2, 15), ROT(A##23 ^ d3, 56)) \
    CHI(E, 20, 21, 22, 23, 24, ROT(A##2 ^ d2, 62), ROT(A##8 ^ d3, 55), ROT(A##14 ^ d4, 39), \
        ROT(A##15 ^ d0, 41), ROT(A##21 ^ d1, 2)) \
    E##0 ^= (K)(rc); }

#define KECCAK_F { \
    KECCAK_STATE_E \
    _Pragma("unroll 1") \
    for (uint r = 0u; r < 24u; r += 2u) { \
        KECCAK_ROUND(a, e, KECCAK_RC[r]) \
        KECCAK_ROUND(e, a, KECCAK_RC[r + 1u]) } }
#define KECCAK_STATE_E K e0, e1, e2, e3, e4, e5, e6, e7, e8, e9, e10, e11, e12, e13, e14, e15, e16, e17, e18, e19, \
    e20, e21, e22, e23, e24;

#define EACH_LANE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) \
    X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24)

// ---- tiles: LANES rows of words in memory, as little-endian lanes ----
//
// As in merkle_rows.cl: row i of a tile is row i & mask, and only rows up to mask are stored.

#if LANES == 8
#define KECCAK_GROUP __attribute__((reqd_work_group_size(1, 1, 1)))
#else
#define KECCAK_GROUP
#endif

#define KECCAK_TILE(n) \
    const ulong first = (ulong)get_global_id(0) * LANES; \
    if (first >= (ulong)(n)) return; \
    const uint mask = (uint)min((ulong)LANES, (ulong)(n)) - 1u;

#define KECCAK_ROW(p, stride, i) ((p) + (ulong)((i) & mask) * (stride))

#if LANES == 8

#define EXCHANGE4(a, b) { K t_ = (K)(a.s0123, b.s0123); b = (K)(a.s4567, b.s4567); a = t_; }
#define EXCHANGE2(a, b) { K t_ = (K)(a.s01, b.s01, a.s45, b.s45); b = (K)(a.s23, b.s23, a.s67, b.s67); a = t_; }
#define EXCHANGE1(a, b) { K t_ = (K)(a.s0, b.s0, a.s2, b.s2, a.s4, b.s4, a.s6, b.s6); \
    b = (K)(a.s1, b.s1, a.s3, b.s3, a.s5, b.s5, a.s7, b.s7); a = t_; }
#define TRANSPOSE_LANES(a, b, c, d, e, f, g, h) \
    EXCHANGE4(a, e) EXCHANGE4(b, f) EXCHANGE4(c, g) EXCHANGE4(d, h) \
    EXCHANGE2(a, c) EXCHANGE2(b, d) EXCHANGE2(e, g) EXCHANGE2(f, h) \
    EXCHANGE1(a, b) EXCHANGE1(c, d) EXCHANGE1(e, f) EXCHANGE1(g, h)

// Words 0..15 of the rows at p, as eight lanes.
#define SIXTEEN(p, stride, i) as_ulong8(vload16(0, KECCAK_ROW(p, stride, i)))
#define LOAD_LANES8(p, stride, a, b, c, d, e, f, g, h) \
    a = SIXTEEN(p, stride, 0u); b = SIXTEEN(p, stride, 1u); c = SIXTEEN(p, stride, 2u); d = SIXTEEN(p, stride, 3u); \
    e = SIXTEEN(p, stride, 4u); f = SIXTEEN(p, stride, 5u); g = SIXTEEN(p, stride, 6u); h = SIXTEEN(p, stride, 7u); \
    TRANSPOSE_LANES(a, b, c, d, e, f, g, h)

// Words 0..7 of the rows at p, as four lanes.
#define EIGHT(p, stride, i) (K)(as_ulong4(vload8(0, KECCAK_ROW(p, stride, i))), (ulong4)0UL)
#define LOAD_LANES4(p, stride, a, b, c, d) { K w, x, y, z; \
    a = EIGHT(p, stride, 0u); b = EIGHT(p, stride, 1u); c = EIGHT(p, stride, 2u); d = EIGHT(p, stride, 3u); \
    w = EIGHT(p, stride, 4u); x = EIGHT(p, stride, 5u); y = EIGHT(p, stride, 6u); z = EIGHT(p, stride, 7u); \
    TRANSPOSE_LANES(a, b, c, d, w, x, y, z) }

// Words 0 and 1 of the rows at p, as one lane.
#define TWO(p, stride, i) as_ulong(vload2(0, KECCAK_ROW(p, stride, i)))
#define LOAD_LANE(p, stride) (K)(TWO(p, stride, 0u), TWO(p, stride, 1u), TWO(p, stride, 2u), TWO(p, stride, 3u), \
    TWO(p, stride, 4u), TWO(p, stride, 5u), TWO(p, stride, 6u), TWO(p, stride, 7u))

// Four lanes into words 0..7 of the rows at p.
#define STORE_LANES4(p, stride, a_, b_, c_, d_) { K a = a_, b = b_, c = c_, d = d_, w = d_, x = d_, y = d_, z = d_; \
    TRANSPOSE_LANES(a, b, c, d, w, x, y, z) \
    STORE_EIGHT(p, stride, a, 0u) STORE_EIGHT(p, stride, b, 1u) STORE_EIGHT(p, stride, c, 2u) STORE_EIGHT(p, stride, d, 3u) \
    STORE_EIGHT(p, stride, w, 4u) STORE_EIGHT(p, stride, x, 5u) STORE_EIGHT(p, stride, y, 6u) STORE_EIGHT(p, stride, z, 7u) }
#define STORE_EIGHT(p, stride, v, i) if ((i) <= mask) vstore8(as_uint8(v.lo), 0, KECCAK_ROW(p, stride, i));

#else

#define LOAD_LANE(p, stride) as_ulong(vload2(0, p))
#define LOAD_LANES4(p, stride, a, b, c, d) \
    a = LOAD_LANE(p, 0); b = LOAD_LANE((p) + 2, 0); c = LOAD_LANE((p) + 4, 0); d = LOAD_LANE((p) + 6, 0);
#define LOAD_LANES8(p, stride, a, b, c, d, e, f, g, h) \
    LOAD_LANES4(p, stride, a, b, c, d) LOAD_LANES4((p) + 8, stride, e, f, g, h)
#define STORE_LANES4(p, stride, a, b, c, d) \
    vstore2(as_uint2(a), 0, p); vstore2(as_uint2(b), 1, p); vstore2(as_uint2(c), 2, p); vstore2(as_uint2(d), 3, p);

#endif
