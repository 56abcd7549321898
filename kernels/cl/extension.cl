// Arithmetic of an extension of degree DEGREE over the field of field.cl.
//
// In memory an element is its DEGREE coefficients, lowest degree first (p3's layout), and a vector of elements is a
// row-major matrix with DEGREE columns. In registers an E holds VEC elements, coefficient by coefficient.
//
// Options beside field.cl's:
//   -DDEGREE=<D>, and the rule by which products are reduced:
//   -DBINOMIAL=<w>u        X^D = w, w a Montgomery word, or
//   -DQUINTIC_TRINOMIAL    X^5 = 1 - X^2

#ifndef STARKWRIGHT_EXTENSION
#define STARKWRIGHT_EXTENSION

typedef struct { V c[DEGREE]; } E;

// Before loops over coefficients that need not be fast: a GPU wants them unrolled, so that every coefficient is a
// register; code for 16 elements would take long to build.
#if VEC == 16
#define COMPACT _Pragma("nounroll")
#else
#define COMPACT _Pragma("unroll")
#endif

#if VEC == 16
// The first four coefficients of the elements i .. i + 3, element by element.
#define FOUR(i)                                                                                      \
    (V)(vload4(0, p + (i) * stride), vload4(0, p + ((i) + 1) * stride), vload4(0, p + ((i) + 2) * stride), \
        vload4(0, p + ((i) + 3) * stride))
#endif

// VEC elements, `stride` words apart from p on, of which the first n exist; 1 <= n <= VEC. The others are 0.
INLINE E e_load(const __global uint *p, uint stride, uint n) {
    E a;
#if VEC == 16
    uint done = 0;
    if (n == 16u) {
        V w = FOUR(0), x = FOUR(4), y = FOUR(8), z = FOUR(12);
        a.c[0] = (V)(w.s048c, x.s048c, y.s048c, z.s048c);
        a.c[1] = (V)(w.s159d, x.s159d, y.s159d, z.s159d);
        a.c[2] = (V)(w.s26ae, x.s26ae, y.s26ae, z.s26ae);
        a.c[3] = (V)(w.s37bf, x.s37bf, y.s37bf, z.s37bf);
        done = 4;
    }
    COMPACT
    for (uint k = done; k < DEGREE; k++) {
        uint t[16];
        for (uint i = 0; i < 16u; i++) t[i] = i < n ? p[i * stride + k] : 0u;
        a.c[k] = vload16(0, t);
    }
#else
    for (uint k = 0; k < DEGREE; k++) a.c[k] = p[k];
#endif
    return a;
}

// The first n elements to p; 1 <= n <= VEC.
INLINE void e_store(E a, __global uint *p, uint n) {
#if VEC == 16
    uint t[DEGREE][16];
    for (uint k = 0; k < DEGREE; k++) vstore16(a.c[k], 0, t[k]);
    COMPACT
    for (uint i = 0; i < n; i++)
        for (uint k = 0; k < DEGREE; k++) p[i * DEGREE + k] = t[k][i];
#else
    for (uint k = 0; k < DEGREE; k++) p[k] = a.c[k];
#endif
}

// VEC copies of the element at p.
INLINE E e_constant(const __global uint *p) {
    E a;
    for (uint k = 0; k < DEGREE; k++) a.c[k] = (V)p[k];
    return a;
}

INLINE E e_add(E a, E b) {
    for (uint k = 0; k < DEGREE; k++) a.c[k] = v_add(a.c[k], b.c[k]);
    return a;
}

INLINE E e_sub(E a, E b) {
    for (uint k = 0; k < DEGREE; k++) a.c[k] = v_sub(a.c[k], b.c[k]);
    return a;
}

INLINE E e_halve(E a) {
    for (uint k = 0; k < DEGREE; k++) a.c[k] = v_halve(a.c[k]);
    return a;
}

// Times an element of the base field.
INLINE E e_scale(E a, V b) {
    _Pragma("unroll")
    for (uint k = 0; k < DEGREE; k++) a.c[k] = v_mul(a.c[k], b);
    return a;
}

// Times a fixed element b. That is a linear map; row i of its matrix holds the coefficients of b * X^i.
INLINE E e_map(E a, const __global uint *matrix) {
    E r;
    _Pragma("unroll")
    for (uint k = 0; k < DEGREE; k++) {
        SUMS s = s_zero();
        _Pragma("unroll")
        for (uint i = 0; i < DEGREE; i++) s = s_bounded(s_scale(s, a.c[i], matrix[i * DEGREE + k]));
        r.c[k] = s_value(s);
    }
    return r;
}

// The product by the schoolbook, then the rule applied from the highest power down.
INLINE E e_mul(E a, E b) {
    V c[2 * DEGREE - 1];
    _Pragma("unroll")
    for (int k = 0; k < 2 * DEGREE - 1; k++) {
        SUMS s = s_zero();
        _Pragma("unroll")
        for (int i = max(k - (DEGREE - 1), 0); i <= min(k, DEGREE - 1); i++)
            s = s_bounded(s_mul(s, a.c[i], b.c[k - i]));
        c[k] = s_value(s);
    }
    _Pragma("unroll")
    for (int k = 2 * DEGREE - 2; k >= DEGREE; k--) {
#ifdef QUINTIC_TRINOMIAL
        c[k - 5] = v_add(c[k - 5], c[k]);
        c[k - 3] = v_sub(c[k - 3], c[k]);
#else
        c[k - DEGREE] = v_add(c[k - DEGREE], v_scale(c[k], BINOMIAL));
#endif
    }
    E r;
    for (uint k = 0; k < DEGREE; k++) r.c[k] = c[k];
    return r;
}

#endif
