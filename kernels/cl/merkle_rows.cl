// How a tile of VEC rows enters and leaves the registers.
//
// A tile is VEC consecutive rows, one a lane: variable k of a state holds word k of every row. Where a matrix has
// fewer rows than a tile has lanes (a power of two), lane i holds row i & mask, and only lanes up to mask are stored.
// Rows of a matrix may start at any word, so vectors pass through vload and vstore.

#if VEC == 16
#define GROUP __attribute__((reqd_work_group_size(1, 1, 1)))
#else
#define GROUP
#endif

// The tile of this work-item among n rows: its first row `first`, its lanes `mask` + 1. The last work-items of a launch
// may have none.
#define TILE(n) \
    const ulong first = (ulong)get_global_id(0) * VEC; \
    if (first >= (ulong)(n)) return; \
    const uint mask = (uint)min((ulong)VEC, (ulong)(n)) - 1u;

#define FIRST8 s0, s1, s2, s3, s4, s5, s6, s7
#define SECOND8 s8, s9, s10, s11, s12, s13, s14, s15
#define THIRD8 s16, s17, s18, s19, s20, s21, s22, s23

// Row i of a tile at p, rows of `stride` words.
#define ROW(p, stride, i) ((p) + (ulong)((i) & mask) * (stride))

#if VEC == 16

// The exchanges of a transposition of 8 x 8 words, in both halves of 8 vectors at once: blocks of 4, 2 and 1 words.
#define SWAP4(a, b) { V t_ = (V)(a.s0123, b.s0123, a.s89ab, b.s89ab); \
    b = (V)(a.s4567, b.s4567, a.scdef, b.scdef); a = t_; }
#define SWAP2(a, b) { V t_ = (V)(a.s01, b.s01, a.s45, b.s45, a.s89, b.s89, a.scd, b.scd); \
    b = (V)(a.s23, b.s23, a.s67, b.s67, a.sab, b.sab, a.sef, b.sef); a = t_; }
#define SWAP1(a, b) { V t_ = (V)(a.s0, b.s0, a.s2, b.s2, a.s4, b.s4, a.s6, b.s6, a.s8, b.s8, a.sa, b.sa, a.sc, b.sc, a.se, b.se); \
    b = (V)(a.s1, b.s1, a.s3, b.s3, a.s5, b.s5, a.s7, b.s7, a.s9, b.s9, a.sb, b.sb, a.sd, b.sd, a.sf, b.sf); a = t_; }
#define TRANSPOSE8(a, b, c, d, e, f, g, h) \
    SWAP4(a, e) SWAP4(b, f) SWAP4(c, g) SWAP4(d, h) \
    SWAP2(a, c) SWAP2(b, d) SWAP2(e, g) SWAP2(f, h) \
    SWAP1(a, b) SWAP1(c, d) SWAP1(e, f) SWAP1(g, h)

#define ROW_PAIR(p, stride, i) (V)(vload8(0, ROW(p, stride, i)), vload8(0, ROW(p, stride, (i) + 8u)))

// Words 0..7 of the rows at p into eight variables.
#define LOAD8(p, stride, words) LOAD8_(p, stride, words)
#define LOAD8_(p, stride, a, b, c, d, e, f, g, h) { \
    const __global uint *p_ = (p); \
    a = ROW_PAIR(p_, stride, 0u); b = ROW_PAIR(p_, stride, 1u); c = ROW_PAIR(p_, stride, 2u); \
    d = ROW_PAIR(p_, stride, 3u); e = ROW_PAIR(p_, stride, 4u); f = ROW_PAIR(p_, stride, 5u); \
    g = ROW_PAIR(p_, stride, 6u); h = ROW_PAIR(p_, stride, 7u); \
    TRANSPOSE8(a, b, c, d, e, f, g, h) }

// Eight variables into words 0..7 of the rows at p.
#define STORE8(p, stride, words) STORE8_(p, stride, words)
#define STORE8_(p, stride, a, b, c, d, e, f, g, h) { \
    __global uint *p_ = (p); V a_ = a, b_ = b, c_ = c, d_ = d, e_ = e, f_ = f, g_ = g, h_ = h; \
    TRANSPOSE8(a_, b_, c_, d_, e_, f_, g_, h_) \
    STORE_PAIR(a_, stride, 0u) STORE_PAIR(b_, stride, 1u) STORE_PAIR(c_, stride, 2u) STORE_PAIR(d_, stride, 3u) \
    STORE_PAIR(e_, stride, 4u) STORE_PAIR(f_, stride, 5u) STORE_PAIR(g_, stride, 6u) STORE_PAIR(h_, stride, 7u) }
#define STORE_PAIR(v, stride, i) \
    if ((i) <= mask) vstore8(v.lo, 0, ROW(p_, stride, i)); \
    if ((i) + 8u <= mask) vstore8(v.hi, 0, ROW(p_, stride, (i) + 8u));

// The first word of the rows at p.
#define COLUMN(p, stride) (V)(*ROW(p, stride, 0u), *ROW(p, stride, 1u), *ROW(p, stride, 2u), *ROW(p, stride, 3u), \
    *ROW(p, stride, 4u), *ROW(p, stride, 5u), *ROW(p, stride, 6u), *ROW(p, stride, 7u), *ROW(p, stride, 8u), \
    *ROW(p, stride, 9u), *ROW(p, stride, 10u), *ROW(p, stride, 11u), *ROW(p, stride, 12u), *ROW(p, stride, 13u), \
    *ROW(p, stride, 14u), *ROW(p, stride, 15u))

#else

#define LOAD8(p, stride, words) LOAD8_(p, stride, words)
#define LOAD8_(p, stride, a, b, c, d, e, f, g, h) { const __global uint *p_ = (p); \
    a = p_[0]; b = p_[1]; c = p_[2]; d = p_[3]; e = p_[4]; f = p_[5]; g = p_[6]; h = p_[7]; }
#define STORE8(p, stride, words) STORE8_(p, stride, words)
#define STORE8_(p, stride, a, b, c, d, e, f, g, h) { __global uint *p_ = (p); \
    p_[0] = a; p_[1] = b; p_[2] = c; p_[3] = d; p_[4] = e; p_[5] = f; p_[6] = g; p_[7] = h; }
#define COLUMN(p, stride) (*(p))

#endif
