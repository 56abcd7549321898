// Reduced openings: sum over matrices and openings of (value - weight * S(x)) / (point - x), where
// S(x) = sum_j alpha^j M[x][j] is a row's dot product with the powers of alpha.

// Rows that share each power once it is in a register.
#define ROWS 4u

// The dot products of the rows first .. first + ROWS with the powers: this work-item's share, the blocks of VEC columns
// lane, lane + lanes, ... Rows at or beyond `rows` repeat the last one, for nobody.
// powers: blocks of 16, coefficient by coefficient: alpha^j stands at (j / 16 * D + k) * 16 + j % 16; padded with zeros.
INLINE void row_shares(LANES s[ROWS][DEGREE], const __global uint *matrix, const __global uint *powers, ulong width,
                       ulong first, ulong rows, uint lane, uint lanes) {
    ulong end = rows * width;
    ulong start[ROWS];
#pragma unroll
    for (uint r = 0; r < ROWS; r++) {
        start[r] = min(first + r, rows - 1) * width;
#pragma unroll
        for (uint k = 0; k < DEGREE; k++) s[r][k] = (LANES)0;
    }
    for (ulong column = lane * VEC; column < width; column += lanes * VEC) {
        const __global uint *power = powers + column / 16 * (16 * DEGREE) + column % 16;
        V x[ROWS];
#pragma unroll
        for (uint r = 0; r < ROWS; r++) x[r] = row_load(matrix, start[r] + column, end, width - column);
#pragma unroll
        for (uint k = 0; k < DEGREE; k++) {
            V w = v_load(power + k * 16);
#pragma unroll
            for (uint r = 0; r < ROWS; r++) s[r][k] = l_mul(s[r][k], x[r], w);
        }
    }
}

// sums[i] = S of row i, an element of the extension, i < rows. The *_at are the words at which row 0 begins.
#if VEC == 16

// A work-item takes BATCH rows: enough to outweigh the cost of a work-group where rows are short.
#define BATCH 64u

__kernel void row_sums(const __global uint *matrix, ulong matrix_at, const __global uint *powers,
                       __global uint *sums, ulong sums_at, ulong width, ulong rows) {
    ulong start = (ulong)get_global_id(0) * BATCH;
    for (ulong first = start; first < min(start + BATCH, rows); first += ROWS) {
        LANES s[ROWS][DEGREE];
        row_shares(s, matrix + matrix_at, powers, width, first, rows, 0, 1);
        __global uint *out = sums + sums_at + first * DEGREE;
        for (uint r = 0; r < ROWS && first + r < rows; r++)
            for (uint k = 0; k < DEGREE; k++) out[r * DEGREE + k] = l_value(s[r][k]);
    }
}

#else

// A work-group of GROUP work-items: get_local_size(0) of them share ROWS rows, and there are get_local_size(1) such teams.
#define GROUP 64

__kernel void row_sums(const __global uint *matrix, ulong matrix_at, const __global uint *powers,
                       __global uint *sums, ulong sums_at, ulong width, ulong rows) {
    // One place more than shares to a sum, so that the sums lie in different banks; a team has at least one lane.
    __local uint shares[ROWS * DEGREE * 2 * GROUP];
    uint lane = get_local_id(0), lanes = get_local_size(0);
    __local uint *team = shares + get_local_id(1) * (ROWS * DEGREE) * (lanes + 1);
    ulong first = (ulong)get_global_id(1) * ROWS;
    LANES s[ROWS][DEGREE];
    row_shares(s, matrix + matrix_at, powers, width, first, rows, lane, lanes);
    for (uint r = 0; r < ROWS; r++)
        for (uint k = 0; k < DEGREE; k++) team[(r * DEGREE + k) * (lanes + 1) + lane] = l_value(s[r][k]);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint t = lane; t < ROWS * DEGREE && first + t / DEGREE < rows; t += lanes) {
        uint sum = 0;
        for (uint i = 0; i < lanes; i++) sum = f_add(sum, team[t * (lanes + 1) + i]);
        sums[sums_at + first * DEGREE + t] = sum;
    }
}

#endif

// Blocks of VEC rows for each work-item of add_opening.
#if VEC == 16
#define BLOCKS 8u
#else
#define BLOCKS 1u
#endif

// out[i] += (value - weight * sums[i]) * inverses[i], i < rows.
// opening: the words of `value`, then the matrix of `weight` (e_map). The *_at are the words at which row 0 begins.
__kernel void add_opening(__global uint *out, ulong out_at, const __global uint *sums, ulong sums_at,
                          const __global uint *inverses, ulong inverses_at, const __global uint *opening,
                          ulong rows) {
    ulong start = (ulong)get_global_id(0) * (BLOCKS * VEC);
    for (ulong i = start; i < min(start + BLOCKS * VEC, rows); i += VEC) {
        uint n = (uint)min(rows - i, (ulong)VEC);
        E sum, quotient, inverse, total;
        e_load(sum, sums + sums_at + i * DEGREE, DEGREE, n);
        e_load(inverse, inverses + inverses_at + i * DEGREE, DEGREE, n);
        e_map(sum, opening + DEGREE);
        for (uint k = 0; k < DEGREE; k++) quotient[k] = v_sub((V)opening[k], sum[k]);
        e_mul(quotient, inverse);
        __global uint *to = out + out_at + i * DEGREE;
        e_load(total, to, DEGREE, n);
        e_add(total, quotient);
        e_store(total, to, n);
    }
}
