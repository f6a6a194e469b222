//! Checks what a kernel needs against the device's limits.

/// A limit that is too low.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LimitError {
    pub(crate) limit: &'static str,
    pub(crate) needed: u64,
    pub(crate) allowed: u64,
}

/// What a kernel needs. The first need that the limits do not meet becomes the error.
#[derive(Debug)]
pub(crate) struct Needs<'a> {
    limits: &'a wgpu::Limits,
    unmet: Option<LimitError>,
}

/// Adds the need of a limit of at least `$needed`.
macro_rules! need {
    ($needs:ident.$limit:ident, $needed:expr) => {{
        let allowed = $needs.limits.$limit.into();
        $needs.need(stringify!($limit), $needed, allowed)
    }};
}

impl<'a> Needs<'a> {
    pub(crate) fn of(limits: &'a wgpu::Limits) -> Self {
        Self { limits, unmet: None }
    }

    fn need(mut self, limit: &'static str, needed: u64, allowed: u64) -> Self {
        if needed > allowed {
            self.unmet = self.unmet.or(Some(LimitError { limit, needed, allowed }));
        }
        self
    }

    /// Needs `storage` storage buffers and `uniforms` uniform buffers in one kernel.
    pub(crate) fn buffers(self, storage: u64, uniforms: u64) -> Self {
        let all = storage + uniforms;
        let needs = need!(self.max_storage_buffers_per_shader_stage, storage);
        need!(needs.max_buffers_and_acceleration_structures_per_shader_stage, all)
    }

    /// Needs storage bindings of `bytes` bytes.
    pub(crate) fn binding(self, bytes: u64) -> Self {
        need!(self.max_storage_buffer_binding_size, bytes)
    }

    /// Needs buffers of `bytes` bytes.
    pub(crate) fn buffer(self, bytes: u64) -> Self {
        need!(self.max_buffer_size, bytes)
    }

    /// Needs uniform bindings of `bytes` bytes.
    pub(crate) fn uniform(self, bytes: u64) -> Self {
        need!(self.max_uniform_buffer_binding_size, bytes)
    }

    /// Needs `count` bind groups in one kernel.
    pub(crate) fn bind_groups(self, count: u64) -> Self {
        need!(self.max_bind_groups, count)
    }

    /// Needs workgroups of `invocations` invocations that share `bytes` bytes.
    pub(crate) fn workgroup(self, invocations: u32, bytes: u64) -> Self {
        let size = u64::from(invocations);
        let needs = need!(self.max_compute_invocations_per_workgroup, size);
        let needs = need!(needs.max_compute_workgroup_size_x, size);
        need!(needs.max_compute_workgroup_storage_size, bytes)
    }

    /// Fails if a need is not met.
    pub(crate) fn check(self) -> Result<(), LimitError> {
        self.unmet.map_or(Ok(()), Err)
    }
}
