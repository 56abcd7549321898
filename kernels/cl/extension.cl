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

// An E is changed in place and handed on by its address: inlined calls that return structs leave marks of aliasing
// behind that Oclgrind does not know.
typedef V E[DEGREE];

// Before loops over coefficients that need not be fast: a GPU wants them unrolled, so that every coefficient is a
// register; code for 16 elements would take long to build.
#if VEC == 16
#define COMPACT _Pragma("nounroll")
#else
#define COMPACT _Pragma("unroll")
#endif

#if VEC == 16
// The first four coefficients of the elements i .. i + 3, element by element.
#define FOUR(i)                                                              \
    (V)(vload4(0, p + (i) * stride), vload4(0, p + ((i) + 1) * stride),      \
        vload4(0, p + ((i) + 2) * stride), vload4(0, p + ((i) + 3) * stride))
#endif

// a = VEC elements, `stride` words apart from p on, of which the first n exist; 1 <= n <= VEC. The others are 0.
INLINE void e_load(V *a, const __global uint *p, uint stride, uint n) {
#if VEC == 16
    uint done = 0;
    if (n == 16u) {
        V w = FOUR(0), x = FOUR(4), y = FOUR(8), z = FOUR(12);
        a[0] = (V)(w.s048c, x.s048c, y.s048c, z.s048c);
        a[1] = (V)(w.s159d, x.s159d, y.s159d, z.s159d);
        a[2] = (V)(w.s26ae, x.s26ae, y.s26ae, z.s26ae);
        a[3] = (V)(w.s37bf, x.s37bf, y.s37bf, z.s37bf);
        done = 4;
    }
    COMPACT
    for (uint k = done; k < DEGREE; k++) {
        uint t[16];
        for (uint i = 0; i < 16u; i++) t[i] = i < n ? p[i * stride + k] : 0u;
        a[k] = vload16(0, t);
    }
#else
    for (uint k = 0; k < DEGREE; k++) a[k] = p[k];
#endif
}

// The first n elements to p; 1 <= n <= VEC.
INLINE void e_store(const V *a, __global uint *p, uint n) {
#if VEC == 16
    uint t[DEGREE][16];
    for (uint k = 0; k < DEGREE; k++) vstore16(a[k], 0, t[k]);
    COMPACT
    for (uint i = 0; i < n; i++)
        for (uint k = 0; k < DEGREE; k++) p[i * DEGREE + k] = t[k][i];
#else
    for (uint k = 0; k < DEGREE; k++) p[k] = a[k];
#endif
}

// a += b
INLINE void e_add(V *a, const V *b) {
    for (uint k = 0; k < DEGREE; k++) a[k] = v_add(a[k], b[k]);
}

// a /= 2
INLINE void e_halve(V *a) {
    for (uint k = 0; k < DEGREE; k++) a[k] = v_halve(a[k]);
}

// a *= b, an element of the base field.
INLINE void e_scale(V *a, V b) {
    for (uint k = 0; k < DEGREE; k++) a[k] = v_mul(a[k], b);
}

// a *= b for a fixed b. That is a linear map; row i of its matrix holds the coefficients of b * X^i.
INLINE void e_map(V *a, const __global uint *matrix) {
    E r;
    _Pragma("unroll") for (uint k = 0; k < DEGREE; k++) {
        SUMS s;
        s_clear(&s);
        _Pragma("unroll") for (uint i = 0; i < DEGREE; i++) {
            s_scale(&s, a[i], matrix[i * DEGREE + k]);
            s_bound(&s);
        }
        r[k] = s_value(&s);
    }
    for (uint k = 0; k < DEGREE; k++) a[k] = r[k];
}

// a *= b: the schoolbook, then the rule applied from the highest power down.
INLINE void e_mul(V *a, const V *b) {
    V c[2 * DEGREE - 1];
    _Pragma("unroll") for (int k = 0; k < 2 * DEGREE - 1; k++) {
        SUMS s;
        s_clear(&s);
        _Pragma("unroll") for (int i = max(k - (DEGREE - 1), 0); i <= min(k, DEGREE - 1); i++) {
            s_mul(&s, a[i], b[k - i]);
            s_bound(&s);
        }
        c[k] = s_value(&s);
    }
    _Pragma("unroll") for (int k = 2 * DEGREE - 2; k >= DEGREE; k--) {
#ifdef QUINTIC_TRINOMIAL
        c[k - 5] = v_add(c[k - 5], c[k]);
        c[k - 3] = v_sub(c[k - 3], c[k]);
#else
        c[k - DEGREE] = v_add(c[k - DEGREE], v_scale(c[k], BINOMIAL));
#endif
    }
    for (uint k = 0; k < DEGREE; k++) a[k] = c[k];
}

#endif
