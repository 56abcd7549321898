// The tiles of ntt.cl in vector form, for CPU devices. A *line* is 16 neighbouring columns of one row, one V. A
// work-group is a single work-item; it takes one tile of lines in each of a few neighbouring *lanes*, transforms it in
// local memory, which on a CPU is its cache, and puts it back.
//
// The lanes lie next to each other in memory: neighbouring blocks of 16 columns and, in a matrix of few columns,
// neighbouring rows. Global memory is read lane by lane for each row of a tile, so that several lines in a row come
// from one place: reading one line here and one there takes more than twice the time.

// ---- tables ----

INLINE void copy_table(__local uint *tw, const __global uint *from, uint k) {
    uint words = table_words(k);
    for (uint i = 0; i < words; i++) tw[i] = from[i];
}

INLINE void scale_plane(__local uint *to, const __global uint *from, uint h, uint by) {
    if (h < 16u) {
        for (uint i = 0; i < h; i++) to[i] = f_mul(from[i], by);
    } else {
        for (uint i = 0; i < h; i += 16u) vstore16(v_scale(v_load(from + i), by), 0, to + i);
    }
}

// Bakes sigma into the table `base` of sigma = 1: in a pass with planes of h words, theta gains sigma^(2^k / (4 h)).
INLINE void specialise(__local uint *tw, const __global uint *base, uint k, uint sigma) {
    uint at = table_words(k), power = sigma;
    for (uint h = 1u << (k - 2); h != 0u; h >>= 2) {
        at -= 5u * h;
        uint square = f_sqr(power), cube = f_mul(square, power);
        scale_plane(tw + at, base + at, h, power);
        scale_plane(tw + at + h, base + at + h, h, square);
        scale_plane(tw + at + 2u * h, base + at + 2u * h, h, cube);
        scale_plane(tw + at + 3u * h, base + at + 3u * h, h, power);
        scale_plane(tw + at + 4u * h, base + at + 4u * h, h, cube);
        power = f_sqr(square);
    }
    if (k & 1u) tw[0] = power;
}

// ---- lines ----

// The columns `n` of a line: 16, or fewer in the last block of a matrix, or
// STREAM: 16 on a 64-byte boundary, to be stored past the caches. That saves reading what the line replaces, and what is
// stored here is read again only after more than the caches hold.
#define STREAM 17u

#if defined(__has_builtin)
#if __has_builtin(__builtin_nontemporal_store)
#define STREAM_STORE(v, p) __builtin_nontemporal_store(v, (__global V *)(p))
#endif
#endif
#ifndef STREAM_STORE
#define STREAM_STORE(v, p) v_store(v, p)
#endif

// Runs f with n, as a constant but for the last block, so that the loops in f need not test it.
#define LOAD_COLUMNS(n, f) if ((n) >= 16u) { f(16u) } else { f(n) }
#define STORE_COLUMNS(n, f) if ((n) == STREAM) { f(STREAM) } else if ((n) == 16u) { f(16u) } else { f(n) }

INLINE V line_load(const __global uint *p, uint n) {
    return n >= 16u ? v_load(p) : v_load_n(p, n);
}

INLINE void line_store(V v, __global uint *p, uint n) {
    if (n == STREAM) STREAM_STORE(v, p);
    else if (n == 16u) v_store(v, p);
    else v_store_n(v, p, n);
}

// A tile in neighbouring lanes of global memory: line i of lane c at `at + step * i + lane_step * c`.
typedef struct {
    const __global uint *at;
    ulong step, lane_step;
} SOURCE;

typedef struct {
    __global uint *at;
    ulong step, lane_step;
} TARGET;

// Copies 2^k lines of each lane to local memory, lane c to b[c << k], ... Apart from the butterflies, since the
// processor then has many more lines under way.
INLINE void load_tile(SOURCE from, uint lanes, uint n, __local V *b, uint k) {
    for (uint i = 0; i < 1u << k; i++) {
        const __global uint *p = from.at + from.step * i;
        for (uint c = 0; c < lanes; c++) b[(c << k) + i] = line_load(p + from.lane_step * c, n);
    }
}

// As load_tile, with line i at the place reversed[i].
INLINE void load_reversed(SOURCE from, uint lanes, uint n, __local V *b, uint k, const __global uint *reversed) {
    for (uint i = 0; i < 1u << k; i++) {
        const __global uint *p = from.at + from.step * i;
        __local V *o = b + reversed[i];
        for (uint c = 0; c < lanes; c++) o[c << k] = line_load(p + from.lane_step * c, n);
    }
}

INLINE void scale_lines(__local V *b, uint lines, uint scale) {
    for (uint i = 0; i < lines; i++) b[i] = v_scale(b[i], scale);
}

INLINE void store_tile(TARGET to, uint lanes, uint n, const __local V *b, uint k) {
    for (uint i = 0; i < 1u << k; i++) {
        __global uint *p = to.at + to.step * i;
        for (uint c = 0; c < lanes; c++) line_store(b[(c << k) + i], p + to.lane_step * c, n);
    }
}

// ---- networks on one lane in local memory ----
//
// Twiddles are indexed by something that changes in the innermost loop even where it is always 0: what leaves the loop
// loses the proof of v_low_product.

// dit of lines in bit-reversed order, in place. Of four blocks joined, the second holds the transform of the x_i with
// i = 2 mod 4, the third that of i = 1 mod 4.
INLINE void dit(__local V *b, const __local uint *tw, uint k) {
    uint h = 1u;
    if (k & 1u) {
        for (uint r = 0; r < 1u << k; r += 2u) {
            V x0 = b[r], x1 = b[r + 1];
            radix2(&x0, &x1, tw[r >> k]);
            b[r] = x0; b[r + 1] = x1;
        }
        tw += 1;
        h = 2u;
    }
    for (; h < 1u << k; h *= 4u) {
        for (uint r = 0; r < 1u << (k - 2); r++) {
            uint j = r & (h - 1), i = 4 * (r - j) + j;
            V x0 = b[i], x2 = b[i + h], x1 = b[i + 2 * h], x3 = b[i + 3 * h];
            radix4(&x0, &x1, &x2, &x3, tw + j, h);
            b[i] = x0; b[i + h] = x1; b[i + 2 * h] = x2; b[i + 3 * h] = x3;
        }
        tw += 5 * h;
    }
}

// forward from `from` to b, which may be the same; without the last pass if `but_last`. Results in bit-reversed order:
// y_2 before y_1.
INLINE void forward(const __local V *from, __local V *b, const __local uint *tw, uint k, bool but_last) {
    uint blocks = 1u;
    int log_q = (int)k - 2;
    if (k & 1u) {
        uint q = 1u << (k - 1);
        for (uint r = 0; r < q; r++) {
            V x0 = from[r], x1 = from[r + q];
            radix2(&x0, &x1, tw[r >> k]);
            b[r] = x0; b[r + q] = x1;
        }
        from = b;
        tw += 1;
        blocks = 2u;
        log_q -= 1;
    }
    for (; log_q >= (but_last ? 2 : 0); log_q -= 2) {
        uint q = 1u << log_q;
        for (uint r = 0; r < 1u << (k - 2); r++) {
            uint j = r >> log_q, i = r + 3 * (j << log_q);
            V x0 = from[i], x1 = from[i + q], x2 = from[i + 2 * q], x3 = from[i + 3 * q];
            radix4(&x0, &x1, &x2, &x3, tw + j, blocks);
            b[i] = x0; b[i + q] = x2; b[i + 2 * q] = x1; b[i + 3 * q] = x3;
        }
        from = b;
        tw += 5 * blocks;
        blocks *= 4u;
    }
}

// The last pass of forward, of whole lanes, from local memory to global memory.
INLINE void forward_last(TARGET to, uint lanes, uint n, const __local V *b, const __local uint *tw, uint k) {
    uint blocks = 1u << (k - 2);
    tw += table_words(k) - 5 * blocks;
    for (uint j = 0; j < blocks; j++) {
        for (uint c = 0; c < lanes; c++) {
            const __local V *o = b + (c << k) + 4 * j;
            __global uint *p = to.at + to.step * (4 * j) + to.lane_step * c;
            V x0 = o[0], x1 = o[1], x2 = o[2], x3 = o[3];
            radix4(&x0, &x1, &x2, &x3, tw + j + (c >> 31), blocks);
            line_store(x0, p, n);
            line_store(x2, p + to.step, n);
            line_store(x1, p + 2 * to.step, n);
            line_store(x3, p + 3 * to.step, n);
        }
    }
}

// A row of `words` words, with 16 more behind it, to global memory that starts `past` words after a 64-byte boundary:
// whole lines of memory past the caches, the ends as they come.
INLINE void store_row(const __local uint *row, uint words, __global uint *to, uint past) {
    uint i = (16u - past) & 15u;
    if (i != 0u) v_store_n(vload16(0, row), to, i);
    for (; i + 16u <= words; i += 16u) STREAM_STORE(vload16(0, row + i), to + i);
    if (i < words) v_store_n(vload16(0, row + i), to + i, words - i);
}

// As forward_last for whole lanes next to each other, each row of which starts anywhere: the words go by way of `rows`,
// 4 lines for each lane and one more, where a row is in one piece. `past` belongs to to.at.
INLINE void forward_last_shifted(TARGET to, uint past, uint lanes, const __local V *b, const __local uint *tw, uint k,
                                 __local V *rows) {
    uint blocks = 1u << (k - 2);
    tw += table_words(k) - 5 * blocks;
    for (uint j = 0; j < blocks; j++) {
        for (uint c = 0; c < lanes; c++) {
            const __local V *o = b + (c << k) + 4 * j;
            V x0 = o[0], x1 = o[1], x2 = o[2], x3 = o[3];
            radix4(&x0, &x1, &x2, &x3, tw + j + (c >> 31), blocks);
            rows[c] = x0; rows[lanes + c] = x2; rows[2 * lanes + c] = x1; rows[3 * lanes + c] = x3;
        }
        for (uint i = 0; i < 4u; i++) {
            ulong offset = to.step * (4 * j + i);
            store_row((const __local uint *)(rows + i * lanes), 16u * lanes, to.at + offset, (past + (uint)offset) & 15u);
        }
    }
}

// ---- kernels ----
//
// A matrix is given by its buffer, the word where it starts (`at`), the words from row to row (`pitch`) and from lane to
// lane (`lane`), and the columns `n` of its lines.
// Global size: (tiles / 2^log_rows, groups of lanes). A work-group takes `group` of the `lanes`, fewer in the last
// group, of 2^log_rows neighbouring tiles at once: then the lanes are 2^log_rows times 2^log_blocks, rows before blocks,
// and the group is all of them. Otherwise log_rows is 0 and log_blocks 31.

#define SINGLE __attribute__((reqd_work_group_size(1, 1, 1)))

#define GROUP                                                                                         \
    uint first = group * get_group_id(1), count = min(group, lanes - first);                          \
    uint rows = 1u << log_rows, row = get_group_id(0) << log_rows;

// The most significant digit of the row index, out of place: rows j + t 2^log_tiles, t < 2^k, become the neighbouring
// rows place(j) 2^k + t, where place(j) exchanges the low log_low bits of j with the others.
__kernel SINGLE void ntt_gather(const __global uint *in, ulong in_at, ulong in_pitch, ulong in_lane, uint in_n,
                                __global uint *x, ulong at, ulong pitch, ulong lane, uint n,
                                const __global uint *tables, uint table_at, uint reversed_at, uint scale, uint k,
                                uint log_tiles, uint log_low, uint lanes, uint group, uint log_rows, uint log_blocks,
                                __local V *b, __local uint *tw) {
    GROUP
    copy_table(tw, tables + table_at, k);
    SOURCE from = {in + in_at + in_pitch * row + in_lane * first, in_pitch << log_tiles, in_lane};
#define READ(n) load_reversed(from, count, n, b, k, tables + reversed_at);
    LOAD_COLUMNS(in_n, READ)
    scale_lines(b, count << k, scale);
    for (uint c = 0; c < count; c++) dit(b + (c << k), tw, k);
    uint blocks = count >> log_rows;
    for (uint m = 0; m < rows; m++) {
        uint j = row + m, place = ((j & ((1u << log_low) - 1u)) << (log_tiles - log_low)) | (j >> log_low);
        TARGET to = {x + at + pitch * ((ulong)place << k) + lane * first, pitch, lane};
#define WRITE(n) store_tile(to, blocks, n, b + ((m * blocks) << k), k);
        STORE_COLUMNS(n, WRITE)
#undef WRITE
    }
}

// A later digit of the inverse transform, in place: rows (hi 2^k + t) 2^log_stride + lo, t < 2^k, sigma = sigmas[lo].
__kernel SINGLE void ntt_inverse(__global uint *x, ulong at, ulong pitch, ulong lane, uint n,
                                 const __global uint *tables, uint table_at, uint sigmas_at, uint reversed_at,
                                 uint k, uint log_stride, uint lanes, uint group, uint log_rows, uint log_blocks,
                                 __local V *b, __local uint *tw) {
    GROUP
    uint lo = row & ((1u << log_stride) - 1u), hi = row >> log_stride, table = table_words(k);
    for (uint m = 0; m < rows; m++) specialise(tw + m * table, tables + table_at, k, tables[sigmas_at + lo + m]);
    __global uint *tile = x + at + pitch * (((ulong)hi << (k + log_stride)) + lo) + lane * first;
    SOURCE from = {tile, pitch << log_stride, lane};
    LOAD_COLUMNS(n, READ)
    for (uint c = 0; c < count; c++) dit(b + (c << k), tw + (c >> log_blocks) * table, k);
    TARGET to = {tile, pitch << log_stride, lane};
#define WRITE(n) store_tile(to, count, n, b, k);
    STORE_COLUMNS(n, WRITE)
#undef WRITE
}

// The last digit of the inverse transform and, for every coset, the first digit of the forward transform: rows
// lo + t 2^log_stride, t < 2^k, become the same rows of every coset, 2^log_height rows apart.
__kernel SINGLE void ntt_turn(__global uint *x, ulong at, ulong pitch, ulong lane, uint n,
                              const __global uint *tables, uint table_at, uint sigmas_at, uint reversed_at,
                              uint cosets_at, uint cosets, uint log_height, uint k, uint log_stride,
                              uint lanes, uint group, uint log_rows, uint log_blocks,
                              __local V *b, __local uint *tw, __local V *b2, __local uint *tw2) {
    GROUP
    uint table = table_words(k);
    for (uint m = 0; m < rows; m++) specialise(tw + m * table, tables + table_at, k, tables[sigmas_at + row + m]);
    __global uint *tile = x + at + pitch * row + lane * first;
    SOURCE from = {tile, pitch << log_stride, lane};
    LOAD_COLUMNS(n, READ)
#undef READ
    for (uint c = 0; c < count; c++) dit(b + (c << k), tw + (c >> log_blocks) * table, k);
    for (uint coset = 0; coset < cosets; coset++) {
        copy_table(tw2, tables + cosets_at + coset * table, k);
        for (uint c = 0; c < count; c++) {
            const __local V *coefficients = b + (c << k);
            TARGET to = {tile + pitch * ((ulong)coset << log_height) + lane * c, pitch << log_stride, lane};
            forward(coefficients, b2, tw2, k, n >= 16u);
            // For k = 2 the last pass is the only one.
            const __local V *last = k == 2u ? coefficients : b2;
            if (n == STREAM) forward_last(to, 1u, STREAM, last, tw2, k);
            else if (n == 16u) forward_last(to, 1u, 16u, last, tw2, k);
            else store_tile(to, 1u, n, b2, k);
        }
    }
}

// A later digit of the forward transform: rows (q 2^k + t) 2^log_stride + lo, t < 2^k, of all cosets, to the same rows
// of `out`, which may be the same matrix; sigma = sigmas[q].
__kernel SINGLE void ntt_forward(const __global uint *x, ulong at, ulong pitch, ulong lane, uint n,
                                 __global uint *out, ulong out_at, ulong out_pitch, ulong out_lane, uint out_n,
                                 const __global uint *tables, uint table_at, uint sigmas_at, uint k, uint log_stride,
                                 uint lanes, uint group, uint log_rows, uint log_blocks,
                                 __local V *b, __local uint *tw, __local V *rows_of_4) {
    GROUP
    uint lo = row & ((1u << log_stride) - 1u), q = row >> log_stride;
    ulong start = ((ulong)q << (k + log_stride)) + lo;
    specialise(tw, tables + table_at, k, tables[sigmas_at + q]);
    SOURCE from = {x + at + pitch * start + lane * first, pitch << log_stride, lane};
#define READ(n) load_tile(from, count, n, b, k);
    LOAD_COLUMNS(n, READ)
#undef READ
    for (uint c = 0; c < count; c++) forward(b + (c << k), b + (c << k), tw, k, out_n >= 16u);
    ulong out_start = out_at + out_pitch * start + out_lane * first;
    TARGET to = {out + out_start, out_pitch << log_stride, out_lane};
    if (out_n == STREAM) forward_last(to, count, STREAM, b, tw, k);
    else if (out_n == 16u) forward_last_shifted(to, (uint)out_start & 15u, count, b, tw, k, rows_of_4);
    else store_tile(to, count, out_n, b, k);
}
