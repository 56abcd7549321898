// The tiles of ntt.cl in scalar form, for GPUs: a work-group takes one tile of 2^log_columns neighbouring columns into
// local memory, and its work-items share the butterflies of every pass. Neighbouring work-items take neighbouring
// columns, so that global memory is read and written in whole segments. Work-groups have at most 256 work-items; the
// host keeps local memory within 32 KiB.

// Work-item w of W takes the butterflies (r, column) with r * C + column = w, w + W, ...; C is a power of two.
#define FOR_EACH(r, column, count)                                                                    \
    for (uint w_ = get_local_id(0), r = w_ >> log_columns, column = w_ & ((1u << log_columns) - 1u);  \
         w_ < (count) << log_columns;                                                                 \
         w_ += get_local_size(0), r = w_ >> log_columns, column = w_ & ((1u << log_columns) - 1u))

// Line i of the tile, in this work-item's column.
#define LINE(i) b[((i) << log_columns) + column]

INLINE void local_barrier(void) { barrier(CLK_LOCAL_MEM_FENCE); }

// After a tile has been read: it may be written to the same place, by other work-items.
INLINE void tile_barrier(void) { barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE); }

// ---- tables ----

INLINE void copy_table(__local uint *tw, const __global uint *from, uint k) {
    for (uint i = get_local_id(0); i < table_words(k); i += get_local_size(0)) tw[i] = from[i];
    local_barrier();
}

// Bakes sigma into the table `base` of sigma = 1: in a pass with planes of h words, theta gains sigma^(2^k / (4 h)).
INLINE void specialise(__local uint *tw, const __global uint *base, uint k, uint sigma) {
    uint at = table_words(k), power = sigma;
    for (uint h = 1u << (k - 2); h != 0u; h >>= 2) {
        at -= 5u * h;
        uint square = f_sqr(power), cube = f_mul(square, power);
        for (uint i = get_local_id(0); i < h; i += get_local_size(0)) {
            uint j = at + i;
            tw[j] = f_mul(base[j], power);
            tw[j + h] = f_mul(base[j + h], square);
            tw[j + 2u * h] = f_mul(base[j + 2u * h], cube);
            tw[j + 3u * h] = f_mul(base[j + 3u * h], power);
            tw[j + 4u * h] = f_mul(base[j + 4u * h], cube);
        }
        power = f_sqr(square);
    }
    if ((k & 1u) && get_local_id(0) == 0u) tw[0] = power;
    local_barrier();
}

// ---- networks ----

// dit of lines in bit-reversed order, in place. Of four blocks joined, the second holds the transform of the x_i with
// i = 2 mod 4, the third that of i = 1 mod 4.
INLINE void dit(__local uint *b, const __local uint *tw, uint k, uint log_columns) {
    uint h = 1u;
    if (k & 1u) {
        FOR_EACH(r, column, 1u << (k - 1)) {
            uint x0 = LINE(2u * r), x1 = LINE(2u * r + 1u);
            radix2(&x0, &x1, tw[0]);
            LINE(2u * r) = x0;
            LINE(2u * r + 1u) = x1;
        }
        local_barrier();
        tw += 1;
        h = 2u;
    }
    for (; h < 1u << k; h *= 4u) {
        FOR_EACH(r, column, 1u << (k - 2)) {
            uint j = r & (h - 1u), i = 4u * (r - j) + j;
            uint x0 = LINE(i), x2 = LINE(i + h), x1 = LINE(i + 2u * h), x3 = LINE(i + 3u * h);
            radix4(&x0, &x1, &x2, &x3, tw + j, h);
            LINE(i) = x0;
            LINE(i + h) = x1;
            LINE(i + 2u * h) = x2;
            LINE(i + 3u * h) = x3;
        }
        tw += 5u * h;
        local_barrier();
    }
}

// forward, in place.
INLINE void forward(__local uint *b, const __local uint *tw, uint k, uint log_columns) {
    uint blocks = 1u;
    if (k & 1u) {
        uint q = 1u << (k - 1);
        FOR_EACH(r, column, q) {
            uint x0 = LINE(r), x1 = LINE(r + q);
            radix2(&x0, &x1, tw[0]);
            LINE(r) = x0;
            LINE(r + q) = x1;
        }
        local_barrier();
        tw += 1;
        blocks = 2u;
    }
    for (; blocks < 1u << k; blocks *= 4u) {
        uint q = (1u << (k - 2)) / blocks;
        FOR_EACH(r, column, 1u << (k - 2)) {
            uint i = r & (q - 1u), j = r / q, o = 4u * (r - i) + i;
            uint x0 = LINE(o), x1 = LINE(o + q), x2 = LINE(o + 2u * q), x3 = LINE(o + 3u * q);
            radix4(&x0, &x1, &x2, &x3, tw + j, blocks);
            LINE(o) = x0;
            LINE(o + q) = x2;
            LINE(o + 2u * q) = x1;
            LINE(o + 3u * q) = x3;
        }
        tw += 5u * blocks;
        local_barrier();
    }
}

// The tile's lines from global memory, line i times `scale` (0 for 1) to the place reversed[i] (0 for i).
INLINE void load_tile(__local uint *b, const __global uint *from, ulong step, uint columns, uint k, uint log_columns,
                      const __global uint *reversed, uint scale) {
    FOR_EACH(i, column, 1u << k) {
        uint place = reversed != 0 ? reversed[i] : i;
        uint x = v_load_n(from + step * i + column, column < columns ? 1u : 0u);
        LINE(place) = scale != 0u ? f_mul(x, scale) : x;
    }
    tile_barrier();
}

// And to global memory.
INLINE void store_tile(const __local uint *b, __global uint *to, ulong step, uint columns, uint k, uint log_columns) {
    FOR_EACH(i, column, 1u << k) {
        if (column < columns) to[step * i + column] = LINE(i);
    }
}

// ---- kernels ----
//
// Global size: (tiles times work-items, groups of columns). A matrix is given by its buffer, the word where it starts
// (`at`), the words from row to row (`pitch`) and its columns (`width`).

// The first column of this work-group, and how many it has.
#define COLUMNS                                                                                       \
    ulong column_at = (ulong)get_group_id(1) << log_columns;                                          \
    uint columns = (uint)min((ulong)1u << log_columns, (ulong)width - column_at);

// The most significant digit of the row index, out of place: rows j + t 2^log_tiles, t < 2^k, become the neighbouring
// rows place(j) 2^k + t, where place(j) exchanges the low log_low bits of j with the others.
__kernel void ntt_gather(const __global uint *in, ulong in_at, ulong in_pitch,
                         __global uint *x, ulong at, ulong pitch, uint width,
                         const __global uint *tables, uint table_at, uint reversed_at, uint scale,
                         uint k, uint log_tiles, uint log_low, uint log_columns,
                         __local uint *b, __local uint *tw) {
    COLUMNS
    uint j = get_group_id(0);
    uint place = ((j & ((1u << log_low) - 1u)) << (log_tiles - log_low)) | (j >> log_low);
    copy_table(tw, tables + table_at, k);
    load_tile(b, in + in_at + in_pitch * j + column_at, in_pitch << log_tiles, columns, k, log_columns,
              tables + reversed_at, scale);
    dit(b, tw, k, log_columns);
    store_tile(b, x + at + pitch * ((ulong)place << k) + column_at, pitch, columns, k, log_columns);
}

// A later digit of the inverse transform, in place: rows (hi 2^k + t) 2^log_stride + lo, t < 2^k, sigma = sigmas[lo].
__kernel void ntt_inverse(__global uint *x, ulong at, ulong pitch, uint width,
                          const __global uint *tables, uint table_at, uint sigmas_at, uint reversed_at,
                          uint k, uint log_stride, uint log_columns, __local uint *b, __local uint *tw) {
    COLUMNS
    uint g = get_group_id(0), lo = g & ((1u << log_stride) - 1u), hi = g >> log_stride;
    __global uint *tile = x + at + pitch * (((ulong)hi << (k + log_stride)) + lo) + column_at;
    ulong step = pitch << log_stride;
    specialise(tw, tables + table_at, k, tables[sigmas_at + lo]);
    load_tile(b, tile, step, columns, k, log_columns, tables + reversed_at, 0u);
    dit(b, tw, k, log_columns);
    store_tile(b, tile, step, columns, k, log_columns);
}

// The last digit of the inverse transform and, for every coset, the first digit of the forward transform: rows
// lo + t 2^log_stride, t < 2^k, become the same rows of every coset, 2^log_height rows apart.
__kernel void ntt_turn(__global uint *x, ulong at, ulong pitch, uint width,
                       const __global uint *tables, uint table_at, uint sigmas_at, uint reversed_at,
                       uint cosets_at, uint cosets, uint log_height, uint k, uint log_stride, uint log_columns,
                       __local uint *b, __local uint *tw, __local uint *b2) {
    COLUMNS
    uint lo = get_group_id(0);
    __global uint *tile = x + at + pitch * lo + column_at;
    ulong step = pitch << log_stride;
    specialise(tw, tables + table_at, k, tables[sigmas_at + lo]);
    load_tile(b, tile, step, columns, k, log_columns, tables + reversed_at, 0u);
    dit(b, tw, k, log_columns);
    for (uint coset = 0; coset < cosets; coset++) {
        for (uint i = get_local_id(0); i < 1u << (k + log_columns); i += get_local_size(0)) b2[i] = b[i];
        copy_table(tw, tables + cosets_at + coset * table_words(k), k);
        forward(b2, tw, k, log_columns);
        store_tile(b2, tile + pitch * ((ulong)coset << log_height), step, columns, k, log_columns);
        local_barrier();
    }
}

// A later digit of the forward transform, in place: rows (q 2^k + t) 2^log_stride + lo, t < 2^k, of all cosets;
// sigma = sigmas[q].
__kernel void ntt_forward(__global uint *x, ulong at, ulong pitch, uint width,
                          const __global uint *tables, uint table_at, uint sigmas_at,
                          uint k, uint log_stride, uint log_columns, __local uint *b, __local uint *tw) {
    COLUMNS
    uint g = get_group_id(0), lo = g & ((1u << log_stride) - 1u), q = g >> log_stride;
    __global uint *tile = x + at + pitch * (((ulong)q << (k + log_stride)) + lo) + column_at;
    ulong step = pitch << log_stride;
    load_tile(b, tile, step, columns, k, log_columns, 0, 0u);
    specialise(tw, tables + table_at, k, tables[sigmas_at + q]);
    forward(b, tw, k, log_columns);
    store_tile(b, tile, step, columns, k, log_columns);
}
