// Gathers rows of one buffer for an opening.

// Entry e of `table` is a row of the matrix at `source` and the word of `out` where it goes. One work-group to an
// entry, whose work-items share the row's words.
__kernel void gather_rows(
    const __global uint *source, uint width, const __global uint *table, uint first, __global uint *out) {
    const ulong entry = (ulong)first + get_group_id(0);
    const __global uint *row = source + (ulong)table[2u * entry] * width;
    __global uint *to = out + table[2u * entry + 1u];
    for (uint i = (uint)get_local_id(0); i < width; i += (uint)get_local_size(0)) to[i] = row[i];
}
