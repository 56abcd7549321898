//! Building programs: memory cache, disk cache, compiler.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use starkwright_hal::HalError;

use super::cache::Entry;
use super::{
    Inner, Kernel, KernelSignature, Manifest, Program, ProgramFolder, ProgramSource, Requirements,
};
use crate::runtime::{ClError, ProgramHandle, Runtime};

/// Counts of [`Statistics`](crate::Statistics) about programs.
#[derive(Clone, Debug, Default)]
pub(crate) struct BuildFigures {
    pub(crate) seconds: f64,
    pub(crate) compiled: u64,
    pub(crate) cached: u64,
    pub(crate) loaded: u64,
    pub(crate) rejected: u64,
}

/// Lets launches be checked against the kernels' declarations.
const ARG_INFO: &str = "-cl-kernel-arg-info";

impl Runtime {
    /// A built program: from memory, from the folder of offline programs, from the disk cache, or built now.
    ///
    /// # Errors
    /// [`HalError::Build`] with the compiler's log, with what is wrong with a binary, or with the file that is missing
    /// where the device compiles nothing; [`HalError::Unsupported`] for a
    /// kind of program that the device does not take.
    pub fn program(&self, source: &ProgramSource) -> Result<Program, HalError> {
        self.0.check_alive()?;
        let find = |programs: &[(ProgramSource, Program)]| {
            programs
                .iter()
                .find(|(known, _)| known == source)
                .map(|(_, program)| program.clone())
        };
        if let Some(program) = find(&self.programs()) {
            return Ok(program);
        }
        // Built without the lock: two threads may build two programs at once.
        let start = Instant::now();
        let built = self.build(source);
        self.figures().seconds += start.elapsed().as_secs_f64();
        let program = built?;
        let mut programs = self.programs();
        Ok(find(&programs).unwrap_or_else(|| {
            programs.push((source.clone(), program.clone()));
            program
        }))
    }

    /// A kernel of a program.
    ///
    /// # Errors
    /// [`HalError::InvalidArgument`] for a name that the program does not have.
    pub fn kernel(&self, program: &Program, name: &'static str) -> Result<Kernel, HalError> {
        self.0.check_alive()?;
        program.kernel(name)
    }

    fn programs(&self) -> MutexGuard<'_, Vec<(ProgramSource, Program)>> {
        lock(&self.0.programs)
    }

    fn figures(&self) -> MutexGuard<'_, BuildFigures> {
        lock(&self.0.builds)
    }

    fn build(&self, source: &ProgramSource) -> Result<Program, HalError> {
        if self.0.build_must_fail() {
            return Err(self.build_error(source, "injected by a test".to_owned()));
        }
        match source {
            ProgramSource::Source { parts, options, .. } => {
                if let Some(program) = self.load_offline(source)? {
                    return Ok(program);
                }
                let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
                let (handle, signatures) = self.compile(source, &parts, options)?;
                Ok(self.owned(source, handle, signatures, source.hash(), options))
            }
            ProgramSource::Binary {
                bytes,
                manifest,
                requires,
                ..
            } => self.load_checked(source, bytes, manifest, requires),
            ProgramSource::BuiltIn { names } => {
                let handle = self.built_in(source, names)?;
                Ok(self.owned(source, handle, None, source.hash(), ""))
            }
        }
    }

    /// A binary, once its manifest is found right.
    fn load_checked(
        &self,
        source: &ProgramSource,
        bytes: &[u8],
        manifest: &Manifest,
        requires: &Requirements,
    ) -> Result<Program, HalError> {
        manifest.check(bytes, self.info(), requires)?;
        let handle = self.load_binary(bytes);
        let handle = handle.map_err(|e| self.build_error(source, e.to_string()))?;
        let signatures = Some(manifest.kernels.clone());
        let (hash, options) = (manifest.source_hash, &manifest.options);
        Ok(self.owned(source, handle, signatures, hash, options))
    }

    /// From the folder of offline programs. `None` where it has no such program and the device compiles; what is there
    /// and wrong is an error, and never compiled over.
    fn load_offline(&self, source: &ProgramSource) -> Result<Option<Program>, HalError> {
        let stem = ProgramFolder::stem(source, self.variant());
        let compiles = self.info().compiler_available;
        let Some(folder) = &self.0.folder else {
            if compiles {
                return Ok(None);
            }
            let why = format!(
                "the device compiles no source, and no folder of its programs was named (`programs` in the settings), \
                 where {stem}.bin would be"
            );
            return Err(self.build_error(source, why));
        };
        let found = folder.load(&stem);
        match found.map_err(|why| self.build_error(source, why))? {
            Some((bytes, manifest)) => {
                let requires = source.requirements();
                let program = self.load_checked(source, &bytes, &manifest, &requires)?;
                self.figures().loaded += 1;
                Ok(Some(program))
            }
            None if compiles => Ok(None),
            None => {
                let path = folder.binary_path(&stem);
                let why = format!(
                    "the device compiles no source, and {} is missing",
                    path.display()
                );
                Err(self.build_error(source, why))
            }
        }
    }

    fn owned(
        &self,
        source: &ProgramSource,
        handle: ProgramHandle,
        signatures: Option<Vec<KernelSignature>>,
        source_hash: [u8; 32],
        options: &str,
    ) -> Program {
        Program(Arc::new(Inner {
            name: source.name().to_owned(),
            handle,
            source_hash,
            options: options.to_owned(),
            signatures,
            device: self.info().clone(),
            kernels: Mutex::default(),
        }))
    }

    /// From source text, or from what an earlier process made of it.
    fn compile(
        &self,
        source: &ProgramSource,
        parts: &[&str],
        options: &str,
    ) -> Result<(ProgramHandle, Option<Vec<KernelSignature>>), HalError> {
        let cache = self
            .0
            .disk_cache
            .as_ref()
            .map(|cache| (cache, source.key(self.info())));
        if let Some((cache, key)) = &cache {
            // A damaged file and one that the driver refuses are alike: the build below replaces them.
            let found = cache.load(key).map(|found| {
                found.map(|entry| Ok::<_, HalError>((self.load_binary(&entry.binary)?, entry)))
            });
            match found {
                Ok(None) => {}
                Ok(Some(Ok((handle, entry)))) => {
                    self.figures().cached += 1;
                    return Ok((handle, entry.signatures));
                }
                Ok(Some(Err(_))) | Err(_) => self.figures().rejected += 1,
            }
        }
        let handle = ProgramHandle::from_source(&self.0.context, parts);
        let handle = handle.map_err(|e| self.0.error(e))?;
        let built = handle.build(&format!("{options} {ARG_INFO}"));
        built.map_err(|e| self.refused(source, &handle, e))?;
        self.figures().compiled += 1;
        let signatures = KernelSignature::all(&handle).map_err(|e| self.0.error(e))?;
        if let Some((cache, key)) = &cache {
            let binary = handle.binary();
            let entry = Entry { binary, signatures };
            // The cache saves time and nothing else: a full disk must not stop a proof.
            let _ = cache.store(key, &entry);
            return Ok((handle, entry.signatures));
        }
        Ok((handle, signatures))
    }

    /// A failed build, with the compiler's log where there is one.
    fn refused(&self, source: &ProgramSource, handle: &ProgramHandle, error: ClError) -> HalError {
        match self.0.error(error) {
            driver @ HalError::Driver { .. } => {
                let log = handle.build_log();
                let log = if log.is_empty() {
                    driver.to_string()
                } else {
                    log
                };
                self.build_error(source, log)
            }
            other => other,
        }
    }

    /// From bytes whose checksum was checked.
    fn load_binary(&self, bytes: &[u8]) -> Result<ProgramHandle, HalError> {
        let driver = |e: ClError| self.0.error(e);
        let handle = ProgramHandle::from_binary(&self.0.context, bytes).map_err(driver)?;
        handle.build(ARG_INFO).map_err(driver)?;
        Ok(handle)
    }

    /// From kernels that the device brings.
    fn built_in(
        &self,
        source: &ProgramSource,
        names: &[String],
    ) -> Result<ProgramHandle, HalError> {
        let known = &self.info().built_in_kernels;
        let missing: Vec<&String> = names.iter().filter(|name| !known.contains(name)).collect();
        if names.is_empty() || !missing.is_empty() {
            let why = format!("{} has no built-in kernels {missing:?}", self.info().name);
            return Err(HalError::unsupported("loading built-in kernels", why));
        }
        let handle = ProgramHandle::from_built_in(&self.0.context, &names.join(";"));
        let handle = handle.map_err(|e| self.0.error(e))?;
        handle
            .build("")
            .map_err(|e| self.refused(source, &handle, e))?;
        Ok(handle)
    }

    fn build_error(&self, source: &ProgramSource, log: String) -> HalError {
        HalError::Build {
            device: self.info().name.clone(),
            kernel: source.name().to_owned(),
            log,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
