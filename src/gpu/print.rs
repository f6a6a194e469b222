//! The complete WGSL of any step or guard kernel, to read as one file.

use std::fmt::Write;

use super::guard::{DecideKernel, ReduceKernel, ScanKernel};
use super::kernel::Kernel;
use super::kernels::{RowsKernel, StepChoice, SumKernel, TableKernel, WhichRows};
use super::plan::Element;
use super::wgsl::{Formula, Treatment};
use crate::numerics::Precision;
use crate::rules::{Rule, RuleError, check_row_wise};
use crate::step::GradientGuard;

/// The kernel that [`kernel_text`] prints. The default is a step over one tensor, four elements at
/// a time, with no guard, in native precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KernelChoice {
    /// What the kernel works on. Default [`KernelPlace::Tensors`].
    pub place: KernelPlace,
    /// Whether four elements are loaded and stored at once, as for vectors that all start at a
    /// multiple of 16 bytes, or one by one, as for any other offset. Default true. Sums and means
    /// of rows always load one by one.
    pub quads: bool,
    /// The guard that the step obeys, or that the kernel is part of. Default none.
    pub guard: GradientGuard,
    /// The arithmetic. Default [`Precision::Native`].
    pub precision: Precision,
    /// Whether the parameters of a row share accumulators. Default false. [`KernelPlace::RowMeans`]
    /// implies it; otherwise only [`KernelPlace::Rows`] and [`KernelPlace::AllRows`] use it.
    pub row_wise: bool,
    /// The number of buffers that hold parameters and gradients, for [`KernelPlace::Tensors`] and
    /// [`KernelPlace::Scan`]; at least 1. The first one holds the parameters, and each further one
    /// gradients; a single buffer holds both. Default 2.
    pub windows: usize,
}

impl Default for KernelChoice {
    fn default() -> Self {
        Self {
            place: KernelPlace::default(),
            quads: true,
            guard: GradientGuard::default(),
            precision: Precision::default(),
            row_wise: false,
            windows: 2,
        }
    }
}

/// What a kernel works on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KernelPlace {
    /// A step over one tensor or many.
    #[default]
    Tensors,
    /// A step over the rows that a list names.
    Rows,
    /// A step over all rows.
    AllRows,
    /// The mean square of each named row, before a step in which the parameters of a row share
    /// accumulators.
    RowMeans,
    /// The sum of the gradients of each named row.
    RowSums,
    /// A guard's scan of the gradients.
    Scan,
    /// A guard's sum over the blocks of a scan.
    Reduce,
    /// A guard's decision.
    Decide,
}

/// The WGSL of a kernel as a device gets it, with added comment lines. The first lines name the
/// entry point and the values of the overrides. A line above each part says where the part comes
/// from: `// ---- shaders/rules/adam.wgsl`, or `// ---- generated` for text that src/gpu/wgsl.rs
/// and the kernel's own `text` write.
///
/// # Errors
/// [`RuleError::NotRowWise`] if accumulators should be shared and the rule has none that can be.
pub fn kernel_text<R: Rule>(rule: &R, choice: &KernelChoice) -> Result<String, RuleError> {
    Ok(source(rule, choice)?.printed(&format!("shaders/rules/{}.wgsl", R::NAME), R::SHADER))
}

/// What a device gets for a kernel.
struct Source {
    entry: &'static str,
    constants: Vec<(&'static str, f64)>,
    text: String,
}

impl Source {
    fn of(kernel: &impl Kernel) -> Self {
        Self { entry: kernel.entry(), constants: kernel.constants(), text: kernel.text() }
    }
}

fn source<R: Rule>(rule: &R, choice: &KernelChoice) -> Result<Source, RuleError> {
    let &KernelChoice { place, quads, guard, precision, windows, .. } = choice;
    let element = if quads { Element::Quads } else { Element::Scalars };
    let workgroup_size = 256;
    let step = StepChoice {
        formula: Formula::of(rule),
        precision,
        treatment: Treatment::of(&guard),
        element: if place == KernelPlace::RowMeans { Element::Scalars } else { element },
        groups: 1,
        workgroup_size,
    };
    let (with_norm, only_finite) = (guard.max_norm.is_some(), guard.skips_elements());
    let windows = windows.max(1);
    Ok(match place {
        KernelPlace::Tensors => {
            let written = (0..windows + step.formula.state_count())
                .map(|window| window == 0 || window >= windows)
                .collect();
            let state = || windows..windows + step.formula.state_count();
            let route = |grads| [0, grads].into_iter().chain(state()).collect();
            let routes = (1.min(windows - 1)..windows).map(route).collect();
            Source::of(&TableKernel { step, written, routes })
        }
        KernelPlace::Rows | KernelPlace::AllRows | KernelPlace::RowMeans => {
            let means = place == KernelPlace::RowMeans;
            let row_wise = choice.row_wise || means;
            if row_wise {
                check_row_wise(rule)?;
            }
            let all = place == KernelPlace::AllRows;
            let rows = if all { WhichRows::All } else { WhichRows::Named };
            let kernel = RowsKernel { step, rows, row_wise, means, grads_in_parts: false };
            Source::of(&kernel)
        }
        KernelPlace::RowSums => Source::of(&SumKernel { precision, workgroup_size }),
        KernelPlace::Scan => {
            Source::of(&ScanKernel { precision, element, windows, with_norm, only_finite })
        }
        KernelPlace::Reduce => Source::of(&ReduceKernel { precision, with_norm }),
        KernelPlace::Decide => Source::of(&DecideKernel { precision }),
    })
}

/// The start of an added line.
const HEAD: &str = "// ---- ";

impl Source {
    /// The text with added comment lines; `rule` and `shader` are the name and the text of the
    /// rule's file.
    fn printed(&self, rule: &str, shader: &str) -> String {
        let files = || FILES.iter().copied().chain([(rule, shader)]);
        let mut out = format!("{HEAD}entry point: {}", self.entry);
        for (name, value) in &self.constants {
            // Writing to a String cannot fail.
            let _ = write!(out, "\n{HEAD}override {name} = {value}");
        }
        out.push_str("\n\n");
        let mut rest = &*self.text;
        while !rest.is_empty() {
            // The file that comes next. No file is the beginning of another, so only one starts
            // there.
            let found = files().filter_map(|(name, text)| Some((rest.find(text)?, name, text)));
            let (at, name, text) = found.min().unwrap_or((rest.len(), "", ""));
            // An empty line separates the parts.
            if !rest[..at].trim().is_empty() {
                let _ = write!(out, "{HEAD}generated\n\n");
            }
            out.push_str(&rest[..at]);
            if !name.is_empty() {
                let _ = write!(out, "{HEAD}{name}\n\n{text}");
            }
            rest = &rest[at + text.len()..];
        }
        out
    }
}

macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        &[$((
            concat!("shaders/", $path),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $path)),
        )),+]
    };
}

/// The files of step and guard kernels by name, without those of rules.
const FILES: &[(&str, &str)] = files![
    "arithmetic/exact.wgsl",
    "arithmetic/native.wgsl",
    "element/quads.wgsl",
    "element/scalars.wgsl",
    "guard/decide.wgsl",
    "guard/partial.wgsl",
    "guard/reduce.wgsl",
    "guard/scan.wgsl",
    "guard/tree.wgsl",
    "place/all_rows.wgsl",
    "place/named_rows.wgsl",
    "place/table.wgsl",
    "rows/job.wgsl",
    "rows/mean.wgsl",
    "rows/step.wgsl",
    "rows/sum.wgsl",
    "decay.wgsl",
    "square/mean.wgsl",
    "square/own.wgsl",
    "step.wgsl",
    "treatment/decided.wgsl",
    "guard/decision.wgsl",
    "treatment/none.wgsl",
    "treatment/only_finite.wgsl",
    "guard/outcome.wgsl",
];

#[cfg(test)]
#[path = "print_tests.rs"]
mod tests;
