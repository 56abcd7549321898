// Transforms of heights below 16: every row of the result is a combination of the input's rows, by a matrix of
// constants that the host makes for any of the transforms.

// Global size: (blocks of VEC columns or more, rows of the result).
__kernel void ntt_direct(const __global uint *in, ulong in_at, ulong in_pitch,
                         __global uint *out, ulong out_at, ulong out_pitch,
                         const __global uint *matrix, uint height, uint width) {
    ulong column = (ulong)get_global_id(0) * VEC, row = get_global_id(1);
    if (column >= width) return;
    uint n = (uint)min((ulong)VEC, width - column);
    V sum = (V)0u;
    for (uint i = 0; i < height; i++) {
        V x = v_load_n(in + in_at + in_pitch * i + column, n);
        sum = v_add(sum, v_scale(x, matrix[row * height + i]));
    }
    v_store_n(sum, out + out_at + out_pitch * row + column, n);
}
