//! What a kernel needs of a device, against the device's limits: one check, one error.

/// A limit that is too low.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LimitError {
    pub(crate) limit: &'static str,
    pub(crate) needed: u64,
    pub(crate) allowed: u64,
}

/// Needs, checked one after the other; the first that is not met is the error.
#[derive(Debug)]
pub(crate) struct Needs<'a> {
    limits: &'a wgpu::Limits,
    unmet: Option<LimitError>,
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

    /// Storage buffers of one kernel, and all buffers, where there are `uniforms` too.
    pub(crate) fn buffers(self, storage: u64, uniforms: u64) -> Self {
        let limits = self.limits;
        let all = u64::from(limits.max_buffers_and_acceleration_structures_per_shader_stage);
        let allowed = u64::from(limits.max_storage_buffers_per_shader_stage);
        self.need("max_storage_buffers_per_shader_stage", storage, allowed).need(
            "max_buffers_and_acceleration_structures_per_shader_stage",
            storage + uniforms,
            all,
        )
    }

    /// Bytes of one storage binding.
    pub(crate) fn binding(self, bytes: u64) -> Self {
        let allowed = self.limits.max_storage_buffer_binding_size;
        self.need("max_storage_buffer_binding_size", bytes, allowed)
    }

    /// Bytes of one buffer.
    pub(crate) fn buffer(self, bytes: u64) -> Self {
        let allowed = self.limits.max_buffer_size;
        self.need("max_buffer_size", bytes, allowed)
    }

    /// Bytes of one uniform.
    pub(crate) fn uniform(self, bytes: u64) -> Self {
        let allowed = self.limits.max_uniform_buffer_binding_size;
        self.need("max_uniform_buffer_binding_size", bytes, allowed)
    }

    /// Bind groups of one kernel.
    pub(crate) fn bind_groups(self, count: u32) -> Self {
        let allowed = u64::from(self.limits.max_bind_groups);
        self.need("max_bind_groups", u64::from(count), allowed)
    }

    /// Invocations of a workgroup, and the bytes that they share.
    pub(crate) fn workgroup(self, invocations: u32, bytes: u64) -> Self {
        let limits = self.limits;
        let size = u64::from(invocations);
        let of_workgroup = u64::from(limits.max_compute_invocations_per_workgroup);
        let along_x = u64::from(limits.max_compute_workgroup_size_x);
        let storage = u64::from(limits.max_compute_workgroup_storage_size);
        self.need("max_compute_invocations_per_workgroup", size, of_workgroup)
            .need("max_compute_workgroup_size_x", size, along_x)
            .need("max_compute_workgroup_storage_size", bytes, storage)
    }

    /// Whether all are met.
    pub(crate) fn check(self) -> Result<(), LimitError> {
        self.unmet.map_or(Ok(()), Err)
    }
}
