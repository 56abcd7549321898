//! Platforms, devices, and what they say about themselves.

use std::ffi::c_void;

use opencl3::device::{CL_DEVICE_TYPE_ALL, CL_DEVICE_TYPE_CUSTOM, get_device_data, get_device_ids};
use opencl3::error_codes::CL_PLATFORM_NOT_FOUND_KHR;
use opencl3::platform::platform::{CL_PLATFORM_NAME, get_platform_data, get_platform_ids};

use super::{ClResult, named};

/// A device as the driver names it. Root devices live as long as the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeviceHandle(*mut c_void);

// SAFETY: an identifier; the driver's functions that take it may be called from any thread.
unsafe impl Send for DeviceHandle {}
// SAFETY: as above.
unsafe impl Sync for DeviceHandle {}

impl DeviceHandle {
    pub(super) fn raw(self) -> *mut c_void {
        self.0
    }

    /// A property that is a string; empty where the driver has none.
    pub(crate) fn text(self, property: u32) -> String {
        text(&get_device_data(self.0, property).unwrap_or_default())
    }

    /// A property that is an integer of any width; `None` where the driver has none.
    pub(crate) fn integer(self, property: u32) -> Option<u64> {
        let bytes = get_device_data(self.0, property).ok()?;
        match bytes.len() {
            4 => Some(u64::from(u32::from_ne_bytes(bytes.try_into().ok()?))),
            8 => Some(u64::from_ne_bytes(bytes.try_into().ok()?)),
            _ => None,
        }
    }

    /// A property that is three sizes; `None` where the driver has fewer.
    pub(crate) fn sizes(self, property: u32) -> Option<[usize; 3]> {
        let bytes = get_device_data(self.0, property).ok()?;
        let sizes = bytes.as_chunks().0.iter().map(|b| usize::from_ne_bytes(*b));
        sizes.take(3).collect::<Vec<_>>().try_into().ok()
    }

    /// A property that is a truth value; false where the driver has none.
    pub(crate) fn flag(self, property: u32) -> bool {
        self.integer(property).unwrap_or(0) != 0
    }
}

/// A driver's string: its bytes up to the terminating zero.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
}

/// Every device of every platform, with its platform's name, in the loader's order.
pub(crate) fn devices() -> ClResult<Vec<(String, DeviceHandle)>> {
    let platforms = match get_platform_ids() {
        // The loader is there and knows no driver: no devices, and no error.
        Err(CL_PLATFORM_NOT_FOUND_KHR) => Vec::new(),
        other => named("clGetPlatformIDs", other)?,
    };
    let mut found = Vec::new();
    for platform in platforms {
        let name = text(&get_platform_data(platform, CL_PLATFORM_NAME).unwrap_or_default());
        // CL_DEVICE_TYPE_ALL leaves custom devices out. A platform that fails here has no devices for us.
        for kind in [CL_DEVICE_TYPE_ALL, CL_DEVICE_TYPE_CUSTOM] {
            for device in get_device_ids(platform, kind).unwrap_or_default() {
                let device = DeviceHandle(device);
                if found.iter().all(|(_, known)| *known != device) {
                    found.push((name.clone(), device));
                }
            }
        }
    }
    Ok(found)
}
