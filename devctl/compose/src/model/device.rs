//! Devices and block IO.

use indexmap::IndexMap;

use super::record::record;
use super::*;

record! {
    /// A device of the host made available inside.
    pub struct DeviceMapping {
        /// Path on the host.
        source: Option<String>,
        /// Path inside.
        target: Option<String>,
        /// Any of `r`, `w` and `m`.
        permissions: Option<String>,
    }
}

record! {
    /// A request for accelerators.
    pub struct DeviceRequest {
        /// What they must be able to do.
        capabilities: Vec<String>,
        /// Driver.
        driver: Option<String>,
        /// How many; -1 is all.
        count: DeviceCount,
        /// Which ones.
        device_ids: Vec<String>,
        /// The driver's options.
        options: IndexMap<String, String>,
    }
}

/// How many devices; -1 is all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceCount(pub i64);

record! {
    /// Block IO limits.
    pub struct BlkioConfig {
        /// Weight, 10 to 1000.
        weight: u16,
        /// Weight per device.
        weight_device: Vec<WeightDevice>,
        /// Bytes per second, reading.
        device_read_bps: Vec<ThrottleDevice>,
        /// Operations per second, reading.
        device_read_iops: Vec<ThrottleDevice>,
        /// Bytes per second, writing.
        device_write_bps: Vec<ThrottleDevice>,
        /// Operations per second, writing.
        device_write_iops: Vec<ThrottleDevice>,
    }
}

record! {
    /// A device's weight.
    pub struct WeightDevice {
        /// Device.
        path: String = "path" / "Path",
        /// Weight.
        weight: u16 = "weight" / "Weight",
    }
}

record! {
    /// A device's limit.
    pub struct ThrottleDevice {
        /// Device.
        path: String = "path" / "Path",
        /// Limit per second.
        rate: ByteSize = "rate" / "Rate",
    }
}
