//! Launching kernels.

use opencl3::error_codes::CL_MEM_OBJECT_ALLOCATION_FAILURE;
use starkwright_hal::HalError;

use super::cl::{Event, Queue};
use super::faults::LaunchFault;
use super::stream::Refusal;
use super::{Buffer, Runtime};
use crate::program::Kernel;

/// One argument of a launch.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a> {
    /// A buffer in global or constant memory.
    Buffer(&'a Buffer),
    /// A `uint`.
    U32(u32),
    /// A `ulong`.
    U64(u64),
    /// So many bytes of local memory.
    Local(usize),
}

impl Runtime {
    /// Enqueues a kernel over `global` work-items in work-groups of `local` (the driver's choice where `None`).
    ///
    /// Arguments are checked against the kernel's declaration: their number, and whether each is a buffer, local
    /// memory or a value. What the kernel does inside its buffers is not checked.
    ///
    /// # Errors
    /// [`HalError::InvalidArgument`] for arguments that do not fit, for a mapped buffer that the kernel could write, or
    /// for a work-group that does not divide `global`; else the driver's refusal. What happens on the device is
    /// reported by the next [`Self::finish`], [`Self::read`] or [`Self::map`].
    pub fn launch(
        &self,
        kernel: &Kernel,
        global: [usize; 3],
        local: Option<[usize; 3]>,
        args: &[Arg<'_>],
    ) -> Result<(), HalError> {
        self.0.check_alive()?;
        kernel.check(args)?;
        if !kernel.handle().is_of(&self.0.context) {
            return Err(HalError::invalid(
                "launch",
                format!("kernel {} belongs to another runtime", kernel.name()),
            ));
        }
        let invalid = |why: String| {
            let why = format!("kernel {}: {why}", kernel.name());
            Err(HalError::invalid("launch", why))
        };
        if global.contains(&0) {
            return invalid(format!("no work-items in {global:?}"));
        }
        if let Some(local) = local {
            let divides = global.iter().zip(local).all(|(g, l)| l != 0 && g % l == 0);
            let size = local
                .iter()
                .try_fold(1usize, |size, l| size.checked_mul(*l));
            let (most, sides) = (self.info().max_work_group, self.info().max_work_items);
            let fits = size.is_some_and(|size| size <= most)
                && local.iter().zip(sides).all(|(l, most)| *l <= most);
            if !divides || !fits {
                return invalid(format!(
                    "work-groups of {local:?} do not fit {global:?} on a device with work-groups up to {most}, {sides:?}"
                ));
            }
        }
        for arg in args {
            if let Arg::Buffer(buffer) = arg {
                self.check_owner("launch", buffer)?;
            }
        }
        let recording = match &self.0.recorder {
            Some(recorder) => Some((recorder, self.before_launch(kernel, global, local, args)?)),
            None => None,
        };
        match self.0.faults.as_ref().and_then(|f| f.launch()) {
            Some(LaunchFault::Lose) => return Err(self.0.lose("injected by a test".to_owned())),
            Some(LaunchFault::Hang) => {
                self.0.stream.hang();
                return Ok(());
            }
            Some(LaunchFault::Exhaust) => {
                self.0.stream.fail(CL_MEM_OBJECT_ALLOCATION_FAILURE);
                return Ok(());
            }
            None => {}
        }
        for arg in args {
            if let Arg::Buffer(buffer) = arg {
                self.arrive(buffer)?;
            }
        }
        self.0.enqueue(kernel.name(), |queue| {
            // The stream's lock is held: no other launch sets arguments of this kernel now.
            let launched = launch(queue, kernel, global, local, args);
            // Some drivers (rusticl) keep a kernel's last buffers alive with the kernel, which lives long here.
            for (index, arg) in (0u32..).zip(args) {
                if let Arg::Buffer(_) = arg {
                    let _ = kernel.handle().unset_buffer(index);
                }
            }
            launched
        })?;
        match recording {
            Some((recorder, launch)) => self.after_launch(recorder, launch, args),
            None => Ok(()),
        }
    }
}

/// Sets the arguments and enqueues.
fn launch(
    queue: &Queue,
    kernel: &Kernel,
    global: [usize; 3],
    local: Option<[usize; 3]>,
    args: &[Arg<'_>],
) -> Result<Event, Refusal> {
    let handle = kernel.handle();
    let mut mems = Vec::new();
    for (index, arg) in (0u32..).zip(args) {
        match arg {
            Arg::Buffer(buffer) => {
                if !kernel.only_reads(index) {
                    buffer.check_writable("launch")?;
                }
                mems.push(buffer.mem().share()?);
                handle.set_buffer(index, buffer.mem())
            }
            Arg::U32(value) => handle.set_bytes(index, &value.to_ne_bytes()),
            Arg::U64(value) => handle.set_bytes(index, &value.to_ne_bytes()),
            Arg::Local(bytes) => handle.set_local(index, *bytes),
        }?;
    }
    let event = queue.launch(handle, &global, local.as_ref())?;
    Ok(event.using(mems).compiling(kernel.first_launch()))
}
