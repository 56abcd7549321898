//! A kernel, and whether arguments fit it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use starkwright_hal::HalError;

use super::{ArgKind, KernelSignature, Program};
use crate::runtime::{Arg, ClError, KernelHandle};

/// A kernel of a built program. Clones share it; launches from several threads are safe.
#[derive(Clone, Debug)]
pub struct Kernel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    handle: KernelHandle,
    /// Hash and options of the program's source.
    origin: ([u8; 32], String),
    arity: usize,
    /// What each argument is; `None` where the driver does not say.
    args: Option<Vec<ArgKind>>,
    launched: AtomicBool,
}

impl Kernel {
    pub(super) fn new(program: &Program, name: &'static str) -> Result<Self, HalError> {
        let program = &*program.0;
        let failed = |error: ClError| {
            if error.code == opencl3::error_codes::CL_INVALID_KERNEL_NAME {
                let known = program.handle.kernel_names().join(", ");
                let why = format!(
                    "program {} has no kernel {name}, only {known}",
                    program.name
                );
                return HalError::invalid("kernel", why);
            }
            error.on(&program.device.name, 0, 0)
        };
        let handle = KernelHandle::new(&program.handle, name).map_err(failed)?;
        let arity = handle.arity().map_err(failed)? as usize;
        let told = KernelSignature::args_of(&handle).map_err(failed)?;
        let stated = program.signatures.as_ref().map(|all| {
            let own = all.iter().find(|signature| signature.name == name);
            own.map(|signature| signature.args.clone())
        });
        // Papers that contradict the driver are wrong. Where the driver tells only the number, that must agree.
        let agree = match (&told, &stated) {
            (_, None) => true,
            (_, Some(None)) => false,
            (Some(told), Some(Some(stated))) => told == stated,
            (None, Some(Some(stated))) => stated.len() == arity,
        };
        if !agree {
            return Err(HalError::Build {
                device: program.device.name.clone(),
                kernel: name.to_owned(),
                log: format!("{arity} arguments, {told:?}; the manifest says {stated:?}"),
            });
        }
        let args = told.or_else(|| stated.flatten());
        Ok(Self(Arc::new(Inner {
            name,
            handle,
            origin: (program.source_hash, program.options.clone()),
            arity,
            args,
            launched: AtomicBool::new(false),
        })))
    }

    /// Name of the kernel.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Hash and options of the source that the kernel's program was made from.
    pub(crate) fn origin(&self) -> &([u8; 32], String) {
        &self.0.origin
    }

    pub(crate) fn handle(&self) -> &KernelHandle {
        &self.0.handle
    }

    /// Whether this is the kernel's first launch, for which some drivers compile it.
    pub(crate) fn first_launch(&self) -> bool {
        !self.0.launched.swap(true, Ordering::Relaxed)
    }

    /// Whether the kernel is known not to write its `index`-th argument.
    pub(crate) fn only_reads(&self, index: u32) -> bool {
        let args = self.0.args.as_ref();
        args.and_then(|args| args.get(index as usize)) == Some(&ArgKind::ConstBuffer)
    }

    /// Refuses arguments that are not the kernel's.
    pub(crate) fn check(&self, args: &[Arg<'_>]) -> Result<(), HalError> {
        let invalid = |why: String| {
            let why = format!("kernel {}: {why}", self.0.name);
            Err(HalError::invalid("launch", why))
        };
        if args.len() != self.0.arity {
            return invalid(format!("{} arguments, not {}", args.len(), self.0.arity));
        }
        let Some(kinds) = &self.0.args else {
            return Ok(());
        };
        for (index, (arg, kind)) in args.iter().zip(kinds).enumerate() {
            let fits = match arg {
                Arg::Buffer(_) => matches!(kind, ArgKind::Buffer | ArgKind::ConstBuffer),
                Arg::Local(_) => *kind == ArgKind::Local,
                Arg::U32(_) | Arg::U64(_) => *kind == ArgKind::Value,
            };
            if !fits {
                return invalid(format!("argument {index} is a {kind:?}"));
            }
        }
        Ok(())
    }
}
