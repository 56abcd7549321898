// Weighted sums over the rows of a matrix: for each column, sum_i weight_i * M[i][column], the weights in the
// extension, for one or two vectors of weights in the same pass over the matrix.
//
// The rows are shared out to `parts`, each of which writes its sums, unreduced, to `partial`; add_parts adds them.

// Rows that a part takes through all its columns before the next rows: few enough for the hardware's prefetcher to
// follow each of them, enough for the sums' way through the cache not to count. GPUs keep their sums in registers.
#if VEC == 16
#define TILE 16u
#else
#define TILE 0xffffffffu
#endif

// Where part `part` keeps the sum of `column` and coefficient `k` out of `terms`: blocks of 16 columns, the even
// ones of a block before the odd ones, as SUMS are stored.
INLINE ulong sum_index(ulong part, ulong column, uint k, ulong columns, uint terms) {
    ulong block = part * ((columns + 15) / 16) + column / 16;
    return (block * terms + k) * 16 + (column & 1) * 8 + (column & 15) / 2;
}

// s[v][k], for each vector v of weights and each coefficient k: constant bounds, so that the sums are registers.
#define EACH_SUM                                    \
    _Pragma("unroll") for (uint v = 0; v < 2; v++)  \
        if (v < vectors)                            \
            _Pragma("unroll") for (uint k = 0; k < DEGREE; k++)

// global: (lanes over blocks of columns, parts). Part p takes the rows p * part_step + j * row_step, j < part_rows, out of
// `rows`; `columns` columns from `column` on are summed. matrix and the weights begin with row 0.
INLINE void sum_rows(const uint vectors, const __global uint *matrix, const __global uint *a, const __global uint *b,
                     __global ulong *partial, ulong width, ulong rows, ulong column, ulong columns, ulong part_rows,
                     ulong part_step, ulong row_step) {
    ulong part = get_global_id(1);
    ulong end = rows * width;
    for (ulong tile = 0; tile < part_rows; tile += TILE) {
        ulong tile_end = min(part_rows, tile + TILE);
        for (ulong block = get_global_id(0); block * VEC < columns; block += get_global_size(0)) {
            __global ulong *kept = partial + sum_index(part, block * VEC, 0, columns, vectors * DEGREE);
            ulong from = column + block * VEC, left = width - from;
            SUMS s[2][DEGREE];
            EACH_SUM {
                if (tile == 0) s_clear(&s[v][k]);
                else s_load(&s[v][k], kept + (v * DEGREE + k) * 16);
            }
            for (ulong j = tile; j < tile_end; j += 2) {
                ulong row = part * part_step + j * row_step;
                bool pair = j + 1 < tile_end;
                ulong next = pair ? row + row_step : row;
                V x = row_load(matrix, row * width + from, end, left);
                V y = row_load(matrix, next * width + from, end, left);
                if (!pair) y = (V)0u;
                EACH_SUM {
                    const __global uint *w = (v == 0 ? a : b) + k;
                    s_scale(&s[v][k], x, w[row * DEGREE]);
                    s_scale(&s[v][k], y, w[next * DEGREE]);
                    s_bound(&s[v][k]);
                }
            }
            EACH_SUM s_store(&s[v][k], kept + (v * DEGREE + k) * 16);
        }
    }
}

__kernel void sum_rows_1(const __global uint *matrix, ulong matrix_at, const __global uint *a, ulong a_at,
                         __global ulong *partial, ulong width, ulong rows, ulong column, ulong columns,
                         ulong part_rows, ulong part_step, ulong row_step) {
    sum_rows(1, matrix + matrix_at, a + a_at, a + a_at, partial, width, rows, column, columns, part_rows, part_step,
             row_step);
}

__kernel void sum_rows_2(const __global uint *matrix, ulong matrix_at, const __global uint *a, ulong a_at,
                         const __global uint *b, ulong b_at, __global ulong *partial, ulong width, ulong rows,
                         ulong column, ulong columns, ulong part_rows, ulong part_step, ulong row_step) {
    sum_rows(2, matrix + matrix_at, a + a_at, b + b_at, partial, width, rows, column, columns, part_rows, part_step,
             row_step);
}

// results[results_at + ((k / D) * width + column + c) * D + k % D] = the sum over all parts, for c < columns and
// k < terms; on top of what stands there where `add` is set.
__kernel void add_parts(const __global ulong *partial, __global uint *results, ulong results_at, ulong width,
                        ulong column, ulong columns, uint terms, ulong parts, uint add) {
    ulong id = get_global_id(0);
    if (id >= columns * terms) return;
    ulong c = id / terms;
    uint k = (uint)(id % terms);
    ulong s = 0;
    for (ulong part = 0; part < parts; part++) {
        s += partial[sum_index(part, c, k, columns, terms)];
        s = BOUNDED(s);
    }
    ulong at = results_at + ((k / DEGREE) * width + column + c) * DEGREE + k % DEGREE;
    results[at] = add ? f_add(results[at], f_reduce(s)) : f_reduce(s);
}
