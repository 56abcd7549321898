// Inverse denominators 1 / (z - x) for a point z of the extension and x over a coset in bit-reversed order.
//
// With chi the characteristic polynomial of z over the base field, chi(z) = 0, so X - z divides chi(X):
//   chi(X) = (X - z) * Q(X)   and   1 / (z - x) = -Q(x) / chi(x).
// The coefficients of -Q, elements of the extension, are found once on the host. What is left for each x is a
// polynomial of degree D - 1 and an inversion in the base field, shared by RUN blocks of rows (Montgomery's trick).

// Blocks of VEC rows for each work-item.
#define RUN 8u

// The point with index i in bit-reversed order of every two-adic subgroup with more than i elements:
// roots[b] has order 2^(b + 1), and bit b of i, which the reversal takes to the (b + 1)-th highest, stands for it.
INLINE uint subgroup_point(ulong i, const __global uint *roots) {
    uint x = F_ONE;
    for (; i != 0; i >>= 1, roots++)
        if (i & 1) x = f_mul(x, *roots);
    return x;
}

INLINE V v_inv(V a) {
    V r = (V)F_ONE;
    for (uint e = PRIME - 2u; e != 0u; e >>= 1) {
        if (e & 1u) r = v_mul(r, a);
        a = v_mul(a, a);
    }
    return r;
}

// out[i] = 1 / (z - shift * x_{first + i}) + offset, i < rows; `rows` is a power of two and divides `first`.
// constants: the first 16 * RUN points of the subgroup, bit-reversed; 32 places for roots; chi_0 .. chi_{D-1}; the
// coefficients 0 .. D-2 of -Q, D words each (coefficient D-1 is -1); offset. out_at is the word at which row 0 begins.
__kernel void inverse_denominators(__global uint *out, ulong out_at, const __global uint *constants, uint shift,
                                   ulong first, ulong rows) {
    ulong start = (ulong)get_global_id(0) * (RUN * VEC);
    if (start >= rows) return;
    ulong left = min(rows - start, (ulong)(RUN * VEC));
    uint blocks = ((uint)left + VEC - 1u) / VEC;
    const __global uint *points = constants, *roots = points + 16 * RUN, *chi = roots + 32;
    const __global uint *q = chi + DEGREE;
    const __global uint *offset = q + (DEGREE - 1) * DEGREE;
    // Index bits of `first + start` and of the places in the run are disjoint, so their points multiply.
    uint base = f_mul(shift, subgroup_point(first + start, roots));
    V x[RUN], norm[RUN], before[RUN];
    V product = (V)F_ONE;
    for (uint r = 0; r < blocks; r++) {
        x[r] = v_scale(v_load(points + r * VEC), base);
        V n = v_add(x[r], (V)chi[DEGREE - 1]);
        COMPACT
        for (int k = DEGREE - 2; k >= 0; k--) n = v_add(v_mul(n, x[r]), (V)chi[k]);
        norm[r] = n;
        before[r] = product;
        product = v_mul(product, n);
    }
    V inverse = v_inv(product);
    for (uint r = blocks; r-- > 0u;) {
        V scale = v_mul(inverse, before[r]);
        inverse = v_mul(inverse, norm[r]);
        E a;
        COMPACT
        for (uint c = 0; c < DEGREE; c++) {
            V s = (V)q[(DEGREE - 2) * DEGREE + c];
            if (c == 0) s = v_sub(s, x[r]);
            COMPACT
            for (int k = DEGREE - 3; k >= 0; k--) s = v_add(v_mul(s, x[r]), (V)q[k * DEGREE + c]);
            a[c] = v_add(v_mul(s, scale), (V)offset[c]);
        }
        uint n = min((uint)left - r * VEC, (uint)VEC);
        e_store(a, out + out_at + (start + r * VEC) * DEGREE, n);
    }
}
