//! A device and its queue, and what is shared by all that runs on them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::errors::{Caught, RequestError};
use super::scope::{caught, now};
use super::slots::SlotPool;

/// A wgpu device with its queue. Clones share everything; `Send + Sync` natively.
#[derive(Clone, Debug)]
pub struct Gpu {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// Compiled kernels by the text that tells them apart.
    pipelines: Mutex<HashMap<String, wgpu::ComputePipeline>>,
    slots: SlotPool,
    /// Set by the device-lost callback, which is installed only on devices made here.
    lost: Arc<AtomicBool>,
}

impl PartialEq for Gpu {
    /// Whether both are clones of one value; two wrappers of one device are not.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

/// What kind of adapter will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AdapterKind {
    /// Hardware if there is any, else a software driver.
    #[default]
    Any,
    /// Hardware only.
    Hardware,
    /// A software driver only, such as lavapipe.
    Software,
}

/// Which adapter to open, and with which limits.
#[derive(Clone, Debug)]
pub struct GpuRequest {
    /// Which graphics interfaces to look at. Default: all that were compiled in.
    pub backends: wgpu::Backends,
    /// What kind of adapter will do. Default: any, hardware first.
    pub kind: AdapterKind,
    /// Only an adapter whose name contains this, whatever the case. Default: none.
    pub name: Option<String>,
    /// The limits to open the device with. Default: all that the adapter has, so that the
    /// largest vectors need the fewest dispatches.
    pub limits: Option<wgpu::Limits>,
    /// Features to enable where the adapter has them. Default: none.
    pub features: wgpu::Features,
}

impl Default for GpuRequest {
    fn default() -> Self {
        Self {
            backends: wgpu::Backends::all(),
            kind: AdapterKind::Any,
            name: None,
            limits: None,
            features: wgpu::Features::empty(),
        }
    }
}

impl GpuRequest {
    /// A request for the adapter whose name contains `name`, whatever the case.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }

    fn accepts(&self, info: &wgpu::AdapterInfo) -> bool {
        let software = info.device_type == wgpu::DeviceType::Cpu;
        let kind = match self.kind {
            AdapterKind::Any => true,
            AdapterKind::Hardware => !software,
            AdapterKind::Software => software,
        };
        let contains = |name: &String| info.name.to_lowercase().contains(&name.to_lowercase());
        kind && self.name.as_ref().is_none_or(contains)
    }

    /// What was asked for, for a message.
    fn wanted(&self) -> String {
        match (&self.name, self.kind) {
            (Some(name), _) => format!("\"{name}\""),
            (None, AdapterKind::Any) => "graphics".to_owned(),
            (None, AdapterKind::Hardware) => "hardware graphics".to_owned(),
            (None, AdapterKind::Software) => "software graphics".to_owned(),
        }
    }

    async fn adapters(&self) -> Vec<wgpu::Adapter> {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        descriptor.backends &= self.backends;
        let instance = wgpu::Instance::new(descriptor);
        let mut adapters = instance.enumerate_adapters(self.backends).await;
        adapters.sort_by_key(|adapter| preference(adapter.get_info().device_type));
        adapters
    }
}

/// The order in which kinds of device are tried.
fn preference(device_type: wgpu::DeviceType) -> u8 {
    match device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

impl Gpu {
    /// Wraps the caller's own device and queue. Nothing is installed on them.
    #[must_use]
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        Self::with_lost_flag(device, queue, Arc::default())
    }

    /// Opens an adapter, for those who have no device of their own.
    ///
    /// # Errors
    /// [`RequestError`] if there is no such adapter, or it lacks the limits asked for.
    pub async fn request(request: &GpuRequest) -> Result<Self, RequestError> {
        let mut found = Vec::new();
        let mut refused = None;
        for adapter in request.adapters().await {
            let info = adapter.get_info();
            if request.accepts(&info) {
                match Self::open(&adapter, request).await {
                    Ok(gpu) => return Ok(gpu),
                    // The best adapter's reason is the one to tell.
                    Err(error) => refused = refused.or(Some(error)),
                }
            }
            found.push(info.name);
        }
        Err(refused.unwrap_or(RequestError::NoAdapter { wanted: request.wanted(), found }))
    }

    /// [`Gpu::request`], waiting for it.
    ///
    /// # Errors
    /// As [`Gpu::request`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn request_blocking(request: &GpuRequest) -> Result<Self, RequestError> {
        pollster::block_on(Self::request(request))
    }

    /// The adapters that a request would choose from, best first, whatever its limits.
    pub async fn adapters(request: &GpuRequest) -> Vec<wgpu::AdapterInfo> {
        let infos = request.adapters().await.into_iter().map(|adapter| adapter.get_info());
        infos.filter(|info| request.accepts(info)).collect()
    }

    async fn open(adapter: &wgpu::Adapter, request: &GpuRequest) -> Result<Self, RequestError> {
        let name = adapter.get_info().name;
        let allowed = adapter.limits();
        let limits = request.limits.clone().unwrap_or_else(|| allowed.clone());
        let mut exceeded = None;
        limits.check_limits_with_fail_fn(&allowed, true, |limit, asked, allowed| {
            exceeded = Some(RequestError::Limit { adapter: name.clone(), limit, asked, allowed });
        });
        if let Some(error) = exceeded {
            return Err(error);
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("wgpu-optim"),
            required_features: request.features & adapter.features(),
            required_limits: limits,
            ..Default::default()
        };
        let refused = |error: wgpu::RequestDeviceError| RequestError::Refused {
            adapter: name.clone(),
            message: error.to_string(),
        };
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(refused)?;
        let lost = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&lost);
        device.set_device_lost_callback(move |_, _| flag.store(true, Ordering::Relaxed));
        Ok(Self::with_lost_flag(device, queue, lost))
    }

    fn with_lost_flag(device: wgpu::Device, queue: wgpu::Queue, lost: Arc<AtomicBool>) -> Self {
        let (pipelines, slots) = (Mutex::default(), SlotPool::default());
        Self { shared: Arc::new(Shared { device, queue, pipelines, slots, lost }) }
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &wgpu::Device {
        &self.shared.device
    }

    /// Its queue.
    #[must_use]
    pub fn queue(&self) -> &wgpu::Queue {
        &self.shared.queue
    }

    /// What wgpu knows of the adapter behind the device.
    #[must_use]
    pub fn info(&self) -> wgpu::AdapterInfo {
        self.shared.device.adapter_info()
    }

    /// Whether the device is known to be lost. A device that was handed in is known only by the
    /// failure of a download: its one callback belongs to its owner.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Whether both run on one device.
    ///
    /// wgpu numbers devices within an instance, so that equal handles may still be two devices
    /// of two instances; but each has its own error scopes. A deliberate error on one, caught by
    /// a scope of the other, tells that they are the same.
    pub(crate) fn same_device(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        let (ours, theirs) = (self.device(), other.device());
        if ours != theirs {
            return false;
        }
        let outer = theirs.push_error_scope(wgpu::ErrorFilter::Validation);
        let inner = ours.push_error_scope(wgpu::ErrorFilter::Validation);
        let _refused = theirs.create_buffer(&wgpu::BufferDescriptor {
            label: Some("refused on purpose: mapped for reading and writing"),
            size: 4,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::MAP_WRITE,
            mapped_at_creation: false,
        });
        let caught_here = now(inner.pop()).flatten().is_some();
        let caught_there = now(outer.pop()).flatten().is_some();
        // A lost device reports nothing at all; then the equal handles have to do.
        caught_here || !caught_there
    }

    pub(crate) fn slots(&self) -> &SlotPool {
        &self.shared.slots
    }

    /// The kernel known as `key`, compiled by `make` the first time.
    pub(crate) fn pipeline(
        &self,
        key: &str,
        make: impl FnOnce(&wgpu::Device) -> wgpu::ComputePipeline,
    ) -> Result<wgpu::ComputePipeline, Caught> {
        let pipelines = &self.shared.pipelines;
        // A panic elsewhere cannot leave this map half-changed.
        let known = pipelines.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        if let Some(pipeline) = known {
            return Ok(pipeline);
        }
        let pipeline = caught(self.device(), || make(self.device()))?;
        let mut pipelines = pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(pipelines.entry(key.to_owned()).or_insert(pipeline).clone())
    }

    /// Lets the device make progress without waiting; natively nothing happens otherwise.
    ///
    /// # Errors
    /// [`Lost`] where wgpu gives up on the device.
    pub(crate) fn poll(&self, kind: wgpu::PollType) -> Result<(), Lost> {
        let poll = std::panic::AssertUnwindSafe(|| self.shared.device.poll(kind));
        // wgpu panics here on a device that the driver has given up.
        match std::panic::catch_unwind(poll) {
            Ok(_) => Ok(()),
            Err(_) => {
                self.shared.lost.store(true, Ordering::Relaxed);
                Err(Lost)
            }
        }
    }

    /// Waits until all submitted work is done.
    ///
    /// # Errors
    /// [`super::DownloadError::DeviceLost`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn wait_blocking(&self) -> Result<(), super::DownloadError> {
        self.poll(wgpu::PollType::wait_indefinitely())
            .map_err(|Lost| super::DownloadError::DeviceLost)
    }
}

/// The device is gone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lost;
