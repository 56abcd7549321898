//! Programs for a device that compiles nothing, or for one that should not have to.

use std::path::Path;

use p3_baby_bear::BabyBear;
use p3_koala_bear::KoalaBear;
use starkwright_hal::{HalError, check_device};

use crate::OpenCl;
use crate::program::ProgramFolder;

impl OpenCl {
    /// Writes every program that a prover may need, over both fields and under all hashes, in this device's variant,
    /// to `folder`: its source, its binary and the binary's manifest. A device like this one opened with
    /// [`Options::programs`](crate::Options::programs) then compiles nothing. Gives the number of programs.
    ///
    /// Every operation is run against the reference first ([`check_device`]), which is also what builds the programs.
    ///
    /// # Errors
    /// As [`check_device`]; [`HalError::Unsupported`] where the driver gives no binaries or does not tell kernels'
    /// arguments, [`HalError::InvalidArgument`] where a file cannot be written.
    pub fn export_programs(&self, folder: &Path) -> Result<usize, HalError> {
        check_device::<KoalaBear, Self>(self)?;
        check_device::<BabyBear, Self>(self)?;
        let folder = ProgramFolder::new(folder.to_owned());
        let rt = self.runtime();
        let sources = rt.sources();
        for source in &sources {
            folder.store(source, &rt.program(source)?, rt.variant())?;
        }
        Ok(sources.len())
    }
}
