//! The passes of a step. They are bound for new lists of vectors, and kept for the last few lists.

use super::{Core, KEPT_PASSES, KeptPass, RowPasses};
use crate::gpu::group_error::GroupError;
use crate::gpu::kernels::{StepChoice, TableKernel};
use crate::gpu::pass::Pass;
use crate::gpu::plan::Element;
use crate::gpu::rows::RowsBinder;
use crate::gpu::table::{Place, TableDispatch, Tensor, table};
use crate::gpu::tensors::{Grads, Region, Regions, check};
use crate::gpu::upload::Upload;
use crate::gpu::vector::GpuVec;
use crate::gpu::wgsl::Treatment;
use crate::rules::Rule;
use crate::step::TensorGradient;

impl<R: Rule> Core<R> {
    /// Moves the pass over the tensors with dense gradients to the front of the kept passes. If the
    /// lists are new, checks them and creates the pass. `alone` means that the step has no other
    /// gradients, so that the guard scans these.
    pub(super) fn keep(
        &mut self,
        params: &[GpuVec],
        grads: Grads<'_>,
        alone: bool,
    ) -> Result<(), GroupError> {
        let scans = alone && self.guard_memory.is_some();
        let same = |kept: &KeptPass| kept.scan.is_some() == scans && kept.is_of(params, grads);
        if let Some(index) = self.kept.iter().position(same) {
            self.kept[..=index].rotate_right(1);
            return Ok(());
        }
        check(&self.gpu, &self.tensors, &self.state, params, grads)?;
        let mut regions = Regions::default();
        let (steps, places) = self.bind_dense(&mut regions, params, grads)?;
        let scan = match &mut self.guard_memory {
            // After the steps' own bindings, which have shown whether the buffers are usable.
            Some(guard) if scans => {
                Some(guard.bind(&self.gpu, self.precision, &places, &regions.list)?)
            }
            _ => None,
        };
        let kept = KeptPass {
            params: params.to_vec(),
            grads: grads.dense().map(Option::<&GpuVec>::cloned).collect(),
            scan,
            steps,
        };
        self.kept.truncate(KEPT_PASSES - 1);
        self.kept.insert(0, kept);
        Ok(())
    }

    /// Binds the steps of the tensors with dense gradients. Also returns where these gradients lie.
    fn bind_dense(
        &mut self,
        regions: &mut Regions,
        params: &[GpuVec],
        grads: Grads<'_>,
    ) -> Result<(Pass, Vec<Vec<Place>>), GroupError> {
        let mut tensors = Vec::new();
        for (index, (params, grads)) in params.iter().zip(grads.dense()).enumerate() {
            let Some(grads) = grads else { continue };
            let group = self.tensors.group_of[index];
            let formula = &self.formulas[group as usize];
            let state = || self.state.vectors.iter().map(|vector| &vector.tensors[index]);
            [params].into_iter().chain(state()).for_each(|vector| regions.write(vector));
            let vectors = [params, grads].into_iter().chain(state());
            tensors.push(Tensor {
                group,
                kernel: self.formulas.iter().position(|known| known == formula).unwrap_or(0),
                vectors: vectors.map(|vector| regions.places(vector)).collect(),
            });
        }
        let mut steps = match (self.row_width, grads.dense().next().flatten()) {
            (Some(_), Some(grads)) => {
                let (step, group) = self.rows_choice(0);
                let (gpu, width, state) = (&self.gpu, self.row_width, &self.state);
                let binder = RowsBinder::new(gpu, step, width, (0, group), &params[0], state)?;
                binder.all(&mut self.rows[0], grads)?
            }
            _ => self.bind_tables(&table(&tensors, &self.limits), regions)?,
        };
        self.hold(&mut steps, params.iter().chain(grads.dense().flatten()));
        Ok((steps, tensors.into_iter().map(|mut tensor| tensor.vectors.swap_remove(1)).collect()))
    }

    fn bind_tables(
        &self,
        dispatches: &[TableDispatch],
        regions: &Regions,
    ) -> Result<Pass, GroupError> {
        let mut upload = Upload::new(&self.gpu);
        let blocks: Vec<_> = dispatches.iter().map(|d| upload.push(&d.blocks)).collect();
        let uploaded = upload.send(&self.gpu)?;
        let mut pass = Pass::default();
        // Separate routes bind gradients for writing too: one kernel serves them wherever they lie.
        let is_written =
            |region: &Region| self.limits.separate || regions.written.contains(&region.buffer);
        for (dispatch, blocks) in dispatches.iter().zip(&blocks) {
            let windows = || dispatch.windows.iter().map(|w| (&regions.list[w.buffer], w.offset));
            let kernel = self.gpu.kernel(&TableKernel {
                step: self.choice(dispatch.kernel, dispatch.element),
                written: windows().map(|(region, _)| is_written(region)).collect(),
                routes: dispatch.routes.clone(),
            })?;
            let cell = self.limits.dispatch.cell();
            let windows = windows().map(|(region, offset)| region.part(offset, cell));
            let bound = [uploaded.binding(blocks)].into_iter().chain(windows);
            pass.add(&self.gpu, &kernel, bound, dispatch.grid(&self.limits.dispatch))?;
        }
        pass.hold(uploaded.guards());
        Ok(pass)
    }

    /// Holds all memory of a step for as long as the pass lives. The caller's vectors may be
    /// another optimizer's state, whose memory is reused when the last clone of the vector is
    /// dropped.
    fn hold<'a>(&'a self, pass: &mut Pass, vectors: impl Iterator<Item = &'a GpuVec>) {
        pass.hold(self.state.all().chain(vectors).flat_map(GpuVec::guards));
    }

    fn choice(&self, group: usize, element: Element) -> StepChoice {
        StepChoice {
            formula: self.formulas[group].clone(),
            precision: self.precision,
            treatment: Treatment::of(&self.guard),
            element,
            groups: self.tensors.rules.len(),
            workgroup_size: self.shape.workgroup_size,
        }
    }

    /// The options of a tensor's row kernels, and its group.
    fn rows_choice(&self, tensor: usize) -> (StepChoice, u32) {
        let group = self.tensors.group_of[tensor];
        let choice = self.choice(group as usize, Element::Scalars);
        (StepChoice { workgroup_size: self.rows_workgroup, ..choice }, group)
    }

    /// Binds the passes of a step in which some tensors have row gradients.
    pub(super) fn bind_rows(
        &mut self,
        params: &[GpuVec],
        grads: Grads<'_>,
    ) -> Result<RowPasses, GroupError> {
        check(&self.gpu, &self.tensors, &self.state, params, grads)?;
        let with_kept = grads.dense().any(|dense| dense.is_some());
        if with_kept {
            self.keep(params, grads, false)?;
        }
        let mut passes = RowPasses { with_kept, ..RowPasses::default() };
        let (mut regions, mut places) = (Regions::default(), Vec::new());
        for (index, (params, gradient)) in params.iter().zip(grads.iter()).enumerate() {
            match gradient {
                TensorGradient::Dense(vector) => places.push(regions.places(vector)),
                TensorGradient::Missing => {}
                TensorGradient::Rows { gradients, indices } => {
                    let (step, group) = self.rows_choice(index);
                    let (gpu, width, scans) = (&self.gpu, self.row_width, self.guard.scans());
                    let place = (index, group);
                    let binder = RowsBinder::new(gpu, step, width, place, params, &self.state)?;
                    let bound = binder
                        .named(&mut self.rows[index], gradients, indices, scans)
                        .map_err(|error| GroupError::of_tensor(index, error))?;
                    passes.steps.hold([params, gradients].into_iter().flat_map(GpuVec::guards));
                    passes.sums.append(bound.sums);
                    passes.steps.append(bound.steps);
                    let summed = bound.summed.iter().flat_map(|sums| regions.places(sums));
                    places.push(summed.collect());
                }
            }
        }
        passes.steps.hold(self.state.all().flat_map(GpuVec::guards));
        if let Some(guard) = &mut self.guard_memory {
            passes.scan = Some(guard.bind(&self.gpu, self.precision, &places, &regions.list)?);
        }
        Ok(passes)
    }
}
