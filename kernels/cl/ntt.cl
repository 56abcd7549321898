// Number-theoretic transforms of the columns of row-major matrices: what the vector and the scalar form share.
//
// A height N = 2^n is split into digits of the row index. A *tile* is the 2^k rows that differ in one digit of k bits,
// in a few neighbouring columns; a work-group transforms tiles in local memory. src/ops/lde/plan.rs says which tiles,
// and in which order.
//
// Two networks of radix-4 butterflies, with one radix-2 step first where k is odd. Both compute
//     y_m = sum_i x_i sigma^i w^(i m),      w of order 2^k,
// with the coset shift sigma baked into their twiddles:
//   dit      decimation in time (Cooley and Tukey); lines are permuted on their way in, so that both sides are in
//            natural order; a twiddle belongs to a place inside the blocks that a pass joins
//   forward  the same butterflies in the opposite order of strides; natural in, bit-reversed out; a twiddle belongs to
//            a whole block
//
// Table of a network: for odd k one word, the twiddle of the radix-2 step; then for every radix-4 pass, in the order of
// the passes, five planes of h words: theta, theta^2, theta^3, i theta, -i theta^3, where i = w^(2^k / 4). h is 1 or 2
// in the first pass and grows fourfold; it is the length of the blocks joined (dit) or the number of blocks (forward).
// The host makes tables for sigma = 1 (src/ops/lde/table.rs); `specialise` bakes a sigma in.

INLINE void radix2(V *x0, V *x1, uint t) {
    V m = v_scale(*x1, t);
    *x1 = v_sub(*x0, m);
    *x0 = v_add(*x0, m);
}

// y_m = sum_r x_r theta^r i^(r m), with tw at the word of theta. A sum of two products is reduced once, which takes
// 62 vector operations where four radix-2 butterflies take 72.
INLINE void radix4(V *x0, V *x1, V *x2, V *x3, const __local uint *tw, uint h) {
    V m = v_scale(*x2, tw[h]);
    V e = v_dot2(*x1, tw[0], *x3, tw[2 * h]);
    V o = v_dot2(*x1, tw[3 * h], *x3, tw[4 * h]);
    V s = v_add(*x0, m), d = v_sub(*x0, m);
    *x0 = v_add(s, e);
    *x1 = v_add(d, o);
    *x2 = v_sub(s, e);
    *x3 = v_sub(d, o);
}

// Words of a network's table: 5 (4^p - 1) / 3 for k = 2 p, and 1 + 10 (4^p - 1) / 3 for k = 2 p + 1.
INLINE uint table_words(uint k) {
    return k & 1u ? 1u + 10u * (((1u << (k - 1)) - 1u) / 3u) : 5u * (((1u << k) - 1u) / 3u);
}
