//! A device with its queue, compiled kernels and shared buffers.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use super::cache::TypedCache;
use super::errors::{DeviceError, DownloadError, RequestError};
use super::memory::{Part, PartPool, SHARED_BYTES};
use super::request::GpuRequest;
use super::scope::{answers, caught, is_lost, new_buffer, now};
use super::slots::SlotPool;

/// [`Gpu::check_lost`] asks the device whether it is lost once in this many calls.
const CALLS_PER_QUESTION: u32 = 128;

/// A wgpu device with its queue. Clones refer to the same value. It is `Send + Sync` on native
/// targets.
#[derive(Clone, Debug)]
pub struct Gpu {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// Compiled kernels, by their descriptions.
    kernels: TypedCache,
    slots: SlotPool,
    /// Small optimizer state, which kernels bind for reading and writing.
    state: PartPool,
    /// Small structs, which kernels bind for reading.
    structs: PartPool,
    /// Set when a call finds the device lost, and by the device-lost callback, which only devices
    /// opened here have.
    lost: Arc<AtomicBool>,
    /// Counts the calls of [`Gpu::check_lost`].
    calls: AtomicU32,
    /// A buffer that a working device refuses to write to; `None` if it could not be created.
    constant: OnceLock<Option<wgpu::Buffer>>,
}

impl PartialEq for Gpu {
    /// True for clones of one value, false for two values made from the same device.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Gpu {
    /// Wraps the caller's own device and queue. Nothing is installed on them.
    #[must_use]
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        Self::with_lost_flag(device, queue, Arc::default())
    }

    /// A device of wgpu's noop backend, which runs no kernel.
    #[cfg(test)]
    pub(crate) fn noop() -> Self {
        let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
        Self::from_wgpu(device, queue)
    }

    /// Opens a device, for programs that have none.
    ///
    /// # Errors
    /// [`RequestError`] if no adapter matches, or the adapter lacks the requested limits or cannot
    /// be opened.
    pub async fn request(request: &GpuRequest) -> Result<Self, RequestError> {
        let mut found = Vec::new();
        let mut refused = None;
        for adapter in request.adapters().await {
            let info = adapter.get_info();
            if request.accepts(&info) {
                match Self::open(&adapter, request).await {
                    Ok(gpu) => return Ok(gpu),
                    // Report the error of the best adapter.
                    Err(error) => refused = refused.or(Some(error)),
                }
            }
            found.push(info.name);
        }
        Err(refused.unwrap_or(RequestError::NoAdapter { wanted: request.wanted(), found }))
    }

    /// [`Gpu::request`], blocking the thread.
    ///
    /// # Errors
    /// As [`Gpu::request`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn request_blocking(request: &GpuRequest) -> Result<Self, RequestError> {
        pollster::block_on(Self::request(request))
    }

    /// The adapters that match a request, best first. Limits are not checked.
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
        let shared = Shared {
            state: PartPool::new("state", &device.limits(), SHARED_BYTES),
            structs: PartPool::new("structs", &device.limits(), SHARED_BYTES),
            kernels: TypedCache::default(),
            slots: SlotPool::new(&device.limits()),
            calls: AtomicU32::new(0),
            constant: OnceLock::new(),
            device,
            queue,
            lost,
        };
        Self { shared: Arc::new(shared) }
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &wgpu::Device {
        &self.shared.device
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> &wgpu::Queue {
        &self.shared.queue
    }

    /// wgpu's information about the device's adapter.
    #[must_use]
    pub fn info(&self) -> wgpu::AdapterInfo {
        self.shared.device.adapter_info()
    }

    /// Whether the device is lost: destroyed, or given up by its driver. The check asks the device,
    /// which takes less than a microsecond. Once the answer is true, it stays true.
    ///
    /// Some losses go unnoticed. A driver reports a loss only when it is given work or waited for,
    /// so an idle device may be lost without this being true. A browser reports a loss only to the
    /// device-lost callback, which belongs to the caller for a device passed to [`Gpu::from_wgpu`]:
    /// in a browser, such a device is never known to be lost.
    ///
    /// Calls that submit check every time. Calls that only record, and find everything they need
    /// cached, check only once in 128 calls; in between they may succeed on a lost device.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        let Shared { device, queue, lost, constant, .. } = &*self.shared;
        if lost.load(Ordering::Relaxed) || cfg!(target_arch = "wasm32") {
            return lost.load(Ordering::Relaxed);
        }
        let usage = wgpu::BufferUsages::COPY_SRC;
        let make = || new_buffer(device, "constant", 4, usage, false).ok();
        let constant = constant.get_or_init(make).as_ref();
        let alive = constant.is_some_and(|constant| answers(device, queue, constant));
        if !alive && is_lost(device) {
            self.note(&DeviceError::Lost);
        }
        lost.load(Ordering::Relaxed)
    }

    /// Fails if the device is known to be lost, and asks the device itself at every 128th call.
    /// Call it at the start of work that may find everything cached and would otherwise not notice
    /// a loss, such as recording a step. Work that is submitted learns of a loss from
    /// [`Gpu::submit`].
    ///
    /// # Errors
    /// [`DeviceError::Lost`].
    pub(crate) fn check_lost(&self) -> Result<(), DeviceError> {
        let calls = self.shared.calls.fetch_add(1, Ordering::Relaxed);
        let known = self.shared.lost.load(Ordering::Relaxed);
        let lost = known || calls.is_multiple_of(CALLS_PER_QUESTION) && self.is_lost();
        if lost { Err(DeviceError::Lost) } else { Ok(()) }
    }

    /// Runs `work` and returns the first error that it caused on the device.
    ///
    /// # Errors
    /// [`DeviceError`]. Most calls on a lost device succeed without effect, so `Ok` does not mean
    /// that the device works.
    pub(crate) fn catch<T>(&self, work: impl FnOnce() -> T) -> Result<T, DeviceError> {
        caught(self.device(), work).inspect_err(|error| self.note(error))
    }

    /// Remembers that the device is lost, if that is the error.
    fn note(&self, error: &DeviceError) {
        if *error == DeviceError::Lost {
            self.shared.lost.store(true, Ordering::Relaxed);
        }
    }

    /// Finishes and submits `encoder`, and checks that the device accepted it.
    ///
    /// # Errors
    /// [`DeviceError`]; nothing was submitted. On native targets it is always [`DeviceError::Lost`]
    /// if the device was lost before.
    pub(crate) fn submit(
        &self,
        encoder: wgpu::CommandEncoder,
    ) -> Result<wgpu::SubmissionIndex, DeviceError> {
        let index = self.catch(|| self.queue().submit([encoder.finish()]))?;
        // A lost device drops the work without an error. (Waiting for the index without a timeout
        // would show the loss too, but wgpu-core 30 fails an assertion there if other threads
        // submit.)
        if self.is_lost() { Err(DeviceError::Lost) } else { Ok(index) }
    }

    /// Creates a buffer of zeros.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub(crate) fn buffer(
        &self,
        label: &str,
        size: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer, DeviceError> {
        let label = format!("wgpu-optim {label}");
        let descriptor =
            wgpu::BufferDescriptor { label: Some(&label), size, usage, mapped_at_creation: false };
        let buffer = self.catch(|| self.device().create_buffer(&descriptor))?;
        // A lost device creates it without an error.
        if self.is_lost() { Err(DeviceError::Lost) } else { Ok(buffer) }
    }

    /// Memory of `bytes` bytes that kernels only read, such as tables of small structs. Its content
    /// is undefined. It may share a buffer with other such memory, and one dispatch may bind both,
    /// as read-only storage or as uniforms. It never shares a buffer with optimizer state.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub(crate) fn small_storage(&self, bytes: u64) -> Result<Part, DeviceError> {
        self.shared.structs.take(self.device(), bytes).inspect_err(|error| self.note(error))
    }

    /// Like [`Gpu::small_storage`], for memory that kernels read and write.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub(crate) fn small_state(&self, bytes: u64) -> Result<Part, DeviceError> {
        self.shared.state.take(self.device(), bytes).inspect_err(|error| self.note(error))
    }

    /// Whether both wrap the same device.
    ///
    /// wgpu numbers devices within an instance, so handles of two devices from two instances can be
    /// equal. But each device has its own error scopes: if a deliberate error on one is caught by a
    /// scope of the other, they are the same device.
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
        // A lost device reports nothing at all; then rely on the equal handles.
        caught_here || !caught_there
    }

    pub(crate) fn slots(&self) -> &SlotPool {
        &self.shared.slots
    }

    pub(crate) fn kernels(&self) -> &TypedCache {
        &self.shared.kernels
    }

    /// Polls the device. On native targets it makes progress only when it is polled.
    ///
    /// # Errors
    /// [`DownloadError::DeviceLost`] if wgpu panics because the driver has given up the device.
    pub(crate) fn poll(&self, kind: wgpu::PollType) -> Result<(), DownloadError> {
        let poll = std::panic::AssertUnwindSafe(|| self.shared.device.poll(kind));
        // wgpu panics here on a device that the driver has given up.
        if std::panic::catch_unwind(poll).is_err() {
            self.note(&DeviceError::Lost);
            return Err(DownloadError::DeviceLost);
        }
        Ok(())
    }

    /// Waits until all submitted work is done.
    ///
    /// # Errors
    /// [`DownloadError::DeviceLost`] if the device is lost by then.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn wait_blocking(&self) -> Result<(), DownloadError> {
        self.poll(wgpu::PollType::wait_indefinitely())?;
        if self.is_lost() { Err(DownloadError::DeviceLost) } else { Ok(()) }
    }
}
