// Kernels that are wrong on purpose. Their names begin with planted_, so that Oclgrind's messages about them are told
// from messages about real kernels.

// Every work-item writes its own number to one of two words: which number stays is chance.
__kernel void planted_race(__global uint *out) {
    out[get_global_id(0) & 1u] = (uint)get_global_id(0);
}

// Copies n words, and adds the prime to the one in the middle: the same element, and another word.
__kernel void planted_unreduced(__global const uint *in, __global uint *out, uint n, uint prime) {
    uint i = (uint)get_global_id(0);
    if (i >= n) return;
    out[i] = in[i] + (i == n / 2u ? prime : 0u);
}

// Copies n words, and forgets the 16 from the middle on.
__kernel void planted_unwritten(__global const uint *in, __global uint *out, uint n) {
    uint i = (uint)get_global_id(0);
    if (i >= n || (i >= n / 2u && i < n / 2u + 16u)) return;
    out[i] = in[i];
}
