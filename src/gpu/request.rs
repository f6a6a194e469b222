//! Which adapter to open.

/// The kind of adapter to accept.
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
    /// The graphics APIs to search. Default: all that are compiled in.
    pub backends: wgpu::Backends,
    /// The kind of adapter to accept. Default: any, hardware first.
    pub kind: AdapterKind,
    /// Text that the adapter's name must contain, ignoring case. Default: none.
    pub name: Option<String>,
    /// The limits to open the device with. Default: the adapter's own, so that large vectors need
    /// the fewest dispatches.
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
    /// A request for an adapter whose name contains `name`, ignoring case.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }

    pub(crate) fn accepts(&self, info: &wgpu::AdapterInfo) -> bool {
        let software = info.device_type == wgpu::DeviceType::Cpu;
        let kind = match self.kind {
            AdapterKind::Any => true,
            AdapterKind::Hardware => !software,
            AdapterKind::Software => software,
        };
        let contains = |name: &String| info.name.to_lowercase().contains(&name.to_lowercase());
        kind && self.name.as_ref().is_none_or(contains)
    }

    /// The requested adapter, as words for a message.
    pub(crate) fn wanted(&self) -> String {
        match (&self.name, self.kind) {
            (Some(name), _) => format!("\"{name}\""),
            (None, AdapterKind::Any) => "graphics".to_owned(),
            (None, AdapterKind::Hardware) => "hardware graphics".to_owned(),
            (None, AdapterKind::Software) => "software graphics".to_owned(),
        }
    }

    pub(crate) async fn adapters(&self) -> Vec<wgpu::Adapter> {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        descriptor.backends &= self.backends;
        let instance = wgpu::Instance::new(descriptor);
        let mut adapters = instance.enumerate_adapters(self.backends).await;
        let of = |adapter: &wgpu::Adapter| adapter.get_info().device_type;
        adapters.sort_by_key(|adapter| PREFERENCE.iter().position(|kind| *kind == of(adapter)));
        adapters
    }
}

/// The order in which device types are tried.
const PREFERENCE: [wgpu::DeviceType; 5] = [
    wgpu::DeviceType::DiscreteGpu,
    wgpu::DeviceType::IntegratedGpu,
    wgpu::DeviceType::VirtualGpu,
    wgpu::DeviceType::Other,
    wgpu::DeviceType::Cpu,
];
