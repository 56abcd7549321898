//! Hashing rows.

use starkwright_hal::HalError;

use super::digests::Digests;
use super::kernels::Kernels;
use crate::{Arg, Matrix, Runtime};

/// Matrices that one launch takes.
const MATRICES: usize = 4;

/// Flags of the kernels: go on from the saved states; finish the message.
const RESUME: u32 = 1;
const FINISH: u32 = 2;

/// Digest `i` of `out` becomes the hash of row `i` of all matrices, concatenated. The matrices have one height.
pub(super) fn hash(
    rt: &Runtime,
    kernels: &Kernels,
    matrices: &[&Matrix],
    out: &Digests,
) -> Result<(), HalError> {
    let height = matrices.first().map_or(0, |m| m.height);
    // States are kept between launches where one cannot take all matrices.
    let states = if matrices.len() > MATRICES {
        let rows = (rt.max_alloc_words() / kernels.state).max(1);
        let rows = (1 << rows.ilog2()).min(height).max(kernels.lanes);
        Some((rt.alloc(rows * kernels.state)?, rows))
    } else {
        None
    };

    let mut first = 0;
    while first < height {
        let mut rows = height - first;
        for matrix in matrices {
            rows = rows.min(matrix.rows_per_chunk - first % matrix.rows_per_chunk);
        }
        if let Some((_, most)) = states {
            rows = rows.min(most);
        }
        let (digests, digests_at, rows) = out.run(first, rows)?;
        let states = states.as_ref().map_or(digests, |(buffer, _)| buffer);
        let mut absorbed = 0;
        let groups = matrices.len().div_ceil(MATRICES);
        for (i, group) in matrices.chunks(MATRICES).enumerate() {
            let mut args = Vec::with_capacity(3 * MATRICES + 6);
            for slot in 0..MATRICES {
                let (buffer, at, width) = match group.get(slot) {
                    Some(matrix) => {
                        let (buffer, at) = matrix.locate(first).ok_or_else(|| {
                            HalError::invalid("commit", format!("no buffer holds row {first}"))
                        })?;
                        (&**buffer, at, matrix.width)
                    }
                    // A slot of width 0 is never read.
                    None => (digests, 0, 0),
                };
                args.extend([
                    Arg::Buffer(buffer),
                    Arg::U64(at as u64),
                    Arg::U32(width as u32),
                ]);
            }
            let resume = if i > 0 { RESUME } else { 0 };
            let finish = if i + 1 == groups { FINISH } else { 0 };
            args.extend([
                Arg::U64(rows as u64),
                Arg::Buffer(digests),
                Arg::U64(digests_at as u64),
                Arg::Buffer(states),
                Arg::U32((absorbed % kernels.rate) as u32),
                Arg::U32(resume | finish),
            ]);
            kernels.launch(rt, &kernels.rows, rows, &args)?;
            absorbed += group.iter().map(|m| m.width).sum::<usize>();
        }
        first += rows;
    }
    Ok(())
}
