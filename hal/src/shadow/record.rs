//! The input of a failing operation, as a file.
//!
//! All numbers are little-endian; the file ends after the last matrix.
//!
//! | part       | bytes                                                                                   |
//! |------------|-----------------------------------------------------------------------------------------|
//! | magic      | `SWREPLAY`                                                                              |
//! | version    | u32, 1                                                                                  |
//! | operation  | u32 length, ASCII name                                                                  |
//! | field      | u32 length, ASCII name                                                                  |
//! | degree     | u32: of the extension, 0 where the operation has none                                   |
//! | parameters | u32 count, that many u64; their meaning stands with each operation in `replay.rs`       |
//! | matrices   | u32 count; each a u64 height, a u64 width, and height · width u32 Montgomery words      |

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;

use crate::{HalError, HalField};

const MAGIC: [u8; 8] = *b"SWREPLAY";
const VERSION: u32 = 1;
/// Longest name of an operation or field.
const MAX_NAME: u32 = 64;

/// An operation's input.
pub(super) struct Record<F> {
    pub(super) operation: String,
    /// Degree of the extension, 0 for none.
    pub(super) degree: usize,
    pub(super) parameters: Vec<u64>,
    pub(super) matrices: Vec<RowMajorMatrix<F>>,
}

impl<F: HalField> Record<F> {
    pub(super) fn new(
        operation: &str,
        parameters: Vec<u64>,
        matrices: Vec<RowMajorMatrix<F>>,
    ) -> Self {
        Self {
            operation: operation.to_owned(),
            degree: 0,
            parameters,
            matrices,
        }
    }

    /// The same for an operation over an extension.
    pub(super) fn of_degree(self, degree: usize) -> Self {
        Self { degree, ..self }
    }

    /// Writes the record into a folder under a name of its own: first beside it, then renamed.
    pub(super) fn save(&self, folder: &Path) -> io::Result<PathBuf> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(folder)?;
        let nanoseconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.as_nanos());
        let name = format!(
            "{}-{nanoseconds}-{}-{}",
            self.operation,
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let (unfinished, path) = (
            folder.join(format!("{name}.tmp")),
            folder.join(format!("{name}.replay")),
        );
        let written = self
            .write(&unfinished)
            .and_then(|()| fs::rename(&unfinished, &path));
        if let Err(error) = written {
            // The unfinished file is of no use; that it cannot be removed either changes nothing.
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        Ok(path)
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let mut out = BufWriter::new(file);
        let length = |n: usize| u32::try_from(n).map_err(io::Error::other);
        out.write_all(&MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        for name in [self.operation.as_str(), F::NAME] {
            out.write_all(&length(name.len())?.to_le_bytes())?;
            out.write_all(name.as_bytes())?;
        }
        out.write_all(&length(self.degree)?.to_le_bytes())?;
        out.write_all(&length(self.parameters.len())?.to_le_bytes())?;
        for parameter in &self.parameters {
            out.write_all(&parameter.to_le_bytes())?;
        }
        out.write_all(&length(self.matrices.len())?.to_le_bytes())?;
        for matrix in &self.matrices {
            out.write_all(&(matrix.height() as u64).to_le_bytes())?;
            out.write_all(&(matrix.width as u64).to_le_bytes())?;
            for value in &matrix.values {
                out.write_all(&value.to_unique_u32().to_le_bytes())?;
            }
        }
        out.flush()
    }

    /// Reads a record. Nothing in the file is trusted: no size is allocated that the file does not have.
    pub(super) fn load(path: &Path) -> Result<Self, HalError> {
        let file = File::open(path).map_err(|error| bad(path, error))?;
        let left = file.metadata().map_err(|error| bad(path, error))?.len();
        let mut input = Input {
            path,
            left,
            file: BufReader::new(file),
        };
        if input.array()? != MAGIC || input.u32()? != VERSION {
            return Err(bad(path, "not a replay file of this version"));
        }
        let operation = input.name()?;
        let field = input.name()?;
        if field != F::NAME {
            return Err(bad(path, format!("recorded over {field:?}")));
        }
        let degree = input.u32()? as usize;
        let count = u64::from(input.u32()?);
        let parameters = input.words(count, u64::from_le_bytes)?;
        // A matrix takes 16 bytes at least.
        let count = u64::from(input.u32()?);
        input.must_hold(count.checked_mul(16))?;
        let matrices = (0..count)
            .map(|_| input.matrix())
            .collect::<Result<_, _>>()?;
        if input.left > 0 {
            return Err(bad(path, format!("{} bytes too long", input.left)));
        }
        Ok(Self {
            operation,
            degree,
            parameters,
            matrices,
        })
    }
}

/// The error for a file that cannot be read as a record.
pub(super) fn bad(path: &Path, why: impl std::fmt::Display) -> HalError {
    HalError::invalid("replay", format!("{}: {why}", path.display()))
}

/// A file, and how much of it is left.
struct Input<'a> {
    path: &'a Path,
    left: u64,
    file: BufReader<File>,
}

impl Input<'_> {
    fn must_hold(&self, bytes: Option<u64>) -> Result<u64, HalError> {
        bytes
            .filter(|&bytes| bytes <= self.left)
            .ok_or_else(|| bad(self.path, "shorter than it says"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], HalError> {
        let mut bytes = [0; N];
        self.left -= self.must_hold(Some(N as u64))?;
        self.file
            .read_exact(&mut bytes)
            .map_err(|error| bad(self.path, error))?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, HalError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, HalError> {
        self.array().map(u64::from_le_bytes)
    }

    fn words<const N: usize, T>(
        &mut self,
        count: u64,
        word: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, HalError> {
        self.must_hold(count.checked_mul(N as u64))?;
        (0..count).map(|_| self.array().map(&word)).collect()
    }

    fn name(&mut self) -> Result<String, HalError> {
        let length = self.u32()?;
        if length > MAX_NAME {
            return Err(bad(self.path, "a name that is too long"));
        }
        let bytes = self.words(length.into(), |[byte]: [u8; 1]| byte)?;
        String::from_utf8(bytes).map_err(|error| bad(self.path, error))
    }

    fn matrix<F: HalField>(&mut self) -> Result<RowMajorMatrix<F>, HalError> {
        let (height, width) = (self.u64()?, self.u64()?);
        let count = height.checked_mul(width).filter(|&count| count > 0);
        self.must_hold(count.and_then(|count| count.checked_mul(4)))?;
        let words = self.words(count.unwrap_or(0), u32::from_le_bytes)?;
        let elements = words.into_iter().map(F::from_montgomery_word);
        let values = elements
            .collect::<Option<Vec<F>>>()
            .ok_or_else(|| bad(self.path, "a word that is not below the prime"))?;
        let width = usize::try_from(width).map_err(|error| bad(self.path, error))?;
        Ok(RowMajorMatrix::new(values, width))
    }
}
