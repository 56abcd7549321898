// A round of FRI folding: each row of 2^log_arity extension elements, values over a coset of the subgroup of that size,
// becomes the value at beta of the polynomial that interpolates them.
//
// By halves, log_arity times: the values lo at x and hi at -x of f(X) = e(X^2) + X * o(X^2) give e + c * o at x^2 as
// (lo + hi) / 2 + (lo - hi) * c / (2 x), with c = beta, beta^2, beta^4, ... (as in p3's fold_matrix).

#define MAX_LOG_ARITY 4

// out[i] = the fold of row i, plus beta^arity * roll_in[i] where has_roll_in is set, i < rows. The *_at are the words at
// which row 0 begins; row i has the index first + i in the whole matrix. `rows` is a power of two and divides `first`.
// constants: the inverse points of the indices l << log_arity, l < 16, and of 2 k, k < 8; 32 places for inverse roots;
// the matrices (e_map) of beta^(2^s) / 2, s < log_arity, and of beta^arity.
__kernel void fold(__global uint *out, ulong out_at, const __global uint *leaves, ulong leaves_at,
                   const __global uint *roll_in, ulong roll_in_at, uint has_roll_in, const __global uint *constants,
                   uint log_arity, ulong first, ulong rows) {
    ulong i = (ulong)get_global_id(0) * VEC;
    if (i >= rows) return;
    uint n = (uint)min(rows - i, (ulong)VEC);
    const __global uint *lane_points = constants, *pair_points = lane_points + 16;
    const __global uint *roots = pair_points + 8, *half_betas = roots + 32;
    uint stride = DEGREE << log_arity;
    leaves += leaves_at + (ulong)i * stride;

    // 1 / x for the rows' first points x, and its squares for the later halvings.
    V inverse[MAX_LOG_ARITY];
    inverse[0] = v_scale(v_load(lane_points), subgroup_point((first + i) << log_arity, roots));
    for (uint s = 1; s < log_arity; s++) inverse[s] = v_mul(inverse[s - 1], inverse[s - 1]);

    // Depth first: kept[s] waits, after s + 1 halvings, for its right neighbour.
    E kept[MAX_LOG_ARITY];
    E folded, odd;
    for (uint pair = 0; pair < 1u << (log_arity - 1); pair++) {
        E right;
        e_load(folded, leaves + 2 * pair * DEGREE, stride, n);
        e_load(right, leaves + (2 * pair + 1) * DEGREE, stride, n);
        uint k = pair, s = 0;
        for (;; k >>= 1) {
            // folded, on the left, and right become one.
            for (uint c = 0; c < DEGREE; c++) odd[c] = v_sub(folded[c], right[c]);
            e_map(odd, half_betas + s * (DEGREE * DEGREE));
            e_scale(odd, v_scale(inverse[s], pair_points[k]));
            e_add(folded, right);
            e_halve(folded);
            e_add(folded, odd);
            if ((k & 1u) == 0u) break;
            for (uint c = 0; c < DEGREE; c++) {
                right[c] = folded[c];
                folded[c] = kept[s][c];
            }
            s++;
        }
        for (uint c = 0; c < DEGREE; c++) kept[s][c] = folded[c];
    }
    if (has_roll_in) {
        E input;
        e_load(input, roll_in + roll_in_at + i * DEGREE, DEGREE, n);
        e_map(input, half_betas + log_arity * (DEGREE * DEGREE));
        e_add(folded, input);
    }
    e_store(folded, out + out_at + i * DEGREE, n);
}
